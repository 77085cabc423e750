import json
from pathlib import Path

import pytest

from benchmarks.numbers import __main__ as command
from benchmarks.numbers.claims import Accuracy, Ratio
from benchmarks.numbers.pages import table_below
from benchmarks.numbers.parts import PARTS, Part
from jfewshot.errors import UserError


@pytest.mark.parametrize(
    ("claimed", "measured", "agrees"),
    [
        ("88.0", 88.04, True),
        ("88.0", 88.06, False),
        ("92.13", 92.134, True),
        ("92.13", 92.12, False),
        ("88.5", 88.55, True),
    ],
)
def test_accuracies_agree_to_their_last_printed_digit(claimed, measured, agrees):
    assert Accuracy("x", "page", claimed, measured).agrees == agrees


@pytest.mark.parametrize(("measured", "agrees"), [(1.2, True), (2.0, True), (1.1, False), (2.1, False)])
def test_ratios_agree_within_the_range_on_record(measured, agrees):
    ratio = Ratio("x", "page", (1.5, 1.2, 2.0), measured)
    assert ratio.agrees == agrees
    assert ratio.printed == ("1.5 (1.2 to 2)", f"{measured:.3g}", f"{measured / 1.5:.2f}")


def test_a_page_that_changed_is_named():
    with pytest.raises(LookupError, match=r"README\.md has no 'gone' any more"):
        table_below("README.md", "gone")


def test_the_readme_quotes_that_table():
    measured = table_below("docs/benchmarks.md", "## What was measured")
    quoted = table_below("README.md", "## How fast")
    assert len(quoted) == 6
    for line in quoted:
        ours = line["episodes/s"]
        same = [row for row in measured if row["our episodes/s"] == ours]
        assert same, f"{ours} episodes/s are in the README and not in docs/benchmarks.md"
        ratios = {row["ratio"] for row in measured if row["episode"] == same[0]["episode"]}
        for column in ("times the best PyTorch", "times scikit-learn"):
            assert not line[column] or line[column] in ratios, (line, column)


def test_the_readme_quotes_the_accuracies_of_the_page_on_samples():
    """README.md gives two decimals, the page one; `make numbers` measures both again."""
    title = {"Arabic Speech Commands (20 words)": "Arabic words", "ESC-10": "ESC-10 (sounds)"}
    page = {line[""].strip("* "): line for line in table_below("docs/samples.md", "### One shot")}
    quoted = table_below("README.md", "evaluates eight encoders")
    assert len(quoted) == 8
    for line in quoted:
        for column in ("Arabic Speech Commands (20 words)", "ESC-10", "FSDD, digits", "FSDD, speakers"):
            exact = float(line[column].strip("*"))
            printed = float(page[line["Upstream"]][title.get(column, column)].strip("*"))
            assert abs(exact - printed) < 0.051, (line["Upstream"], column)


def part(folder: Path, found: list, module: str = "json.tool") -> Part:
    """A part whose command copies a file with Python's own `json.tool`."""
    source = folder / "source.json"
    source.write_text("{}")
    return Part("a test", lambda out: [[module, str(source), str(out / "copy.json")]], lambda out: iter(found))


def test_the_command_tells_what_agrees_and_what_does_not(tmp_path, monkeypatch, capsys):
    right, wrong = Accuracy("right", "page", "50.0", 50.0), Ratio("wrong", "page", (2.0, 1.5, 2.5), 1.0)
    monkeypatch.setitem(PARTS, "one-shot", part(tmp_path, [right]))
    monkeypatch.setitem(PARTS, "headline", part(tmp_path, [right, wrong]))
    monkeypatch.setitem(PARTS, "training", part(tmp_path, [], module="no_such_module"))
    assert command.main(["--parts", "one-shot"]) == 0
    assert "1 of 1 numbers agree" in capsys.readouterr().out
    kept = tmp_path / "numbers.json"
    assert command.main(["--parts", "headline", "training", "--json", str(kept)]) == 1
    said = capsys.readouterr().out
    assert "1 of 2 numbers agree" in said
    assert "- page: wrong: claimed 2 (1.5 to 2.5), measured 1" in said
    assert "Not measured: training." in said
    assert [line["agrees"] for line in json.loads(kept.read_text())["numbers"]] == [True, False]


def test_a_part_that_is_not_there_is_refused():
    with pytest.raises(
        UserError, match=r"no such part\. The parts are one-shot, chosen, headline, real-size, training"
    ):
        command.main(["--parts", "speed"])
