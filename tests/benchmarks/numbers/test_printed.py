"""The numbers of the pages are those of the files in benchmarks/measured."""

import json

import pytest

from benchmarks.numbers import comparing, fill, pages
from benchmarks.numbers.comparing import Sentence, Table, differing, numbers_in
from benchmarks.numbers.printed import SENTENCES, TABLES


def name(claim: Table | Sentence) -> str:
    return f"{claim.page.removeprefix('docs/')} {claim.file} {claim.below if isinstance(claim, Table) else claim.text}"[
        :90
    ]


@pytest.mark.parametrize("claim", [*TABLES, *SENTENCES], ids=name)
def test_a_page_prints_the_numbers_of_its_file(claim):
    different = list(claim.differences())
    assert not different, "`python -m benchmarks.numbers.fill` writes the measured numbers into the pages"


def test_numbers_are_found_with_sign_and_thousands_and_not_in_names():
    assert numbers_in("ESC-10: **−5.8** (1, 31), +1,413 of v2, 62nd, 1,280–1,974, -0.6") == [
        *("−5.8", "1", "31", "+1,413", "62", "1,280", "1,974", "-0.6")
    ]


@pytest.mark.parametrize(
    ("text", "values", "problems"),
    [
        ("88.0 (±0.4)", [88.04, 0.36], 0),
        ("88.0 (0.4)", [88.06, 0.36], 1),
        ("1,413", [1412.6], 0),
        ("−0.2", [0.2], 1),
        ("", [], 0),
        ("7", [], 1),
        ("", [7.0], 1),
    ],
)
def test_each_number_is_compared_to_its_last_digit(text, values, problems):
    assert len(list(differing(text, values))) == problems


PAGE = """# Title

Ours took 3.1 s,
and theirs 1,999 s.

Below:

| | rate | ratio |
|---|---|---|
| a | 10 | **−1.5** (2.0) |
| b | 10 | |
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    path = tmp_path / "docs/page.md"
    path.write_text(PAGE)
    (tmp_path / "benchmarks/measured").mkdir(parents=True)
    content = {"a": [10.4, -2.25, 2.04], "b": [12_345.6], "times": [3.14, 2001.0]}
    (tmp_path / "benchmarks/measured/x.json").write_text(json.dumps(content))
    for module in (comparing, fill, pages):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    return path


def cells(found, rows):
    return [[found[row[0]][:1], found[row[0]][1:]] for row in rows]


def test_changed_numbers_are_told_and_filled_in_as_they_were_printed(page, monkeypatch, capsys):
    claims = [
        Table("docs/page.md", "Below:", "x", cells),
        Sentence("docs/page.md", "took {} s, and theirs {} s.", "x", lambda found: found["times"]),
    ]
    told = [line for claim in claims for line in claim.differences()]
    assert len(told) == 3
    assert "row 'a', 'ratio': '−1.5** (2.0)' prints −1.5, the file has -2.25" in told[0]
    assert "row 'b', 'rate': '10' prints 10, the file has 12345.6" in told[1]
    assert "prints 1,999, the file has 2001" in told[2]
    monkeypatch.setattr(fill, "TABLES", claims[:1])
    monkeypatch.setattr(fill, "SENTENCES", claims[1:])
    assert fill.main() == 0
    assert page.read_text() == PAGE.replace("−1.5", "−2.2").replace("| b | 10", "| b | 12,346").replace(
        "1,999", "2,001"
    )
    assert not [line for claim in claims for line in claim.differences()]
    capsys.readouterr()
    assert fill.main() == 0
    assert capsys.readouterr().out == ""


def test_what_cannot_be_filled_in_is_told(page, monkeypatch, capsys):
    monkeypatch.setattr(
        fill, "TABLES", [Table("docs/page.md", "Below:", "x", lambda found, rows: [[[10], []], [[10], [1]]])]
    )
    monkeypatch.setattr(fill, "SENTENCES", [Sentence("docs/page.md", "gone {}", "x", lambda found: [1])])
    assert fill.main() == 1
    said = capsys.readouterr().err
    assert "docs/page.md has no sentence 'gone {}' any more" in said
    assert "prints 2 numbers, the file has []" in said
