"""Labelled phones as published: every phone where it belongs, the usual division, what is wrong in one line."""

import csv

import numpy as np
import pytest
import soundfile

from jfewshot.downstream.cache import FrameCache
from jfewshot.downstream.phones.datasets import read_dataset
from jfewshot.downstream.phones.datasets.dirha import read_dirha
from jfewshot.downstream.phones.datasets.own import write_table
from jfewshot.downstream.phones.datasets.timit import read_timit
from jfewshot.downstream.phones.phone_sets import timit_phones
from jfewshot.errors import UserError
from jfewshot.simclr.features import FbankSettings
from tests.downstream.phones.made import CORE_TEST, DEVELOPMENT, TRAINING, make_dirha, make_timit

MICROPHONE = "Beam_Circular_Array"


@pytest.fixture(scope="module")
def timit(tmp_path_factory):
    return make_timit(tmp_path_factory.mktemp("timit"))


def test_timit_has_its_own_segmentation_and_the_usual_division(timit):
    data = read_timit(timit, counts_checked=False)
    assert len(data.utterances) == 3 * (
        len(TRAINING) + len(DEVELOPMENT) + len(CORE_TEST)
    )  # neither SA nor the other speakers
    assert not any("/SA" in each.name for each in data.utterances)
    (fold,) = data.folds(None, None)
    speakers = [
        {data.utterances[n].speaker.upper() for n in part} for part in (fold.training, fold.development, fold.test)
    ]
    assert speakers == [set(TRAINING), set(DEVELOPMENT), set(CORE_TEST)]
    first = data.utterances[0]
    lines = [line.split() for line in (timit / first.name).with_suffix(".PHN").read_text().splitlines()]
    assert first.segments.as_lists() == [
        [float(line[0]) for line in lines], [float(line[1]) for line in lines], [line[2] for line in lines]
    ]  # fmt: skip
    assert first.segments.end[-1] == soundfile.info(timit / first.name).frames
    assert data.digest != read_timit(timit, counts_checked=False).without({first.name}).digest
    with pytest.raises(UserError, match=r"has 12 utterances of TIMIT's train, as published there are 3,696"):
        read_dataset("timit", timit)


def test_a_timit_without_labels_or_with_another_phone_is_refused(tmp_path):
    make_timit(tmp_path, ("SI1",))
    path = tmp_path / "TRAIN" / "DR1" / TRAINING[0] / "SI1.PHN"
    whole = path.read_text()
    path.write_text(whole.replace("h#", "xx"))
    with pytest.raises(UserError, match=r"SI1\.PHN has 'xx', which is none of TIMIT's 61 phones"):
        read_timit(tmp_path, counts_checked=False)
    path.unlink()
    with pytest.raises(UserError, match=r"SI1\.WAV has no \.PHN file in the same folder"):
        read_timit(tmp_path, counts_checked=False)
    with pytest.raises(UserError, match="dataset 'dirha' is not known; give timit or table:PATH"):
        read_dataset("dirha", tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        read_dataset("timit", tmp_path / "nowhere")


def test_a_table_names_recordings_and_their_labels(timit, tmp_path):
    data = read_timit(timit, counts_checked=False)
    table = tmp_path / "mine.csv"
    rows = [
        (each.name, each.name.replace(".WAV", ".PHN"), each.speaker, {"core test": "test"}.get(each.part, each.part))
        for each in data.utterances
    ]

    def written(header, rows):
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return lambda: read_dataset(f"table:{table}", timit)

    divided = written(("path", "phones", "speaker", "split"), rows)()
    assert [each.segments.as_lists() for each in divided.utterances] == [
        each.segments.as_lists() for each in data.utterances
    ]
    assert divided.phones.scored == data.phones.scored
    assert divided.folds(None, None)[0].digest() == data.folds(None, None)[0].digest()
    by_speaker = written(("path", "phones", "speaker"), [row[:3] for row in rows])()
    folds = by_speaker.folds(3, None)
    assert sorted(n for fold in folds for n in fold.test) == list(range(len(rows)))
    with pytest.raises(UserError, match=r"line 2 names .*SI1\.WAV again|line 3 names .*SI1\.WAV again"):
        written(("path", "phones"), [rows[0][:2]] * 2)()
    with pytest.raises(UserError, match=r"mine\.csv, line 2 has no phones"):
        written(("path", "phones"), [(rows[0][0], "")])()
    with pytest.raises(UserError, match="line 2 names nothing, which is not below"):
        written(("path", "phones"), [(rows[0][0], "nothing")])()
    with pytest.raises(UserError, match="has the split 'valid'; it must be train, dev, test"):
        written(("path", "phones", "split"), [(*rows[0][:2], "valid")])()
    with pytest.raises(UserError, match="has no lines under its header"):
        written(("path", "phones"), [])()
    write_table(divided, tmp_path / "stores.csv")
    lines = (tmp_path / "stores.csv").read_text().splitlines()
    assert lines[:2] == ["path,label", f"{rows[0][0]},{rows[0][2]}"]


def test_dirha_s_sentences_are_cut_where_the_corpus_says_and_have_the_given_labels(tmp_path):
    corpus, labels = make_dirha(tmp_path)
    found = read_dirha(corpus, labels, MICROPHONE, "real", timit_phones())
    assert len(found) == 4
    assert {each.part for each in found} == {"DIRHA real, Beam_Circular_Array"}
    assert [each.speaker for each in found] == ["F1", "F1", "M1", "M1"]
    frames = FrameCache(tmp_path / "cache", [(each.name, each.audio) for each in found]).fbank(FbankSettings())
    for number, each in enumerate(found):
        # The labels end with the sentence, so frames fit as often as in a file of that length.
        length = int(each.segments.end[-1])
        assert frames.n_frames[number] == 1 + (length - 400) // 160
        wave, _ = soundfile.read(each.audio.path)
        begin = round(each.audio.start_s * 16_000)
        assert round(each.audio.end_s * 16_000) - begin == length
        cut = tmp_path / "cut.wav"
        soundfile.write(cut, wave[begin : begin + length], 16_000, subtype="PCM_16")
        alone = FrameCache(tmp_path / f"alone{number}", [("cut", cut)]).fbank(FbankSettings())
        np.testing.assert_array_equal(frames.of(number), alone.of(0))


def test_dirha_without_labels_says_why_they_are_needed(tmp_path):
    corpus, labels = make_dirha(tmp_path)
    phones = timit_phones()
    with pytest.raises(
        UserError, match="DIRHA's English WSJ part gives words and the times of sentences, but no phones"
    ):
        read_dirha(corpus, None, MICROPHONE, "real", phones)
    with pytest.raises(UserError, match=r"has no recordings of the microphone 'LA6'; it has Beam_Circular_Array"):
        read_dirha(corpus, labels, "LA6", "real", phones)
    with pytest.raises(UserError, match="holds no data/DIRHA_English_wsj/Sim"):
        read_dirha(corpus, labels, MICROPHONE, "sim", phones)
    path = labels / "F1" / "440c0200.phn"
    whole = path.read_text()
    path.write_text(whole.replace("h#", "xx"))
    with pytest.raises(UserError, match=r"440c0200\.phn has 'xx', which is no phone of the training data"):
        read_dirha(corpus, labels, MICROPHONE, "real", phones)
    path.unlink()
    with pytest.raises(UserError, match=r"labels has no F1/440c0200\.phn for the sentence 440c0200"):
        read_dirha(corpus, labels, MICROPHONE, "real", phones)
    (xml,) = corpus.rglob("seq_0/**/*.xml")
    told = xml.read_text()
    for broken in (told.replace("<begin_sample>", "<begin_sample>x"), told.replace("440c0200", ""), told[:-20]):
        xml.write_text(broken)
        with pytest.raises(UserError, match=r"should have name, spk_id, begin_sample|is no XML"):
            read_dirha(corpus, labels, MICROPHONE, "real", phones)
