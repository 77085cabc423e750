"""`jfewshot try`: from a folder of recordings to an answer."""

import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from extraction.datasets.base import Columns, Recording
from extraction.trying.encoders import BASIC, HUB, SAMPLES, load_encoders, loaded_as
from extraction.trying.evaluating import plan_for
from extraction.trying.examining import examine
from extraction.trying.finding import find_clips
from extraction.trying.options import TryOptions
from extraction.trying.page import next_steps
from extraction.trying.suspects import Suspect
from jfewshot.commandline.parsing import start
from jfewshot.errors import UserError
from tests.extraction.try_folders import facts_of, make_folder, tone, write
from tests.reporting import webdriver

TRY = """
import sys
import importlib.abc


class NoTorch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchaudio", "s3prl", "transformers"):
            raise ModuleNotFoundError(f"{name} is not to be imported", name=name)


sys.meta_path.insert(0, NoTorch())
from extraction.trying.command import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """A folder, and what the command wrote about it to standard output."""
    folder = tmp_path_factory.mktemp("try")
    make_folder(folder / "birds")
    (folder / "birds" / "bird 0" / "notes.txt").write_text("no audio")
    (folder / "birds" / "bird 0" / "broken.wav").write_bytes(b"RIFF broken")
    options = ["--upstreams", "fbank", "mfcc", "--quick", "--episodes", "60", "--workers", "0"]
    command = [sys.executable, "-c", TRY, "birds", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_recommended_encoder_is_fitted_on_the_embeddings_that_are_there(tried, monkeypatch, capsys):
    folder, shown = tried
    monkeypatch.chdir(folder)
    from extraction.heads import fit_command
    from extraction.trying.recommended import read_recommended

    recommended = read_recommended(Path("try-birds"))
    assert f"jfewshot fit birds --from {folder / 'try-birds'} --out head-birds" in shown
    assert recommended.encoder in ("fbank", "mfcc")
    assert recommended.classifier == "ridge:alpha=auto"
    assert any("broken.wav" in text for text in recommended.cautions)
    fit_command.main(["birds", "--from", "try-birds", "--out", "head", "--workers", "0"])
    manifest = json.loads((folder / "head" / "head.json").read_text())
    assert manifest["encoder"]["load"] == recommended.encoder
    assert manifest["classes"] == [f"bird {number}" for number in range(4)]
    assert not (folder / "try-birds" / "fit").exists()
    said = capsys.readouterr().out
    assert "was the best encoder of try-birds" in " ".join(said.split())
    # With a clip more, the embeddings are computed for all clips.
    write(folder / "birds" / "bird 0" / "new.wav", tone(300, 77))
    try:
        fit_command.main(["birds", "--from", "try-birds", "--out", "head", "--replace", "--workers", "0"])
    finally:
        (folder / "birds" / "bird 0" / "new.wav").unlink()
    assert json.loads((folder / "head" / "head.json").read_text())["clips"]["bird 0"] == 7


def test_a_folder_gives_an_answer_without_torch(tried):
    folder, shown = tried
    said = " ".join(shown.split())
    assert "24 clips of 4 classes" in said
    assert "1 file cannot be used: bird 0/broken.wav" in said
    assert "1 .txt" in said
    assert re.search(r"Best: (FBANK|MFCC), [\d.]+% on birds with 1 label per class, 4 classes at a time", said)
    assert "Fewer than 8 classes" in said
    assert said.index("The data:") < said.index("Best:") < said.index("Next:")
    page = (folder / "try-birds" / "index.html").read_text(encoding="utf-8")
    assert "Which encoder for birds?" in page
    assert "bird 0/broken.wav" in page
    assert page.index("The data</h2>") < page.index("What the embeddings say") < page.index("What to do next</h2>")


def test_several_folders_are_merged_by_the_names_of_their_classes(tmp_path):
    for year, label in (("2024", "crow"), ("2025", "crow"), ("2025", "owl")):
        write(tmp_path / year / label / "0.wav", tone(300))
    found = find_clips(tmp_path / "2024", None, Columns(), None, [tmp_path / "2025"])
    assert [(one.clip_id, one.label) for one in found.used] == [
        ("2024/crow/0.wav", "crow"),
        ("2025/crow/0.wav", "crow"),
        ("2025/owl/0.wav", "owl"),
    ]
    assert all(one.path.is_file() for one in found.used)
    by_year = find_clips(tmp_path / "2024", None, Columns(), r"^(\d+)/", [tmp_path / "2025"])
    assert [one.group for one in by_year.used] == ["2024", "2025", "2025"]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("2024", "2024/crow", "lies in"),
        ("2024", "other/2024", "two folders are called '2024'"),
        ("2024", "nowhere", "is not a folder"),
        ("2024", "2025", "have one class together"),
        ("clips.csv", "2024", "add the rows to the table"),
    ],
)
def test_folders_that_cannot_be_merged_are_refused_in_a_line(tmp_path, first, second, said):
    for folder in ("2024", "2025", "other/2024"):
        write(tmp_path / folder / "crow" / "0.wav", tone(300))
    (tmp_path / "clips.csv").write_text("path,label\n2024/crow/0.wav,crow\n")
    with pytest.raises(UserError, match=said):
        find_clips(tmp_path / first, None, Columns(), None, [tmp_path / second])


@pytest.mark.skipif(not webdriver.available(), reason="needs Chromium and chromedriver")
def test_the_page_works_in_a_browser(tried):
    page = (tried[0] / "try-birds" / "index.html").as_uri()
    with webdriver.browser() as window:
        window.open(page)
        window.wait("return document.querySelector('#answer .chart.drawn .main-svg')")
        assert window.errors() == []
        headings = window.run("return [...document.querySelectorAll('#report > section > h2')].map(e => e.textContent)")
        assert [text for text in headings if text != "Classes and clips"] == [
            "The answer",
            "The data",
            "What to do next",
        ]
        # A click on a clip plays it in its place, without leaving the page.
        window.run(
            "document.querySelector('#report').insertAdjacentHTML('beforeend',"
            ' \'<a id=clip href="../birds/bird%200/00.wav">a clip</a> <a id=other href="answer.txt">no clip</a>\');'
            " document.getElementById('clip').click(); document.getElementById('clip').click();"
        )
        window.wait("return document.querySelector('#clip + audio')?.duration > 0.3")
        assert window.run("return document.querySelectorAll('audio').length") == 1
        assert window.run("return document.querySelector('audio').getAttribute('aria-label')") == "Player of a clip"
        assert window.errors() == []


def test_python_gives_the_same_answer_computes_nothing_again_and_suits_a_notebook(tried, caplog):
    import jax

    import jfewshot

    jax.devices()  # JAX runs, so the tests after this one keep the devices that conftest.py asks for
    folder, shown = tried
    records = {path: path.read_bytes() for path in (folder / "try-birds/results/records").iterdir()}
    with caplog.at_level("INFO"):
        found = jfewshot.try_folder(
            *(folder / "birds",),
            upstreams=["fbank", "mfcc"],
            quick=True,
            episodes=60,
            workers=0,
            out=folder / "try-birds",
        )
    assert sum("is there already" in message for message in caplog.messages) == 2
    assert {path: path.read_bytes() for path in (folder / "try-birds/results/records").iterdir()} == records
    assert found.page == folder / "try-birds" / "index.html"
    assert " ".join(found.answer[0].split()) in " ".join(shown.split())
    assert (found.plan.shots, found.plan.n_query) == ((1,), 2)
    assert {record["upstream"]["name"] for record in found.records} == {"fbank", "mfcc"}
    html = found._repr_html_()
    assert "Best: " in html
    assert html.count("<tr>") == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "does not exist"),
        (lambda root: write(root / "a.wav", tone(300)), "1 audio file and no folder per class"),
        (lambda root: write(root / "a" / "a.wav", tone(300)), "two classes are needed"),
        (lambda root: make_folder(root / "inner"), "did you mean"),
        (lambda root: (root / "a").mkdir(parents=True), "holds no audio in folders"),
    ],
)
def test_a_folder_that_is_not_one_of_classes_is_refused_with_the_fix(tmp_path, make, message):
    make(tmp_path / "clips")
    with pytest.raises(UserError, match=message):
        find_clips(tmp_path / "clips", None, Columns(), None)


def test_a_table_names_clips_classes_and_groups(tmp_path):
    make_folder(tmp_path / "audio", n=2)
    rows = ["file,kind,speaker"] + [f"bird {c}/{t:02d}.wav,b{c},s{t}" for c in range(4) for t in range(2)]
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    columns = Columns(audio="file", label="kind", group="speaker")
    found = find_clips(tmp_path / "clips.csv", tmp_path / "audio", columns, None)
    assert (found.name, len(found.used)) == ("clips", 8)
    assert {one.group for one in found.used} == {"s0", "s1"}
    assert {one.label for one in found.used} == {"b0", "b1", "b2", "b3"}


def test_a_linked_folder_keeps_the_name_that_was_typed(tmp_path):
    make_folder(tmp_path / "spk", n=1)
    (tmp_path / "birds").symlink_to(tmp_path / "spk")
    alone = find_clips(tmp_path / "birds", None, Columns(), None)
    assert (alone.name, alone.dataset().info.name) == ("birds", "birds")
    merged = find_clips(tmp_path / "birds", None, Columns(), None, [make_folder(tmp_path / "more", n=1)])
    assert (merged.name, merged.used[0].clip_id) == ("birds", "birds/bird 0/00.wav")


def test_the_commands_of_the_page_keep_the_options_that_were_given(tmp_path):
    folder = make_folder(tmp_path / "my birds", n=3)
    shutil.copy(folder / "bird 0" / "00.wav", folder / "bird 0" / "again.wav")
    found, _, findings = facts_of(folder)
    plan = plan_for({f"bird {n}": 3 for n in range(4)}, False, 3, False)
    given = TryOptions(
        folder, group_from=r"^(\d+)", min_clips=3, group_aware=False, classifiers=("ridge:alpha=auto", "centroid")
    )
    given = dataclasses.replace(given, columns=Columns(label="kind"))
    steps = next_steps(found, given, tmp_path / "out", plan, findings, [])
    (add,) = (text.partition("downloaded): ")[2] for text in steps if text.startswith("Add encoders"))
    (copies,) = (text.partition(": ")[2] for text in steps if text.startswith("Leave copies out"))
    assert "--column.label kind" in next(text for text in steps if text.startswith("Use the best encoder"))
    wanted = dataclasses.replace(given, out=tmp_path / "out")
    for command, changes in (
        (add, {"hub": True}),
        (copies, {"drop_copies": True}),
    ):
        read = start(TryOptions, shlex.split(command)[2:], "try")
        assert read == dataclasses.replace(wanted, **changes)
    assert start(TryOptions, ["--group-aware", "birds"], "try").group_aware is True
    dropped = next_steps(found, dataclasses.replace(given, drop_copies=True), tmp_path, plan, findings, [])
    assert not any(text.startswith("Leave copies out") for text in dropped)
    assert all("--drop-copies" in text for text in dropped if text.startswith("Add encoders"))


def test_links_on_the_page_lead_to_the_clips(tmp_path):
    from extraction.trying.finding import Found
    from extraction.trying.page import suspects_grid

    clip = write(tmp_path / "data" / "a b" / "x#1.wav", tone(300))
    found = Found("data", tmp_path / "data", (Recording("a b/x#1.wav", clip, "a b"),), ())
    table = suspects_grid([Suspect("a b/x#1.wav", "a b", "c", 0.9, 0.1, 0.8)], found, tmp_path / "try-data")
    assert table.rows[0][0].link == "../data/a%20b/x%231.wav"
    from urllib.parse import unquote

    assert (tmp_path / "try-data" / unquote(table.rows[0][0].link)).resolve() == clip


def test_missing_packages_are_named_with_the_extra(monkeypatch):
    from extraction.trying import encoders

    monkeypatch.setattr(encoders.importlib.util, "find_spec", lambda name: None if name == "flax" else object())
    with pytest.raises(UserError, match=r"flax.*pip install 'jfewshot\[audio\]'"):
        encoders.require_audio_packages(())
    encoders.require_audio_packages(("fbank",))  # which needs no flax


def test_encoders_of_the_hub_are_tried_on_request_and_named_where_they_cannot_be_had(monkeypatch):
    loaded = []

    def load(name, options):
        loaded.append(name)
        if name in ("hf:microsoft/wavlm-base-plus", "yamnet"):
            raise UserError("there is no internet")
        return types.SimpleNamespace(name=name.rpartition("/")[2])

    monkeypatch.setattr("extraction.trying.encoders.load_upstream", load)
    found, without = load_encoders((), hub=True)
    assert loaded == [*BASIC, *SAMPLES, *HUB]
    assert len(found) == len(loaded) - 2
    assert without == ["yamnet: there is no internet", "hf:microsoft/wavlm-base-plus: there is no internet"]
    as_written = loaded_as((), True, found, without)
    assert as_written["whisper-base"] == "hf:openai/whisper-base"
    assert "wavlm-base-plus" not in as_written
    loaded.clear()
    load_encoders(("mfcc",), hub=True)
    assert loaded == ["mfcc", *HUB]
    loaded.clear()
    load_encoders()
    assert loaded == [*BASIC, *SAMPLES]


def test_the_extra_has_what_a_try_asks_for():
    import tomllib

    from extraction.trying.encoders import AUDIO_PACKAGES

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    names = {
        re.match(r"[\w-]+", text)[0].replace("-", "_") for text in project["project"]["optional-dependencies"]["audio"]
    }
    assert names == set(AUDIO_PACKAGES)


def test_encoders_that_took_different_clips_are_compared_on_those_that_all_took(tmp_path):
    from extraction.trying.evaluating import Plan, evaluate_plan
    from jfewshot.store import create_store

    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 8)
    rows = rng.normal(size=(24, 6)) + 3 * np.eye(6)[np.repeat([0, 1, 2], 8)]
    ids = [f"clip{number:02d}" for number in range(24)]
    for name, kept in (("all", slice(None)), ("some", slice(1, None))):
        create_store(tmp_path / name, rows[kept], list(labels[kept]), dataset="d", upstream=name, clip_ids=ids[kept])
    plan = Plan((1,), 2, 3, 3, (), False)
    stores = [tmp_path / "all", tmp_path / "some"]
    _, records, said = evaluate_plan(stores, plan, ["centroid"], 40, tmp_path / "results")
    assert "only clips that all of them used are evaluated" in said
    assert "some 23" in said
    assert {record["counts"]["clips"] for record in records} == {23}


def test_stretches_of_long_recordings_are_clips_and_their_recordings_groups(tmp_path):
    calls = [tone(300 + 200 * (k % 2), seed=k, seconds=0.5) for k in range(6)]
    write(tmp_path / "dawn.wav", np.concatenate(calls))
    rows = ["path,label,start_s,end_s", *(f"dawn.wav,b{k % 2},{0.5 * k},{0.5 * k + 0.4}" for k in range(6))]
    (tmp_path / "calls.csv").write_text(
        "\n".join([*rows, "dawn.wav,b0,0.45,0.6"])
    )  # the last one reaches into another class
    found = find_clips(tmp_path / "calls.csv", None, Columns(), None)
    facts = examine(found.used)
    assert [round(one.duration_s, 3) for one in facts] == [0.4] * len(facts)
    assert {one.group for one in found.used} == {"dawn.wav"}
    left = [one.left_out for one in found.recordings if one.left_out]
    assert len(left) == 2
    assert all(text.startswith("overlaps with") for text in left)
