"""Recordings with the same bytes: found, named, and never negatives of each other."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from jfewshot.errors import UserError
from jfewshot.simclr.data import find_copies, keep_copies, known_copies, read_utterances, without_copies

RATE = 16_000


@pytest.fixture
def speech(tmp_path):
    folder = tmp_path / "speech"
    folder.mkdir()
    for k in range(6):
        # All of one size, so that sizes alone tell nothing.
        soundfile.write(folder / f"{k}.wav", np.random.default_rng(k).uniform(-0.1, 0.1, 8000), RATE)
    shutil.copy(folder / "2.wav", folder / "9.wav")
    (folder / "deep").mkdir()
    shutil.copy(folder / "2.wav", folder / "deep" / "7.wav")
    shutil.copy(folder / "4.wav", folder / "0-first.wav")
    return folder


def test_copies_are_found_by_content_and_named(speech, caplog):
    found = read_utterances(speech, 0.2)
    copies = find_copies(found)
    assert copies == {"0-first.wav": ["4.wav"], "2.wav": ["9.wav", "deep/7.wav"]}
    stay = without_copies(found, copies)
    assert [each.name for each in stay] == ["0-first.wav", "0.wav", "1.wav", "2.wav", "3.wav", "5.wav"]
    assert "left out: deep/7.wav has the same bytes as 2.wav" in caplog.text
    assert "3 of 9 recordings left out, because others have the same bytes" in caplog.text
    contents = {each.path.read_bytes() for each in found}
    assert len(stay) == len(contents)
    assert find_copies(stay) == {}
    # Where the recording is lost that a run began with, no copy takes its place.
    assert [each.name for each in without_copies(found[:2] + found[4:], copies)] == [
        "0-first.wav",
        "0.wav",
        "3.wav",
        "5.wav",
    ]


def test_a_manifest_s_copies_of_other_speakers_are_told(speech, caplog):
    manifest = speech / "m.jsonl"
    rows = [("2.wav", "ann"), ("./2.wav", "ann"), ("9.wav", "bob"), ("0.wav", "ann"), ("0.wav", "ann")]
    manifest.write_text("".join(json.dumps({"path": path, "speaker": who}) + "\n" for path, who in rows))
    found = read_utterances(manifest, 0.2)
    stay = without_copies(found, find_copies(found))
    assert [each.name for each in stay] == ["./2.wav", "0.wav"]
    assert "9.wav has the same bytes as ./2.wav; the speakers differ: ann, bob" in caplog.text
    assert "3 of 5 recordings left out" in caplog.text


def test_a_run_keeps_the_list_of_its_copies(tmp_path):
    assert known_copies(tmp_path) == {}
    keep_copies(tmp_path, {"a.wav": ["b.wav", "\u00e9.wav"]})
    assert known_copies(tmp_path) == {"a.wav": ["b.wav", "\u00e9.wav"]}
    (tmp_path / "copies.json").write_text("[1]")
    with pytest.raises(UserError, match=r"copies\.json cannot be read"):
        known_copies(tmp_path)
