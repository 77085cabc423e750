"""The blocks of code of the pages are run, one after the other, as a reader would; `make docs` does it.

A block that is not run carries a mark with the reason on the line before it. Installing is left out, because the environment is
there already. Everything else has to end with exit code 0.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import jfewshot
from tests.documentation.pages import ROOT, blocks, pages

RUN = ("", "bash", "python")
# Run by a test of its own, tests/doors/test_recipes.py, in an environment with the packages that it needs.
ELSEWHERE = ("docs/from_neighbours.md",)
# How many blocks of a page are not run. A mark more or less has to be entered here.
MARKS = {
    "docs/asr.md": 4,
    "docs/benchmarks.md": 6,
    "docs/classifiers.md": 3,
    "docs/clusters.md": 6,
    "docs/commands.md": 1,
    "docs/emotion.md": 4,
    "docs/extraction.md": 6,
    "docs/installing.md": 2,
    "docs/pretraining.md": 13,
    "docs/phones.md": 3,
    "docs/report.md": 2,
    "docs/running.md": 1,
    "docs/samples.md": 3,
    "docs/store.md": 1,
    "docs/suite.md": 4,
    "docs/training_loops.md": 2,
    "docs/upstreams.md": 10,
}


def to_run(page: Path) -> list:
    """The blocks of a page that are run: those in a language of programs that carry no mark."""
    return [block for block in blocks(page) if block.language in RUN and block.reason is None]


PAGES = [name for page in pages() if (name := page.relative_to(ROOT).as_posix()) not in ELSEWHERE and to_run(page)]


def make_recordings(folder: Path, rate: int = 16_000) -> None:
    """Six kinds of birds with fourteen clips each: tones that rise or fall, in noise."""
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(0)
    time = np.arange(rate) / rate
    for number in range(6):
        place = folder / f"bird {number}"
        place.mkdir(parents=True)
        for clip in range(14):
            start, slope = 400 * (number + 1) * rng.uniform(0.9, 1.1), 300 * (number % 3 - 1)
            wave = np.sin(2 * np.pi * (start + slope * time / 2) * time) + rng.normal(0, 0.3, rate)
            soundfile.write(place / f"{clip:02}.wav", 0.2 * wave, rate)


def make_stores(folder: Path) -> None:
    """Two encoders on clips of six birds, with splits, speakers and sites, and one store with two layers."""
    rng = np.random.default_rng(0)
    labels = np.repeat([f"bird {c}" for c in range(6)], 40)
    about = {
        "dataset": "birds",
        "splits": np.tile(["train", "test"], 120),
        "groups": np.tile([f"recorder {g}" for g in range(4) for _ in range(10)], 6),
        "further": {"site": np.tile(["north", "south"], (6, 20)).ravel()},
    }
    means = np.repeat(rng.normal(size=(6, 32)), 40, axis=0)
    for name in ("yamnet", "whisper_tiny_en"):
        embeddings = means + rng.normal(scale=2, size=means.shape)
        jfewshot.create_store(folder / "birds" / name, embeddings, labels, upstream=name, **about)


def make_what_pages_need(folder: Path, page: str) -> dict:
    """Recordings, embeddings and stores, as a reader of the page would have them; returns the names for its Python."""
    make_recordings(folder / "birds")
    shutil.copytree(folder / "birds/bird 0", folder / "recordings")
    (folder / "recordings/00.wav").rename(folder / "recordings/dawn.wav")
    rng = np.random.default_rng(0)
    labels = np.repeat([f"class{c}" for c in range(6)], 30)
    np.save(folder / "embeddings.npy", rng.normal(size=(180, 16)).astype(np.float32))
    (folder / "labels.txt").write_text("\n".join(labels))
    if page != "docs/quickstart.md":  # this page makes a folder `stores` of its own
        make_stores(folder / "stores")
    if page == "docs/fusion.md":
        layers = {name: rng.normal(size=(180, 16)) for name in ("0.mean", "last.mean")}
        jfewshot.create_store(folder / "stores/frogs/mine", layers, labels, dataset="frogs", upstream="mine")
    if page == "docs/report.md":
        evaluate = "jfewshot run --episodes 300 --out"
        run_in_shell(f"{evaluate} results; cp -r results before; cp -r results after", page)
        (folder / "scores.csv").write_text("upstream,wer\nyamnet,40\nwhisper_tiny_en,5\nmoonshine_tiny,6\nfbank,60\n")
    return {"embeddings": rng.normal(size=(180, 16)), "labels": labels, "speakers": None}


def run_in_shell(text: str, where: str) -> None:
    """Run lines of a shell; an exit code other than 0 fails the test."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": programs, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-e", "-c", text], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{where}: {done.stdout[-500:]}{done.stderr[-2000:]}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a page may leave a file to be closed
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = make_what_pages_need(tmp_path, page)
    for block in to_run(ROOT / page):
        if block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        else:
            lines = [line for line in block.text.splitlines() if not line.startswith(("pip ", "make "))]
            run_in_shell("\n".join(lines), str(block))


def test_blocks_that_are_not_run_are_listed_and_give_a_reason():
    marked = [block for page in pages() for block in blocks(page) if block.reason is not None]
    for block in marked:
        assert len(block.reason.split()) >= 2, f"{block}: say why it is not run"
        assert block.language in RUN, f"{block}: only what could be run needs a mark"
    assert Counter(block.page.relative_to(ROOT).as_posix() for block in marked) == MARKS
