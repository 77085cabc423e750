"""The folder of a leaderboard: made, built, checked; and its page in a real browser."""

import csv
import json

import pytest

from jfewshot.errors import UserError
from jfewshot.suite.__main__ import main
from jfewshot.suite.contribution import contribution_text
from jfewshot.suite.definition import load_suite
from jfewshot.suite.leaderboard import build_leaderboard, make_leaderboard, read_leaderboard
from tests.reporting import webdriver
from tests.suite.synthetic import contribution, small_suite, suite_text

DATASETS = ("birds", "words", "frogs", "digits", "bats", "speakers")
SKILLS = {"alpha": 0.5, "βήτα <b>": 0.8, "gamma": 0.65}


def add(folder, one, name):
    (folder / "contributions" / f"{name}.json").write_text(contribution_text(one))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaderboard")
    suite = small_suite(DATASETS)
    make_leaderboard(folder, suite)
    for number, (name, skill) in enumerate(SKILLS.items()):
        add(folder, contribution(suite, name, skill), f"file{number}")
    build_leaderboard(read_leaderboard(folder))
    return folder


def test_the_folder_of_a_shipped_suite_is_made_built_and_checked(tmp_path, capsys):
    folder = str(tmp_path / "board")
    assert main(["init", folder, "--suite", "samples"]) == 0
    assert main(["build", folder]) == 0
    assert main(["build", folder, "--check"]) == 0
    board = json.loads((tmp_path / "board" / "leaderboard.json").read_text())
    assert board["standings"]["all"]["all"]["encoders"][0] == "Whisper tiny.en (whisper_tiny_en)"
    rows = list(csv.DictReader((tmp_path / "board" / "leaderboard.csv").read_text().splitlines()))
    assert len(rows) == 32
    assert {row["track"] for row in rows} == {"all", "paper-1", "chosen-1", "chosen-5"}
    page = tmp_path / "board" / "index.html"
    page.write_text(page.read_text().replace("714.2", "814.2").replace("714.", "814."))
    assert main(["build", folder, "--check"]) == 1
    assert "index.html is not what the contributions give" in capsys.readouterr().out
    # What is there is kept, and the folder is that of one suite.
    (tmp_path / "board" / "README.md").write_text("ours")
    assert main(["init", folder, "--suite", "samples"]) == 0
    assert (tmp_path / "board" / "README.md").read_text() == "ours"
    with pytest.raises(UserError, match="is the leaderboard of another suite"):
        main(["init", folder, "--suite", "paper10"])


def test_the_recipe_validates_and_builds(tmp_path):
    yaml = pytest.importorskip("yaml")
    make_leaderboard(tmp_path, load_suite("samples"))
    recipe = yaml.safe_load((tmp_path / ".github" / "workflows" / "leaderboard.yml").read_text())
    commands = [step["run"] for step in recipe["jobs"]["validate"]["steps"] if "run" in step]
    assert [text for text in commands if text.startswith("jfewshot")] == [
        "jfewshot suite validate contributions",
        "jfewshot suite build .",
    ]


def test_a_contribution_that_is_not_in_order_stops_the_page(tmp_path, capsys):
    suite = small_suite()
    make_leaderboard(tmp_path, suite)
    add(tmp_path, contribution(suite, "alpha"), "alpha")
    add(tmp_path, contribution(suite, "alpha", 0.9), "again")
    add(tmp_path, contribution(small_suite(("birds", "bats"))), "other")
    (tmp_path / "contributions" / "damaged.json").write_text("{")
    assert main(["build", str(tmp_path)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3
    assert "again.json is of the encoder 'alpha' too; keep one of the two" in said[0]
    assert "damaged.json is not JSON" in said[1]
    assert "its tasks are not those of the suite 'small', version 1" in said[2]
    assert not (tmp_path / "index.html").exists()
    assert main(["validate", str(tmp_path / "contributions" / "other.json")]) == 1


def test_a_suite_of_a_newer_version_and_one_that_was_edited_are_refused(tmp_path):
    value = json.loads(suite_text(load_suite("samples")))
    for change, said in (
        ({"version": 2}, "version 2 of the suite 'samples', and version 1 is the newest here; install a newer"),
        ({"title": "Ours"}, "is not version 1 of the suite 'samples' as it was frozen"),
    ):
        (tmp_path / "suite.json").write_text(json.dumps(value | change))
        with pytest.raises(UserError, match=said):
            main(["build", str(tmp_path)])
    (tmp_path / "suite.json").unlink()
    with pytest.raises(UserError, match=r"is no leaderboard: it has no suite\.json"):
        main(["build", str(tmp_path)])


def test_a_leaderboard_without_contributions_has_a_page(tmp_path):
    make_leaderboard(tmp_path, small_suite())
    build_leaderboard(read_leaderboard(tmp_path))
    assert "There is no contribution yet" in (tmp_path / "index.html").read_text()


def test_a_folder_of_contributions_is_validated_and_may_be_empty(folder, tmp_path, capsys):
    assert main(["validate", str(folder / "contributions")]) == 0
    said = capsys.readouterr().out
    assert [line[:2] for line in said.splitlines()] == ["ok"] * 3  # what three agree on is verified
    (tmp_path / "contributions").mkdir()
    assert main(["validate", str(tmp_path / "contributions")]) == 0
    assert capsys.readouterr().out == ""


def test_digests_that_two_contributions_share_are_kept(folder):
    kept = json.loads((folder / "digests.json").read_text())
    assert kept["digests"]["bats-paper-1"]["draws"]["by"] == sorted(SKILLS)


browser = pytest.mark.skipif(not webdriver.available(), reason="needs Chromium and chromedriver")
ROWS = "return [...document.querySelectorAll('#board tbody tr')].map(r => r.cells[0].textContent)"
CHOOSE = "const s = document.getElementById('{0}'); s.value = '{1}'; s.dispatchEvent(new Event('{2}'));"


@pytest.fixture(scope="module")
def window():
    with webdriver.browser() as opened:
        yield opened


@browser
def test_the_page_opens_from_disk_without_errors_and_loads_nothing(window, folder):
    window.open((folder / "index.html").as_uri())
    assert window.errors() == []
    assert window.run("return performance.getEntriesByType('resource').map(e => e.name)") == []
    # Best score first; intervals over episodes and, from six datasets on, over datasets.
    assert window.run(ROWS) == ["βήτα <b>", "gamma", "alpha"]
    assert "±" in window.run("return document.querySelector('#board tbody tr').lastChild.textContent")
    assert "[" in window.run("return document.querySelector('#board tbody td').textContent")
    assert "95% interval over datasets" in window.run("return document.getElementById('interval').textContent")
    assert window.run("return document.querySelectorAll('#chart circle').length") == 3
    assert "does not hinge" in window.run("return document.getElementById('hinge').textContent")


@browser
def test_the_table_sorts_with_pointer_and_keyboard(window, folder):
    window.open((folder / "index.html").as_uri())
    head = "document.querySelectorAll('#board thead button')"
    window.run(f"{head}[1].click()")
    assert window.run(ROWS) == ["alpha", "gamma", "βήτα <b>"]
    window.run(f"{head}[0].focus()")
    window.press("\ue007")
    assert window.run(ROWS) == ["alpha", "gamma", "βήτα <b>"]
    assert window.run("return document.querySelector('#board thead th').getAttribute('aria-sort')") == "ascending"
    window.press("\ue007")
    assert window.run(ROWS) == ["βήτα <b>", "gamma", "alpha"]


@browser
def test_families_tracks_and_names_filter(window, folder):
    window.open((folder / "index.html").as_uri())
    columns = "return [...document.querySelectorAll('#board thead button')].map(b => b.textContent)"
    assert len(window.run(columns)) == 10
    window.run(CHOOSE.format("family", "speech", "change"))
    assert window.run(columns) == ["Encoder", "Score", "Avg Rank", "Avg", "Words", "Digits", "Speakers"]
    assert "fewer than 6 datasets" in window.run("return document.getElementById('interval').textContent")
    whole = window.run("return document.querySelector('#board tbody td').textContent")
    window.run(CHOOSE.format("track", "paper-1", "change"))
    assert window.run("return document.querySelector('#board tbody td').textContent") != whole
    window.run(CHOOSE.format("search", "gam", "input"))
    assert window.run(ROWS) == ["gamma"]
    assert window.run("return document.getElementById('status').textContent") == "1 of 3 encoders, 3 datasets."


@browser
def test_the_page_is_light_and_dark_and_as_wide_as_the_window(window, folder):
    window.open((folder / "index.html").as_uri())
    paper = "return getComputedStyle(document.body).backgroundColor"
    first = window.run(paper)
    window.run("document.getElementById('theme').click()")
    assert window.run(paper) != first
    assert window.run("return document.getElementById('theme').getAttribute('aria-pressed')") == "true"
    window.run("document.getElementById('theme').click()")
    for width in (420, 1600):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        window._call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})
        wide = window.run(
            "const most = document.documentElement.clientWidth; if (document.documentElement.scrollWidth <= most) return [];"
            "return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > most)"
            ".map(e => e.outerHTML.slice(0, 60));"
        )
        assert wide == []
    missing = window.run(
        """
        const bad = [];
        for (const e of document.querySelectorAll("select, input")) if (!e.labels.length) bad.push(e.id);
        for (const e of document.querySelectorAll("table")) if (!e.caption) bad.push("a table without a caption");
        for (const e of document.querySelectorAll("[role=img]")) if (!e.getAttribute("aria-label")) bad.push(e.id);
        return bad;
        """
    )
    assert missing == []
