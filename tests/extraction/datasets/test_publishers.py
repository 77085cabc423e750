"""Each publisher's layout, built small: classes, groups, splits, filters, counts, and what is said when it is not whole."""

import json
import logging

import pytest

from extraction.datasets import DATASETS, PAPERS_TEN, dataset_names, load_dataset
from extraction.datasets.base import Dataset, Recording
from extraction.datasets.splits import class_splits
from extraction.planning import find_recordings
from jfewshot.errors import UserError
from tests.extraction.recordings import write


def used(recordings: list[Recording]) -> list[tuple[str, str, str, str]]:
    return [(r.clip_id, r.label, r.group, r.split) for r in recordings if not r.left_out]


def left_out(recordings: list[Recording]) -> dict[str, str]:
    return {r.clip_id: r.left_out for r in recordings if r.left_out}


def table(path, header, *rows, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(delimiter.join(map(str, row)) for row in (header, *rows)) + "\n", "utf-8")


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_says_what_it_is_and_refuses_an_empty_folder(name, tmp_path):
    dataset = load_dataset(name)
    assert isinstance(dataset, Dataset)
    assert dataset.info.name == name
    assert dataset.info.licence
    assert dataset.info.source.startswith("http")
    assert dataset.info.citation
    with pytest.raises(UserError, match=str(tmp_path)):
        find_recordings(dataset, tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        dataset.recordings(tmp_path / "absent")


@pytest.mark.parametrize("name", PAPERS_TEN)
def test_the_papers_datasets_have_a_page(name):
    from tests.extraction.recordings import REPOSITORY

    assert (REPOSITORY / "docs" / "datasets" / f"{name}.md").is_file()


def test_the_papers_ten_go_by_one_name():
    assert dataset_names(["paper", "esc50", "folder:birds"]) == [*PAPERS_TEN, "folder:birds"]
    assert set(PAPERS_TEN) <= set(DATASETS)


def test_splits_are_as_published():
    sizes = {
        "ESC-50": (35, 5, 10),
        "NSynth": (705, 101, 200),
        "FSDKaggle18": (29, 5, 7),
        "VoxCeleb1": (876, 126, 249),
        "BirdCLEF 2020 (Pruned)": (501, 72, 142),
        "SpeechCommandsV2": (0, 0, 35),
        "Watkins Marine Mammal": (0, 0, 32),
        "Crema-D": (0, 0, 6),
        "Speech Accent Archive": (0, 0, 122),
        "Common Voice v12 Delta": (0, 0, 88),
    }
    for name, expected in sizes.items():
        splits = list(class_splits(name).values())
        assert tuple(map(splits.count, ("train", "validation", "test"))) == expected


def test_esc50_and_its_subset(tmp_path, caplog):
    header = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
    table(
        tmp_path / "meta" / "esc50.csv",
        header,
        ("2-b-A-1.wav", 2, 1, "crow", "False", "b", "A"),
        ("1-a-A-0.wav", 1, 0, "dog", "True", "a", "A"),
        ("1-a-B-0.wav", 1, 0, "dog", "True", "a", "B"),
    )
    write(tmp_path / "audio" / "1-a-A-0.wav", 0)
    write(tmp_path / "audio" / "2-b-A-1.wav", 1)
    recordings = load_dataset("esc50").recordings(tmp_path)
    splits = class_splits("ESC-50")
    assert used(recordings) == [
        ("audio/1-a-A-0.wav", "dog", "a", splits["dog"]),
        ("audio/2-b-A-1.wav", "crow", "b", "test"),
    ]
    assert left_out(recordings) == {"audio/1-a-B-0.wav": "file is missing"}
    assert [row[1] for row in used(load_dataset("esc10").recordings(tmp_path))] == ["dog"]
    with caplog.at_level(logging.WARNING):
        find_recordings(load_dataset("esc50"), tmp_path)
    assert "found 2 of 2000 clips; the classes with the fewest: crow 1, dog 1" in caplog.text
    assert "found 2 of 50 classes; missing: airplane, breathing" in caplog.text
    assert ", and 38 more" in caplog.text
    assert "audio/1-a-B-0.wav: file is missing" in caplog.text


def test_nsynth_pools_the_publishers_parts(tmp_path):
    for part, note, instrument in (
        ("nsynth-train", "bass_synthetic_033-022-050", "bass_synthetic_033"),
        ("nsynth-test", "organ_electronic_059-100-127", "organ_electronic_059"),
    ):
        write(tmp_path / part / "audio" / f"{note}.wav", 0)
        notes = {note: {"instrument_str": instrument}, f"{note}-gone": {"instrument_str": instrument}}
        (tmp_path / part / "examples.json").write_text(json.dumps(notes))
    recordings = load_dataset("nsynth").recordings(tmp_path)
    assert [row[:2] for row in used(recordings)] == [
        ("nsynth-test/audio/organ_electronic_059-100-127.wav", "organ_electronic_059"),
        ("nsynth-train/audio/bass_synthetic_033-022-050.wav", "bass_synthetic_033"),
    ]
    assert used(recordings)[0][3] == "test"
    assert len(left_out(recordings)) == 2


def test_fsdkaggle18_pools_train_and_test(tmp_path):
    header = ("fname", "label", "manually_verified", "freesound_id", "license")
    meta = tmp_path / "FSDKaggle2018.meta"
    table(meta / "train_post_competition.csv", header, ("00044347.wav", "Hi-hat", 0, 28739, "CC0"))
    table(
        meta / "test_post_competition_scoring_clips.csv",
        ("fname", "label", "usage", "freesound_id", "license"),
        ("00326aa9.wav", "Knock", "Private", 355125, "CC0"),
    )
    write(tmp_path / "FSDKaggle2018.audio_train" / "00044347.wav", 0)
    write(tmp_path / "FSDKaggle2018.audio_test" / "00326aa9.wav", 1)
    assert used(load_dataset("fsdkaggle18").recordings(tmp_path)) == [
        ("FSDKaggle2018.audio_test/00326aa9.wav", "Knock", "355125", "test"),
        ("FSDKaggle2018.audio_train/00044347.wav", "Hi-hat", "28739", class_splits("FSDKaggle18")["Hi-hat"]),
    ]


@pytest.mark.parametrize("places", [("", ""), ("wav", "wav"), ("dev/wav", "test/wav")])
def test_voxceleb1_in_each_way_to_unpack_it(tmp_path, places):
    write(tmp_path / places[0] / "id10001" / "1zcIwhmdeo4" / "00001.wav", 0)
    write(tmp_path / places[1] / "id11150" / "abc" / "00002.wav", 1)
    recordings = used(load_dataset("voxceleb1").recordings(tmp_path))
    assert recordings[0][:3] == ("id10001/1zcIwhmdeo4/00001.wav", "id10001", "id10001/1zcIwhmdeo4")
    assert recordings[1] == ("id11150/abc/00002.wav", "id11150", "id11150/abc", "test")


def test_birdclef_is_pruned_as_the_paper_did(tmp_path, monkeypatch):
    monkeypatch.setattr("extraction.datasets.birdclef.MAX_DURATION_S", 1.0)
    monkeypatch.setattr("extraction.datasets.birdclef.MIN_CLIPS", 2)
    crow, gull = "Corvus corone_Carrion Crow", "Larus fuscus_Lesser Black-backed Gull"
    write(tmp_path / crow / "XC1.mp3", 0)
    write(tmp_path / crow / "XC2.mp3", 1)
    write(tmp_path / crow / "XC3.mp3", 2, duration_s=1.5)
    write(tmp_path / gull / "XC4.mp3", 3)
    write(tmp_path / gull / "XC5.mp3", 4, duration_s=1.5)
    recordings = load_dataset("birdclef2020").recordings(tmp_path)
    assert [row[:2] for row in used(recordings)] == [(f"{crow}/XC1.mp3", crow), (f"{crow}/XC2.mp3", crow)]
    assert left_out(recordings) == {
        f"{crow}/XC3.mp3": "2 s long, more than 1 s",
        f"{gull}/XC4.mp3": f"class '{gull}' has 1 clips, fewer than 2",
        f"{gull}/XC5.mp3": "2 s long, more than 1 s",
    }


@pytest.mark.parametrize(("name", "split"), [("scv2", "test"), ("arabic_commands", "")])
def test_speech_commands_leave_the_noise_out(tmp_path, name, split):
    write(tmp_path / "yes" / "0a7c2a8d_nohash_0.wav", 0)
    write(tmp_path / "_background_noise_" / "pink_noise.wav", 1)
    assert used(load_dataset(name).recordings(tmp_path)) == [("yes/0a7c2a8d_nohash_0.wav", "yes", "0a7c2a8d", split)]


def test_watkins_drops_long_cuts_and_groups_by_tape(tmp_path, monkeypatch):
    monkeypatch.setattr("extraction.datasets.watkins.MAX_DURATION_S", 1.0)
    write(tmp_path / "Beluga,_White_Whale" / "61025001.wav", 0)
    write(tmp_path / "Narwhal" / "9022601A.wav", 1, duration_s=1.2)
    recordings = load_dataset("watkins").recordings(tmp_path)
    assert used(recordings) == [("Beluga,_White_Whale/61025001.wav", "Beluga,_White_Whale", "61025", "test")]
    assert left_out(recordings) == {"Narwhal/9022601A.wav": "1 s long, more than 1 s"}


def test_crema_d_reads_actor_and_emotion_from_the_name(tmp_path):
    write(tmp_path / "AudioWAV" / "1001_DFA_ANG_XX.wav", 0)
    write(tmp_path / "AudioWAV" / "1002_IEO_SAD_HI.wav", 1)
    assert used(load_dataset("crema_d").recordings(tmp_path)) == [
        ("AudioWAV/1001_DFA_ANG_XX.wav", "ANG", "1001", "test"),
        ("AudioWAV/1002_IEO_SAD_HI.wav", "SAD", "1002", "test"),
    ]
    write(tmp_path / "AudioWAV" / "notes.wav", 2)
    with pytest.raises(UserError, match="1001_DFA_ANG_XX"):
        load_dataset("crema_d").recordings(tmp_path)


@pytest.mark.parametrize("folder", ["recordings", "recordings/recordings"])
def test_speech_accent_archive_needs_two_speakers_of_a_language(tmp_path, folder):
    for number, name in enumerate(("afrikaans1", "afrikaans2", "zulu1")):
        write(tmp_path / folder / f"{name}.mp3", number)
    recordings = load_dataset("saa").recordings(tmp_path)
    assert used(recordings) == [
        (f"{folder}/afrikaans1.mp3", "afrikaans", "afrikaans1", "test"),
        (f"{folder}/afrikaans2.mp3", "afrikaans", "afrikaans2", "test"),
    ]
    assert list(left_out(recordings)) == [f"{folder}/zulu1.mp3"]


def test_common_voice_takes_the_papers_languages(tmp_path):
    for locale in ("cy", "xx"):
        write(tmp_path / locale / "clips" / "common_voice_1.mp3", 0)
        header = ("client_id", "path", "sentence")
        rows = [("speaker1", "common_voice_1.mp3", 'a "quoted" word'), ("speaker2", "common_voice_2.mp3", "x")]
        table(tmp_path / locale / "validated.tsv", header, rows[0], delimiter="\t")
        table(tmp_path / locale / "other.tsv", header, rows[1], delimiter="\t")
    recordings = load_dataset("commonvoice").recordings(tmp_path)
    assert used(recordings) == [("cy/clips/common_voice_1.mp3", "cy", "speaker1", "test")]
    reasons = left_out(recordings)
    assert reasons["cy/clips/common_voice_2.mp3"] == "file is missing"
    assert "not among the paper's 88" in reasons["xx/clips/common_voice_1.mp3"]


def test_fsdd_by_digit_and_by_speaker(tmp_path):
    for number, name in enumerate(("3_theo_0", "3_theo_7", "5_george_1")):
        write(tmp_path / "recordings" / f"{name}.wav", number)
    digits = used(load_dataset("fsdd_digits").recordings(tmp_path))
    assert digits[0][:3] == ("recordings/3_theo_0.wav", "3", "theo")
    assert {row[1:3] for row in used(load_dataset("fsdd_speakers").recordings(tmp_path))} == {
        ("theo", "3"),
        ("george", "5"),
    }


def test_fsdd_refuses_a_file_with_another_name(tmp_path):
    write(tmp_path / "recordings" / "7_jackson.wav", 0)
    with pytest.raises(UserError, match=r"7_jackson\.wav is not named after a digit, a speaker and a take"):
        load_dataset("fsdd_digits").recordings(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "lacks nsynth-test/examples.json"),
        ("{", "examples.json is damaged .*extract the publisher's archive again"),
        ("[]", "examples.json is damaged"),
        ('{"note": {}}', "examples.json is damaged .*instrument_str"),
    ],
)
def test_nsynth_refuses_a_part_without_its_table_or_with_a_damaged_one(tmp_path, text, said):
    (tmp_path / "nsynth-test" / "audio").mkdir(parents=True)
    if text is not None:
        (tmp_path / "nsynth-test" / "examples.json").write_text(text)
    with pytest.raises(UserError, match=said):
        load_dataset("nsynth").recordings(tmp_path)


def test_nsynth_refuses_a_part_without_audio(tmp_path):
    (tmp_path / "nsynth-test").mkdir()
    (tmp_path / "nsynth-test" / "examples.json").write_text("{}")
    with pytest.raises(UserError, match="lacks nsynth-test/audio"):
        load_dataset("nsynth").recordings(tmp_path)


def test_esc50s_classes_are_in_the_splits_of_the_paper():
    # Written out, so that a class that moves from one split to another is noticed: counts alone would stay the same.
    expected = {
        "validation": "breathing clock_alarm coughing crackling_fire hen",
        "test": "airplane church_bells cow crow dog engine glass_breaking sneezing thunderstorm vacuum_cleaner",
    }
    found = class_splits("ESC-50")
    for split, names in expected.items():
        assert sorted(name for name, of in found.items() if of == split) == names.split()
