"""Datasets as published: every label where it belongs, counts checked, and what is wrong with a folder in one line."""

import itertools

import pytest

from jfewshot.downstream.emotion.datasets import read_dataset
from jfewshot.downstream.emotion.datasets.iemocap import COUNTS, IMPROVISED_COUNTS
from jfewshot.errors import UserError

CODES = {"angry": "ang", "neutral": "neu", "sad": "sad"}


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory):
    """The published numbers of each class, improvised and scripted, dealt to sessions and speakers in turn; no audio in them."""
    root = tmp_path_factory.mktemp("iemocap")
    sides = itertools.cycle([(s, g) for s in range(1, 6) for g in "FM"])
    lines: dict[str, list[str]] = {}
    number = itertools.count()

    def add(label_code, kind):
        session, gender = next(sides)
        dialogue = f"Ses0{session}{gender}_{kind}"
        name = f"{dialogue}_{gender}{next(number):03d}"
        lines.setdefault(dialogue, []).append(f"[6.2901 - 8.2357]\t{name}\t{label_code}\t[2.5000, 2.5000, 2.5000]")
        wav = root / f"Session{session}" / "sentences" / "wav" / dialogue / f"{name}.wav"
        wav.parent.mkdir(parents=True, exist_ok=True)
        wav.touch()

    for label, total in COUNTS.items():
        for place in range(total):
            code = CODES.get(label) or ("exc" if place % 3 else "hap")
            add(code, "impro01" if place < IMPROVISED_COUNTS[label] else "script01_1b")
    for code in ("fru", "xxx", "sur", "oth"):
        add(code, "impro01")
    for dialogue, each in lines.items():
        folder = root / f"Session{dialogue[4]}" / "dialog" / "EmoEvaluation"
        folder.mkdir(parents=True, exist_ok=True)
        head = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        votes = "C-E2:\tNeutral;\t()\n"
        (folder / f"{dialogue}.txt").write_text(head + "".join(f"{line}\n{votes}" for line in each))
        (folder / f"._{dialogue}.txt").write_bytes(b"\0\5\26\7")  # macOS's twin, as in the release
    return root


def test_iemocap_has_the_published_classes_sessions_and_speakers(iemocap):
    data = read_dataset("iemocap", iemocap)
    labels = [each.label for each in data.utterances]
    assert len(labels) == 5531
    assert {label: labels.count(label) for label in data.classes} == COUNTS
    assert {each.group for each in data.utterances} == {f"Session{number}" for number in range(1, 6)}
    assert {each.speaker for each in data.utterances} == {f"Ses0{s}{g}" for s in range(1, 6) for g in "FM"}
    assert all(each.name.split("/")[0] == each.group for each in data.utterances)
    improvised = read_dataset("iemocap_improvised", iemocap)
    assert len(improvised.utterances) == 2943
    assert all("impro" in each.name for each in improvised.utterances)


def test_iemocap_with_an_utterance_too_few_or_without_its_audio_is_refused(iemocap):
    file = next((iemocap / "Session2" / "dialog" / "EmoEvaluation").glob("Ses02F_impro01.txt"))
    whole = file.read_text()
    try:
        file.write_text(whole.replace("\tang\t", "\tfru\t", 1))
        with pytest.raises(UserError, match="1,102 utterances of angry, as published there are 1,103"):
            read_dataset("iemocap", iemocap)
        file.write_text(whole.replace("_F0", "_F9", 1))
        with pytest.raises(UserError, match=r"lacks Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F9"):
            read_dataset("iemocap", iemocap)
    finally:
        file.write_text(whole)
    with pytest.raises(UserError, match="holds no labels; --root should be IEMOCAP_full_release"):
        read_dataset("iemocap", iemocap / "Session1")


def test_crema_d_and_emodb_are_read_by_their_names(tmp_path):
    crema, emodb = tmp_path / "crema", tmp_path / "emodb"
    for name in ("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1091_IEO_SAD_LO.wav"):
        (crema / name).parent.mkdir(parents=True, exist_ok=True)
        (crema / name).touch()
    found = read_dataset("crema_d", crema).utterances
    assert [(each.label, each.group) for each in found] == [("angry", "1001"), ("sad", "1091")]
    (emodb / "wav").mkdir(parents=True)
    for name in ("03a01Fa.wav", "16b10Wb.wav"):
        (emodb / "wav" / name).touch()
    found = read_dataset("emodb", emodb).utterances
    assert [(each.label, each.group) for each in found] == [("happiness", "03"), ("anger", "16")]
    (emodb / "wav" / "notes.wav").touch()
    with pytest.raises(UserError, match=r"notes\.wav is not named as EmoDB's clips are"):
        read_dataset("emodb", emodb)
    (crema / "AudioWAV" / "1001_DFA_BAD_XX.wav").touch()
    with pytest.raises(UserError, match="not named as CREMA-D's"):
        read_dataset("crema_d", crema)


def test_one_s_own_come_from_folders_or_a_table(tmp_path):
    for name in ("glad/ann/1.wav", "glad/bob/2.wav", "cross/ann/3.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    data = read_dataset("folder:mine", tmp_path)
    assert [(each.name, each.label, each.group) for each in data.utterances] == [
        ("cross/ann/3.wav", "cross", "ann"), ("glad/ann/1.wav", "glad", "ann"), ("glad/bob/2.wav", "glad", "bob"),
    ]  # fmt: skip
    table = tmp_path / "mine.csv"
    table.write_text("path,label,group,speaker\nglad/ann/1.wav,glad,s1,ann\ncross/ann/3.wav,cross,s1,ann\n")
    data = read_dataset(f"table:{table}", tmp_path)
    assert [(each.label, each.group, each.speaker) for each in data.utterances] == [
        ("cross", "s1", "ann"), ("glad", "s1", "ann"),
    ]  # fmt: skip
    for text, complaint in {
        "path,label\nglad/ann/1.wav,glad\n": "no column 'group'",
        "path,label,group\nglad/ann/1.wav,glad,s1\ncross/ann/3.wav,,s1\n": r"line 3 \(cross/ann/3.wav\) has no label",
        "path,label,group\nglad/ann/9.wav,glad,s1\n": "line 2 names glad/ann/9.wav, which is not below",
        "path,label,group\nglad/ann/1.wav,a,s\nglad/ann/1.wav,b,s\n": "line 3 names glad/ann/1.wav again",
        "path,label,group\n": "no lines under its header",
    }.items():
        table.write_text(text)
        with pytest.raises(UserError, match=complaint):
            read_dataset(f"table:{table}", tmp_path)
    with pytest.raises(UserError, match="dataset 'ravdess' is not known"):
        read_dataset("ravdess", tmp_path)
