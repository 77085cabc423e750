"""Names are data: whatever they hold, a report comes out, and every export that is text gives them back."""

import csv
import html
import io
import json
import re
import shutil
import subprocess
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jfewshot.errors import UserError
from jfewshot.files.csv_cells import unescape_formula
from jfewshot.printable import in_a_line, printable
from jfewshot.reporting.build import Choices, build_report
from jfewshot.reporting.exports import model_index, mteb_json
from jfewshot.reporting.figures import bars, classes, curves, style
from jfewshot.reporting.file_names import file_names
from jfewshot.reporting.grid import grid, to_csv, to_latex, to_markdown, to_terminal
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.outside import read_outside_table
from jfewshot.reporting.tables import render
from jfewshot.reporting.tidy import tidy_csv, tidy_rows
from jfewshot.results import read_results
from jfewshot.store import open_store
from tests.reporting.synthetic import record_of, write_results
from tests.synthetic_stores import make_store

yaml = pytest.importorskip("yaml", reason="PyYAML, which reads the YAML back independently, is not installed")

SEEN = [
    *[
        "$\\frac$",
        "US$5 and $6",
        "$$",
        "音" * 80,
        "<!--<script",
        "</script>",
        "<br>",
        "=cmd()|' /C calc'!A0",
        "'=x",
        "+1",
        "-1",
    ],
    *[
        "@x",
        "[x]",
        "x[/y]",
        "*",
        "100",
        "350",
        "2024-05-01",
        "1e5",
        "a & b_c %",
        "naïve\u200bowl",
        "%{y}",
        "_x",
        "a|b",
        "`",
    ],
    *["&lt;", "~", "#", '"', "null", "yes", "\U0001f426" * 40, "e\u0301", "\u202eowl", "{{ 7 * 7 }}"],
]
HIDDEN = ["\x1b[31mred", "x\u2028y", "a\x85b", "\x7f", "a\nb", "a\rb", "\t"]
# What prints: no control, surrogate or unassigned character, and no white space at the ends, which tables trim.
NAMES = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=60).filter(
    lambda name: name == " ".join(name.split()) and name.strip() == name
)


def unescape_markdown(cell):
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell)


def check_exports(name):
    """The name of a dataset and an upstream, from every text export, read by a program that is not ours."""
    records = [record_of(name, name, 0.5), record_of("other", name, 0.4), record_of(name, "esc", 0.3)]
    (board,) = leaderboards(records, "ci95")
    rows = list(csv.DictReader(io.StringIO(tidy_csv(tidy_rows(records)), newline="")))
    assert name in {unescape_formula(row["upstream"]) for row in rows}
    assert name in {unescape_formula(row["dataset"]) for row in rows}
    assert not any(cell[:1] in tuple("=+-@") for row in rows for cell in (row["upstream"], row["dataset"]))
    table = list(csv.reader(io.StringIO(render(board, "csv"), newline="")))
    assert name in {unescape_formula(row[0]) for row in table}
    assert name in map(unescape_formula, table[0])
    assert name in {row["upstream"] for row in json.loads(render(board, "json"))["rows"]}
    index = yaml.safe_load(model_index(records[:1]))["model-index"][0]
    assert index["name"] == index["results"][0]["dataset"]["name"] == name
    assert json.loads(mteb_json(records[:1]))["model_name"] == name
    markdown = render(board, "markdown")
    cells = [re.split(r"(?<!\\)(?:\\\\)*\|", line)[1].strip() for line in markdown.split("\n") if line.startswith("| ")]
    assert in_a_line(name) in {unescape_markdown(cell) for cell in cells}
    for form in ("terminal", "latex", "markdown"):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", render(board, form))
    assert "\ufffd" not in render(board, "latex")


@pytest.mark.parametrize("name", [*SEEN, *HIDDEN])
def test_a_name_comes_back_from_every_export(name):
    check_exports(name)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(NAMES)
@example("=")
@example("音" * 60)
def test_any_printable_name_comes_back_from_every_export(name):
    check_exports(name)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(NAMES)
@example("$\\frac$ $$")
@example("<!--<script>")
@example("音" * 60)
@example("\x1b[31mred\r\n\x85")
def test_any_name_gives_a_report(name):
    with tempfile.TemporaryDirectory() as folder:
        write_results(Path(folder) / "r", upstreams={name: 0.5, "other": 0.2}, datasets=(name, "esc"))
        choices = Choices(formats=("svg",), published=False)
        made = build_report(read_results(Path(folder) / "r"), Path(folder) / "out", choices, name)
        boards, problems = made.boards, list(made.problems)
        assert problems == []
        assert name in boards[0].upstreams
        page = (Path(folder) / "out/index.html").read_text(encoding="utf-8")
        (data,) = re.findall(r"<script[^>]*application/json[^>]*>(.*?)</script>", page, re.DOTALL)
        assert name in json.loads(data)["boards"][0]["upstreams"]
        if name == in_a_line(name):
            (heading,) = re.findall("<h1>(.*?)</h1>", page)
            assert html.unescape(heading) == name


def test_names_of_files_fit_in_bytes_and_stay_distinct():
    names = ["音" * 80, "音" * 79, "\U0001f426" * 70 + "a", "é" * 200, "é", "e\u0301", "x" * 300]
    files = file_names(names)
    assert all(len(file.encode()) <= 150 for file in files.values())
    assert len({unicodedata.normalize("NFC", file).casefold() for file in files.values()}) == len(names)


@pytest.mark.parametrize("name", ["$\\frac$", "$$", "_hidden", "100", "\x1b[0m", "音" * 80, "a\nb"])
def test_figures_show_names_as_text(name):
    mean = np.array([[0.5], [0.4]])
    panel = curves.Panel(name, (curves.Curve(name, (1.0, 5.0), (0.4, 0.5), (0.1, 0.1)),))
    drawn = curves.curve_panels([panel], "shots", log=True, upstreams=[name])
    figures = [
        drawn,
        bars.accuracy_bars(mean, {"ci95": mean / 50}, [name, "other"], [name], 0.2, name),
        bars.speed_bars([10.0, 2e5], [name, "other"]),
        classes.confusion_matrix(np.eye(2), [name, "b"], name),
    ]
    with style.look():
        for figure in figures:
            figure.draw_without_rendering()
    (legend,) = drawn.legends
    assert [text.get_text().strip() for text in legend.get_texts()] == [style.shorten(name).strip()]


@pytest.mark.parametrize("first", ["[x]", "*", "[", "*[a]", "a"])
def test_a_latex_row_never_begins_with_an_argument(first):
    text = to_latex(grid("t", [first, "b"], [[first, "1"], [first, "2"]]))
    assert not re.search(r"(\\\\|\\toprule|\\midrule)\s*[\[*]", text)
    if shutil.which("lualatex"):
        document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}" + text + "\\end{document}"
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "t.tex").write_text(document)
            subprocess.run(
                ["lualatex", "-halt-on-error", "t.tex"], cwd=folder, check=True, capture_output=True, timeout=120
            )


def test_signed_numbers_stay_numbers_and_labels_are_text():
    text = to_csv(grid("", ["name", "difference"], [["+1", "+1.5"], ["-x", "-0.2"], ["a", "=1+1"]]))
    assert text == "name,difference\n'+1,+1.5\n'-x,-0.2\na,'=1+1\n"


def test_control_characters_are_shown_and_not_obeyed(tmp_path, capsys):
    assert printable("\x1b[31mred\x7f\x9b\n") == "␛[31mred␡\ufffd\n"
    assert in_a_line("a\nb\tc\u2028d") == "a␊b␉c␤d"
    table = grid("\x1b[2J", ["\x1b]0;x\x07"], [["\x1b[31mred"]], ["\x1b[1m"])
    for text in (to_terminal(table), to_markdown(table), to_latex(table)):
        assert "\x1b" not in text
        assert "␛[31mred" in text.replace("\\", "")
    from jfewshot.store.__main__ import main

    make_store(tmp_path / "s", dataset="\x1b[31md", upstream="\x1b]0;u\x07")
    main(["inspect", str(tmp_path / "s")])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "view", ["../../secret.mean", "/etc/x.mean", "a\\b.mean", "C:x.mean", "..mean", "a\n.mean", "x" * 300 + ".mean", ""]
)
def test_a_view_named_outside_of_its_store_is_refused(tmp_path, view):
    make_store(tmp_path / "s")
    np.save(tmp_path / "secret.mean.npy", np.zeros((3, 2), np.float32))
    manifest = json.loads((tmp_path / "s/manifest.json").read_text())
    manifest["views"][view] = manifest["views"]["last.mean"]
    (tmp_path / "s/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"manifest\.json: view name"):
        open_store(tmp_path / "s")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("upstream,x\na,1\nb,2\na,3\n", "lines 2 and 4 are both for 'a'"),
        ("upstream;x\nHuBERT Base;1\nhubert_base;3\n", "lines 2 and 3 are both for 'hubert_base'"),
        ("upstream,x\na,1,2\n", "line 2 has 3 fields, the header has 2"),
        ("upstream,x\n,1\nb,2\n", "line 2 names no upstream"),
        ("upstream,x\na,one\n", "line 2: 'one' under 'x' is no number"),
        ("upstream,x\na,1e999\n", "line 2: '1e999' under 'x' is not finite"),
        ("upstream,x\na," + "x" * 5000 + "\n", "under 'x' is no number"),
        ("upstream,é\na,1\n".encode("latin-1"), "in Latin-1"),
    ],
)
def test_an_outside_table_with_two_rows_for_one_upstream_is_refused(tmp_path, text, said):
    (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=re.escape(said)):
        read_outside_table(tmp_path / "t.csv")
