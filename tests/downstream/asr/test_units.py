"""Units: texts become numbers and come back; TIMIT's phones are folded as Lee and Hon did."""

import pytest

from jfewshot.downstream.asr.units import (
    UnknownUnit,
    encode_all,
    learn_pieces,
    learn_units,
    pieces_of,
    read_pieces,
    shape_text,
)
from jfewshot.downstream.timit_phones import LEFT_OUT, PHONES_61, TO_39, TO_48, fold_to_39, fold_to_48
from jfewshot.errors import UserError

TEXTS = ["the cat sat", "the hat"]


def test_phones_fold_from_61_to_48_to_39():
    assert (len(PHONES_61), len(set(TO_48.values())), len(set(TO_39.values()))) == (61, 48, 39)
    assert set(TO_39) == set(TO_48.values())
    assert LEFT_OUT == "q"
    # Each of the classes that the table merges, worked out by hand from Lee and Hon's.
    merged = {}
    for phone, last in TO_39.items():
        merged.setdefault(last, set()).add(phone)
    assert {last: phones for last, phones in merged.items() if len(phones) > 1} == {
        "aa": {"aa", "ao"}, "ah": {"ah", "ax"}, "ih": {"ih", "ix"}, "l": {"l", "el"}, "n": {"n", "en"},
        "sh": {"sh", "zh"}, "sil": {"sil", "cl", "vcl", "epi"},
    }  # fmt: skip
    assert fold_to_48(["h#", "pcl", "p", "ax-h", "q", "axr", "hv", "nx", "em", "eng", "ux", "pau"]) == (
        ["sil", "cl", "p", "ax", "er", "hh", "n", "m", "ng", "uw", "sil"]
    )
    assert fold_to_39(["ao", "zh", "en", "vcl", "epi"]) == ["aa", "sh", "n", "sil", "sil"]


def test_characters_words_and_phones_come_back():
    characters = learn_units("characters", TEXTS)
    assert characters.symbols == (" ", "a", "c", "e", "h", "s", "t")
    assert len(characters) == 8
    assert characters.encode("at a") == [2, 7, 1, 2]
    assert characters.decode([2, 7, 1, 1, 2, 1]) == "at a"
    assert "z" in learn_units("characters", TEXTS, "xyz").symbols
    words = learn_units("words", TEXTS)
    assert words.encode("cat the") == [1, 4]
    assert words.decode([1, 4]) == "cat the"
    phones = learn_units("phones", ["sil ao l sil"])
    assert phones.decode(phones.encode("sil ao sil")) == "sil ao sil"
    assert phones.scored("sil ao el cl") == "sil aa l sil"
    assert words.scored("cat the") == "cat the"


def test_pieces_of_sentencepiece_come_back():
    texts = [f"the {a} sat on the {b}" for a in ("cat", "rat", "hat") for b in ("mat", "bat", "cart")]
    pieces = learn_pieces(texts, 20)
    assert all(pieces.decode(pieces.encode(text)) == text for text in texts)
    assert min(number for text in texts for number in pieces.encode(text)) > 1  # neither blank nor unknown
    assert pieces_of(pieces.model) == pieces
    with pytest.raises(UnknownUnit, match="ß"):
        pieces.encode("the caßt")
    with pytest.raises(UserError, match="cannot make 5 pieces"):
        learn_pieces(texts, 5)


def test_a_file_that_is_no_model_is_named(tmp_path):
    with pytest.raises(UserError, match=r"is not there; give the \.model file"):
        read_pieces(tmp_path / "none.model")
    (tmp_path / "bad.model").write_bytes(b"no model")
    with pytest.raises(UserError, match="no sentencepiece model"):
        read_pieces(tmp_path / "bad.model")


def test_a_unit_that_no_training_transcript_has_is_named():
    said = {}
    units = learn_units("characters", TEXTS)
    found = encode_all(units, ["a", "b", "c"], ["the cat", "the dog", " "[:0]], said.__setitem__)
    assert said == {
        "b": "its transcript has the character 'd', which no training transcript has",
        "c": "its transcript is empty",
    }
    assert found[0]
    assert found[1:] == [[], []]


def test_without_sentencepiece_one_line_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(UserError, match=r"pip install 'jfewshot\[asr\]'"):
        learn_pieces(TEXTS, 9)


def test_texts_are_shaped_as_asked():
    written = "Don’t  press “7”, José—now!"
    assert shape_text(written, "as_is") == written
    assert shape_text(written, "lower") == "don’t press “7”, josé—now!"
    assert shape_text(written, "plain") == "don't press 7 josé now"
