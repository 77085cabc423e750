"""Seeds count when all folds have run; names and baselines are checked once for all experiments."""

import json

import pytest

from jfewshot.downstream.records import RecordFolder, whole_seeds
from jfewshot.downstream.report import refuse_nothing_finished, refuse_unknown_baseline
from jfewshot.downstream.settings import first_encoder, refuse_equal_names
from jfewshot.errors import UserError


def record(seed, fold):
    return {"seed": seed, "fold": {"number": fold}}


def test_only_seeds_with_all_folds_are_kept():
    records = [record(2, 0), record(0, 0), record(0, 1), record(1, 1), record(2, 1)]
    kept, seeds, problems = whole_seeds(records, "FBANK", {0, 1})
    assert seeds == [0, 2]
    assert kept == [records[0], records[1], records[2], records[4]]
    assert problems == ["FBANK: 1 of 3 seeds have not run all folds yet"]


def test_nothing_is_said_of_whole_seeds():
    records = [record(0, 3), record(1, 3)]
    assert whole_seeds(records, "FBANK", [3]) == (records, [0, 1], [])


def test_a_fold_that_has_run_twice_does_not_stand_for_a_missing_one():
    kept, seeds, problems = whole_seeds([record(0, 1), record(0, 1)], "FBANK", range(2))
    assert (kept, seeds) == ([], [])
    assert problems == ["FBANK: 1 of 1 seeds have not run all folds yet"]


def test_a_report_of_nothing_is_refused():
    with pytest.raises(UserError, match="run the same command again to continue"):
        refuse_nothing_finished([])
    refuse_nothing_finished(["a summary"])


def test_a_baseline_is_one_of_the_finished_features():
    refuse_unknown_baseline(None, [])
    refuse_unknown_baseline("tera", ["fbank", "tera"])
    with pytest.raises(UserError, match=r"--baseline mine: .* there are fbank, tera$"):
        refuse_unknown_baseline("mine", ["fbank", "tera", "fbank"])


def test_features_have_names_of_their_own():
    refuse_equal_names(["a", "b"])
    with pytest.raises(UserError, match="two features are called 'b'"):
        refuse_equal_names(["a", "b", "c", "b"])


def test_controls_have_the_shape_of_the_first_encoder():
    assert first_encoder(["fbank", "simclr:one", "simclr:two"]) == "one"
    assert first_encoder(["fbank", "store:one"]) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is damaged"),
        (b"[]", "it holds no JSON object"),
        (b'{"a": \xff}', "is damaged"),
        (b'{"seed": ' + b"7" * 5_000 + b"}", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (json.dumps({"features": "a", "seed": 0, "fold": 3}), "fold"),
        (json.dumps({"features": ["a"], "seed": 0, "fold": {"number": 3}}), "features"),
        (json.dumps({"features": "a", "fold": {"number": 3}}), "seed"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, content, said):
    folder = RecordFolder(tmp_path, "jfewshot-emotion", 1)
    folder.write("good", {"features": "a", "seed": 0, "fold": {"number": 3}})
    assert [one["key"] for one in folder.read()] == ["good"]
    if isinstance(content, str):
        content = json.dumps({"format": "jfewshot-emotion", "format_version": 1} | json.loads(content)).encode()
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        folder.read()
    assert str(caught.value).startswith(f"{tmp_path / 'bad.json'} is damaged")


def test_a_new_version_of_the_numerics_gives_other_keys(tmp_path):
    one, other = (RecordFolder(tmp_path, "jfewshot-asr", numerics).key({"seed": 1}) for numerics in (1, 2))
    assert one != other
    assert one == RecordFolder(tmp_path / "x", "jfewshot-asr", 1).key({"seed": 1})
