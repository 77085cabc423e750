"""The blocks of code of some pages are run, one after the other, as a reader would; `make docs` does it.

Installing is left out, for the environment is there. Everything else has to end with exit code 0.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.documentation.pages import ROOT, blocks

# Pages without a block that is marked as not run need nothing but this package and the recordings that are made here.
PAGES = ("docs/quickstart.md", "docs/training_loops.md", "README.md")


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a page may leave a file to be closed
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    make_recordings(tmp_path / "birds")
    rng = np.random.default_rng(0)
    labels = np.repeat([f"class{c}" for c in range(6)], 30)
    np.save(tmp_path / "embeddings.npy", rng.normal(size=(180, 16)).astype(np.float32))
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    names = {"embeddings": rng.normal(size=(180, 16)), "labels": labels, "speakers": None}
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": programs, "PYTHONPATH": str(ROOT)}
    monkeypatch.chdir(tmp_path)
    n_run = 0
    for block in blocks(ROOT / page):
        if block.reason:
            continue
        if block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        elif block.language in ("", "bash"):
            lines = [line for line in block.text.splitlines() if not line.startswith(("pip ", "make "))]
            done = subprocess.run(
                ["bash", "-e", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, timeout=600
            )
            assert done.returncode == 0, f"{block}: {done.stdout[-500:]}{done.stderr[-2000:]}"
        n_run += 1
    assert n_run


def test_marks_give_a_reason():
    marked = [
        block for path in sorted((ROOT / "docs").rglob("*.md")) for block in blocks(path) if block.reason is not None
    ]
    for block in marked:
        assert len(block.reason.split()) >= 2, f"{block}: say why it is not run"
