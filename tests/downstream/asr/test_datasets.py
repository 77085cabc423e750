"""Transcribed speech as published: every text where it belongs, the usual divisions, what is wrong in one line."""

import os

import numpy as np
import pytest
import soundfile

from jfewshot.audio import read_audio
from jfewshot.downstream.asr.datasets import read_dataset
from jfewshot.downstream.asr.datasets.timit import read_timit
from jfewshot.downstream.timit import CORE_TEST, COUNTS, DEVELOPMENT
from jfewshot.errors import UserError


@pytest.fixture
def librispeech(tmp_path):
    for part, speaker in (("train-clean-100", "103"), ("dev-clean", "84"), ("test-clean", "61"), ("test-other", "7")):
        folder = tmp_path / "LibriSpeech" / part / speaker / "1240"
        folder.mkdir(parents=True)
        lines = []
        for number in range(2):
            name = f"{speaker}-1240-{number:04d}"
            (folder / f"{name}.flac").touch()
            lines.append(f"{name} IT'S CHAPTER {'ONE' if number else 'TWO'}\n")
        (folder / f"{speaker}-1240.trans.txt").write_text("".join(lines))
    return tmp_path


def test_librispeech_is_divided_as_published(librispeech):
    data = read_dataset("librispeech", librispeech)
    assert len(data.utterances) == 6
    first = data.utterances[0]
    assert (first.name, first.text, first.speaker) == ("dev-clean/84/1240/84-1240-0000.flac", "IT'S CHAPTER TWO", "84")
    (fold,) = data.folds(None, None)
    parts = [[data.utterances[n].part for n in side] for side in (fold.training, fold.development, fold.test)]
    assert parts == [["train-clean-100"] * 2, ["dev-clean"] * 2, ["test-clean"] * 2]
    both = read_dataset("librispeech", librispeech / "LibriSpeech", ((), (), ("test-clean", "test-other")))
    (fold,) = both.folds(None, None)
    assert {both.utterances[n].part for n in fold.test} == {"test-clean", "test-other"}
    with pytest.raises(UserError, match=r"train-other-500 holds no <speaker>/<chapter>/\*\.trans\.txt"):
        read_dataset("librispeech", librispeech, (("train-other-500",), (), ()))


def test_librispeech_without_a_text_or_a_recording_is_refused(librispeech):
    folder = librispeech / "LibriSpeech" / "train-clean-100" / "103" / "1240"
    table = folder / "103-1240.trans.txt"
    whole = table.read_text()
    table.write_text(whole.splitlines()[0] + "\n")
    with pytest.raises(UserError, match=r"103-1240-0001\.flac has no transcript in 103-1240\.trans\.txt"):
        read_dataset("librispeech", librispeech)
    table.write_text(whole.replace("0001 IT'S CHAPTER ONE", "0001 "))
    with pytest.raises(UserError, match="line 2: 103-1240-0001 has no transcript"):
        read_dataset("librispeech", librispeech)
    table.write_text(whole.replace("-0001", "-0009"))
    with pytest.raises(UserError, match=r"line 2 names 103-1240-0009, but there is no"):
        read_dataset("librispeech", librispeech)


PHONES = "0 900 h#\n900 1200 dcl\n1200 1400 d\n1400 1500 q\n1500 2000 ux\n2000 2200 h#\n"


@pytest.fixture(scope="module")
def timit(tmp_path_factory):
    """All 630 speakers' ten sentences, in TIMIT's layout; one of them with audio, in SPHERE."""
    root = tmp_path_factory.mktemp("timit")
    training = [f"{'MF'[n % 2]}{n:03d}0" for n in range(462)]
    others = [f"MX{n:02d}0" for n in range(94)]
    sides = {"TRAIN": training, "TEST": [*sorted(CORE_TEST), *sorted(DEVELOPMENT), *others]}
    (root / "one").write_text(PHONES)
    for side, speakers in sides.items():
        for speaker in speakers:
            folder = root / side / "DR1" / speaker.upper()
            folder.mkdir(parents=True)
            for name in ("SA1", "SA2", *(f"SI{n}" for n in range(3)), *(f"SX{n}" for n in range(5))):
                (folder / f"{name}.WAV").touch()
                os.link(root / "one", folder / f"{name}.PHN")
    return root


def test_timit_is_divided_as_everybody_does_and_folded_to_48(timit):
    data = read_dataset("timit", timit)
    parts = [each.part for each in data.utterances]
    assert {part: parts.count(part) for part in COUNTS} == COUNTS
    assert len(CORE_TEST) == 24
    assert len(DEVELOPMENT) == 50
    assert not CORE_TEST & DEVELOPMENT
    assert {each.text for each in data.utterances} == {"sil vcl d uw sil"}
    assert not any("/sa" in each.name.lower() for each in data.utterances)
    (fold,) = data.folds(None, None)
    assert fold.sizes() == {"training": 3696, "development": 400, "test": 192}
    assert {data.utterances[n].speaker for n in fold.test} == CORE_TEST


def test_timit_in_small_letters_below_another_folder_in_words_and_sphere(tmp_path):
    folder = tmp_path / "timit" / "train" / "dr1" / "fcjf0"
    folder.mkdir(parents=True)
    (tmp_path / "timit" / "test").mkdir()
    wave = 0.1 * np.sin(np.arange(8000))
    soundfile.write(folder / "si1.wav", wave, 16_000, format="NIST")
    (folder / "si1.wrd").write_text("0 900 She\n900 2000 had\n")
    (found,) = read_timit(tmp_path, "words", counts_checked=False).utterances
    assert (found.name, found.text, found.speaker) == ("train/dr1/fcjf0/si1.wav", "she had", "fcjf0")
    np.testing.assert_allclose(read_audio(found.path, 16_000), wave, atol=1e-4)


def test_a_timit_that_is_not_whole_is_refused(tmp_path):
    folder = tmp_path / "TRAIN" / "DR1" / "FAAA0"
    folder.mkdir(parents=True)
    (tmp_path / "TEST").mkdir()
    (folder / "SI1.WAV").touch()
    (folder / "SI1.WAV.wav").touch()
    with pytest.raises(UserError, match=r"SI1\.WAV\.wav has no \.PHN file in the same folder"):
        read_dataset("timit", tmp_path)
    (folder / "SI1.PHN").write_text("0 10 h#\n10 20 ae\n")
    assert [each.name for each in read_timit(tmp_path, counts_checked=False).utterances] == [
        "TRAIN/DR1/FAAA0/SI1.WAV.wav"
    ]
    with pytest.raises(UserError, match=r"has 1 utterances of TIMIT's train, as published there are 3,696"):
        read_dataset("timit", tmp_path)
    (folder / "SI1.PHN").write_text("0 10 h#\n10 20 xx\n")
    with pytest.raises(UserError, match="'xx', which is none of TIMIT's 61 phones"):
        read_dataset("timit", tmp_path)
    with pytest.raises(UserError, match="holds no TRAIN and TEST"):
        read_dataset("timit", folder)


def test_a_table_is_divided_by_its_split_by_speakers_or_at_random(tmp_path):
    for n in range(12):
        (tmp_path / f"{n}.wav").touch()
    table = tmp_path / "mine.csv"
    name = f"table:{table}"

    def write(header, line):
        table.write_text(header + "\n" + "".join(line(n) + "\n" for n in range(12)))

    write("path,text,split", lambda n: f"{n}.wav,word {n},{('train', 'dev', 'test')[n % 3]}")
    (fold,) = read_dataset(name, tmp_path).folds(None, None)
    assert fold.sizes() == {"training": 4, "development": 4, "test": 4}
    write("path,text,speaker", lambda n: f"{n}.wav,word {n},s{n % 4}")
    folds = read_dataset(name, tmp_path).folds(None, None)
    assert [fold.name for fold in folds] == ["s0", "s1", "s2", "s3"]
    assert read_dataset(name, tmp_path).folds(3, None)[0].sizes()["training"] in (3, 6)
    (tmp_path / "folds.csv").write_text("group,fold\ns0,a\ns1,b\ns2,c\ns9,a\n")
    with pytest.raises(UserError, match="fold a has the speaker 's9', of which mine has no utterance"):
        read_dataset(name, tmp_path).folds(None, tmp_path / "folds.csv")
    write("path,text", lambda n: f"{n}.wav,word {n}")
    (fold,) = read_dataset(name, tmp_path).folds(None, None)
    assert fold.sizes() == {"training": 10, "development": 1, "test": 1}
    with pytest.raises(UserError, match=r"0\.wav has no speaker, so mine cannot be divided by speakers"):
        read_dataset(name, tmp_path).folds(3, None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    {
        "path\n1.wav\n": "no column 'text'; it has path",
        "path,text\n": "no lines under its header",
        "path,text\n1.wav,\n": r"line 2 \(1\.wav\) has an empty transcript",
        "path,text\n9.wav,a\n": r"line 2 names 9\.wav, which is not below",
        "path,text\n1.wav,a\n1.wav,b\n": r"line 3 names 1\.wav again",
        "path,text\n,a\n": "line 2 has no path",
        "path,text,split\n1.wav,a,valid\n": r"line 2 \(1\.wav\) has the split 'valid'; it must be train, dev, test",
        "path,text,split\n1.wav,a,train\n": "mine has no utterance of dev; it has train",
    }.items(),
)
def test_what_is_wrong_with_a_table_is_said_in_a_line(tmp_path, text, complaint):
    (tmp_path / "1.wav").touch()
    table = tmp_path / "mine.csv"
    table.write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_dataset(f"table:{table}", tmp_path).folds(None, None)


def test_unknown_names_and_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="dataset 'wsj' is not known; give librispeech, timit"):
        read_dataset("wsj", tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        read_dataset("timit", tmp_path / "nowhere")
    with pytest.raises(UserError, match="are LibriSpeech's"):
        read_dataset("timit", tmp_path, (("train",), (), ()))
