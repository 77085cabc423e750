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
import soundfile
import soxr
from scipy import signal

from extraction.datasets.base import Columns, Recording
from extraction.trying import page
from extraction.trying.copies import find_copies
from extraction.trying.encoders import BASIC, HUB, SAMPLES, load_encoders, loaded_as
from extraction.trying.evaluating import keep_groups_apart, plan_for
from extraction.trying.examining import examine, examine_one
from extraction.trying.finding import find_clips
from extraction.trying.findings import find_findings, to_drop
from extraction.trying.groups import groups_in_names, parts_of
from extraction.trying.options import TryOptions
from extraction.trying.page import next_steps
from extraction.trying.suspects import Suspect, agreed, confused, find_suspects
from jfewshot.commandline.parsing import start
from jfewshot.errors import UserError
from tests.reporting import webdriver

RATE = 8000


def tone(pitch, seed=0, seconds=0.4, rate=RATE):
    """A note with overtones and a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch *= 1 + 0.01 * rng.standard_normal()
    sound = sum(np.sin(2 * np.pi * pitch * k * time + rng.random()) / k for k in (1, 2, 3) if pitch * k < rate / 2)
    return 0.2 * sound * np.exp(-3 * time) + 0.01 * rng.standard_normal(len(time))


def write(path, wave, rate=RATE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, **options)
    return path


def make_folder(root, pitches=(300, 450, 700, 1100), n=6):
    for number, pitch in enumerate(pitches):
        for take in range(n):
            write(root / f"bird {number}" / f"{take:02d}.wav", tone(pitch, 100 * number + take))
    return root


def facts_of(root, **changes):
    found = find_clips(root, None, Columns(), None)
    facts = examine(found.used)
    return found, facts, find_findings(found, facts)


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


def test_groups_are_made_from_names_on_request_only(tmp_path):
    for label, pitch in (("a", 300), ("b", 500)):
        for speaker in ("anna", "ben"):
            write(tmp_path / label / f"{speaker}_{label}_1.wav", tone(pitch))
    assert {one.group for one in find_clips(tmp_path, None, Columns(), None).used} == {""}
    assert {one.group for one in find_clips(tmp_path, None, Columns(), "1").used} == {"anna", "ben"}
    pattern = r"/(\w+?)_"
    assert {one.group for one in find_clips(tmp_path, None, Columns(), pattern).used} == {"anna", "ben"}
    with pytest.raises(UserError, match="finds no group in 4 of 4 clips"):
        find_clips(tmp_path, None, Columns(), "9")
    with pytest.raises(UserError, match="0 pairs of parentheses"):
        find_clips(tmp_path, None, Columns(), "anna")
    assert parts_of("x/03_anna-b7.wav") == ["03", "anna", "b", "7"]


def test_a_speaker_in_file_names_is_noticed_and_a_number_of_takes_is_not():
    rng = np.random.default_rng(0)
    voices = rng.standard_normal((5, 12))
    ids, labels, sound = [], [], []
    for label in range(4):
        for speaker in range(5):
            for take in range(4):
                ids.append(f"c{label}/{label}_spk{speaker}_{take}.wav")
                labels.append(f"c{label}")
                sound.append(voices[speaker] + 0.5 * rng.standard_normal(12))
    named = groups_in_names(ids, labels, np.array(sound))
    assert (named.part, named.n_groups) == (3, 5)
    assert named.area > 0.9
    silent = rng.standard_normal((len(ids), 12))  # nothing to hear of the speaker
    assert groups_in_names(ids, labels, silent) is None


def bursts(seed, rate=2 * RATE):
    """Six bursts of noise, each in a band and at a level of its own."""
    rng = np.random.default_rng(seed)
    waves = []
    for _ in range(6):
        band = [rng.uniform(100, 800), rng.uniform(1200, 4000)]
        wave = signal.lfilter(*signal.butter(2, band, "bandpass", fs=rate), rng.standard_normal(rate // 3))
        waves.append(0.3 * rng.uniform(0.2, 1) * wave)
    return np.concatenate(waves).astype(np.float32)


def test_copies_are_found_at_another_level_rate_and_in_another_format(tmp_path):
    wave, rate = bursts(0), 2 * RATE
    paths = [
        write(tmp_path / "original.wav", wave, rate),
        write(tmp_path / "same.flac", soundfile.read(tmp_path / "original.wav")[0], rate),
        write(tmp_path / "quiet.ogg", 0.3 * wave, rate),
        write(tmp_path / "slow.wav", soxr.resample(wave, rate, 22050), 22050),
        write(tmp_path / "other.wav", bursts(1), rate),
        write(tmp_path / "another.wav", bursts(2), rate),
    ]
    facts = [examine_one(Recording(path.name, path, "x")) for path in paths]
    copies = find_copies(facts)
    assert copies.identical == (("original.wav", "same.flac"),)
    assert set(copies.alike) >= {("original.wav", "quiet.ogg"), ("original.wav", "slow.wav")}
    assert not any("other" in name for pair in copies.alike for name in pair)
    label = {path.name: "a" for path in paths}
    assert to_drop(copies, label) == {"same.flac": "identical to original.wav"}
    assert set(to_drop(copies, {**label, "same.flac": "b"})) == {"original.wav", "same.flac"}


def test_what_is_wrong_with_the_data_is_said_before_any_encoder_runs(tmp_path):
    make_folder(tmp_path / "d", n=8)
    for take in range(8):  # one class at another rate
        write(tmp_path / "d" / "bird 3" / f"{take:02d}.wav", tone(1100, take, rate=16000), 16000)
    shutil.copy(tmp_path / "d" / "bird 0" / "00.wav", tmp_path / "d" / "bird 1" / "again.wav")
    write(tmp_path / "d" / "bird 2" / "quiet.wav", 1e-4 * tone(700), subtype="FLOAT")
    write(tmp_path / "d" / "bird 2" / "loud.wav", np.clip(20 * tone(700), -1, 1))
    (tmp_path / "d" / "bird 2" / "song.m4a").write_bytes(b"x")
    (tmp_path / "d" / "top.wav").write_bytes(b"x")
    _, _, findings = facts_of(tmp_path / "d")
    said = " ".join(findings.warnings)
    assert "sample rate 16,000 Hz: bird 3" in said
    assert said.count("bird 0/00.wav = bird 1/again.wav") == 1
    assert (
        "1 recording is identical to another one: bird 0/00.wav = bird 1/again.wav. The copies are in different classes."
        in said
    )
    assert "1 clip is nearly silent: bird 2/quiet.wav" in said
    assert "1 clip is clipped" in said
    assert "song.m4a (format not read" in said
    assert "1 audio file lies in no class folder and was not taken: top.wav" in said
    assert findings.summary.startswith("35 clips of 4 classes")
    assert [row[0].text for row in findings.left_out.rows] == ["bird 2/song.m4a"]
    by_class = {row[0].text: row for row in findings.classes.rows}
    assert by_class["bird 2"][3].text == "10"
    assert by_class["bird 2"][4].text == "1"
    assert "--drop-copies leaves copies out" in said
    found, facts, _ = facts_of(tmp_path / "d")
    dropped = " ".join(find_findings(found, facts, drop_copies=True).warnings)
    assert "--drop-copies" not in dropped
    assert "The copies were left out, and recordings whose copy is of another class as well." in dropped
    _, _, clean = facts_of(make_folder(tmp_path / "clean"))
    assert clean.warnings == ()


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


def test_durations_that_tell_classes_apart_are_said(tmp_path):
    for take in range(6):
        write(tmp_path / "short" / f"{take}.wav", tone(300, take, 0.2 + 0.01 * take))
        write(tmp_path / "long" / f"{take}.wav", tone(300, 10 + take, 1.0 + 0.05 * take))
    _, _, findings = facts_of(tmp_path)
    assert any(text.startswith("The duration alone tells classes apart") for text in findings.warnings)


def test_shots_and_queries_are_those_that_the_smallest_class_allows():
    plan = plan_for({"a": 40, "b": 40}, False, None, False)
    assert (plan.shots, plan.n_query, plan.ways) == ((1, 2, 3, 5, 8, 12, 20), 13, 2)
    sizes = {f"c{n}": 30 for n in range(6)} | {"rare": 4}
    plan = plan_for(sizes, False, None, False)
    assert (plan.shots, plan.n_query, plan.ways) == ((1, 2, 3, 5, 8, 12, 20), 10, 5)
    assert plan.left_out == (("rare", 4),)
    few = plan_for({"a": 5, "b": 4, "c": 3}, False, None, False)
    assert (few.shots, few.n_query, few.min_clips) == ((1, 2), 1, 3)
    assert plan_for({"a": 40, "b": 40}, True, None, False).shots == (1, 5, 10)
    with pytest.raises(UserError, match=r"1 class has 3 clips or more.*a \(9\), b \(2\). Add clips$"):
        plan_for({"a": 9, "b": 2}, False, None, False)


def test_groups_leave_fewer_labels_or_cannot_be_kept_apart():
    plan = plan_for({f"c{n}": 60 for n in range(6)}, False, None, True)
    labels = [f"c{n}" for n in range(6) for _ in range(60)]
    # Each class has groups of its own: 20 of them, so even 12 labels leave some.
    own = [f"c{n} g{k % 20}" for n in range(6) for k in range(60)]
    kept, said = keep_groups_apart(plan, labels, own)
    assert kept.group_aware
    assert kept.shots[:5] == (1, 2, 3, 5, 8)
    # Eight speakers in all classes: the 25 training clips of five classes with 5 labels each are of nearly all of them.
    shared = [f"g{k % 8}" for n in range(6) for k in range(60)]
    kept, said = keep_groups_apart(plan, labels, shared)
    assert kept.group_aware
    assert kept.shots[0] == 1
    assert kept.shots[-1] < 8
    assert "20 labels per class" in said
    kept, said = keep_groups_apart(plan, labels, ["one"] * 360)
    assert not kept.group_aware
    assert "too few groups" in said
    assert keep_groups_apart(dataclasses.replace(plan, group_aware=False), labels, shared)[1] == ""


def episodes(n_episodes, n_classes, n_per_class, n_way, k_shot, n_query, seed=0):
    rng = np.random.default_rng(seed)
    clips = np.empty((n_episodes, n_way, k_shot + n_query), np.int64)
    for episode in range(n_episodes):
        for slot, label in enumerate(rng.choice(n_classes, n_way, replace=False)):
            clips[episode, slot] = label * n_per_class + rng.choice(n_per_class, k_shot + n_query, replace=False)
    return clips


def test_a_mislabelled_clip_is_found_and_named():
    n_classes, n_per_class, n_way, n_query = 6, 10, 4, 3
    clips = episodes(600, n_classes, n_per_class, n_way, 1, n_query)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    true = labels.copy()
    true[7] = 4  # filed under class 0, sounds like class 4
    slots = labels[clips[:, :, 0]]
    queries = clips[:, :, 1:].reshape(len(clips), -1)
    own = np.repeat(np.arange(n_way), n_query)
    match = slots[:, None, :] == true[queries][:, :, None]
    predicted = np.where(match.any(axis=2), match.argmax(axis=2), (own + 1) % n_way).astype(np.int8)
    draws = {
        "clips": clips,
        "class": np.array([f"k{label}" for label in labels]),
        "clip_id": np.array([f"clip{number}" for number in range(len(labels))]),
    }
    (suspect,) = find_suspects(predicted, draws, {"n_way": n_way, "k_shot": 1})
    assert (suspect.clip_id, suspect.label, suspect.taken_for) == ("clip7", "k0", "k4")
    assert suspect.taken == 1.0
    assert suspect.right < 0.25
    # Counted by hand: of the episodes with the clip as a query and class 4 beside it, all give it to class 4.
    assert suspect.class_right == pytest.approx(1 - 1 / n_per_class, abs=0.05)


def test_a_clip_is_suspicious_to_most_encoders_or_not_at_all():
    def suspect(clip, like, taken):
        return Suspect(clip, "own", like, taken, 0.1, 0.8)

    found = [[suspect("a", "x", 0.9), suspect("b", "x", 0.9)], [suspect("a", "x", 0.7), suspect("b", "y", 0.9)], []]
    assert agreed(found) == [suspect("a", "x", 0.9)]
    assert agreed(found[:1]) == found[0]  # a single encoder has nobody to agree with
    assert agreed([]) == []


def test_the_sentence_on_confusion_names_the_labels_as_a_whole_number(monkeypatch):
    monkeypatch.setattr(page, "shots_of", lambda board: 5.0)
    one = types.SimpleNamespace(confusion=np.array([[0.7, 0.3], [0.1, 0.9]]), class_names=("a", "b"))
    analysis = types.SimpleNamespace(board=types.SimpleNamespace(upstreams=("MFCC",)), paired=(one,))
    (said,) = page.clips_points(analysis, types.SimpleNamespace(main=None), [])
    assert said.startswith(
        "Most confused by MFCC (labels per class: 5), of the clips in episodes with both classes: 'a' is"
    )


def test_the_classes_that_are_confused_most_come_first():
    confusion = np.array([[0.9, 0.1, 0.0], [0.3, 0.7, np.nan], [0.02, 0.0, 0.98]])
    assert confused(confusion, ["a", "b", "c"]) == [("b", "a", 0.3), ("a", "b", 0.1)]


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
    assert "only clips that all of them took are evaluated" in said
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
