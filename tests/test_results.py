import json

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file
from jfewshot.results import ResultFolder, key_of, read_results

PREDICTED = np.array([[0, 1, 1], [2, 2, 0]], np.int8)
DRAWS = {"clips": np.arange(4), "clip_id": np.array(["a", "ä"])}


def record(**identity):
    return {"identity": {"name": "x", "value": 1.0, **identity}, "accuracy": {"mean": 0.5}}


def fill(path, **identity):
    folder = ResultFolder(path)
    draws = folder.write_draws({"seed": 1}, DRAWS)
    return folder, folder.write_cell(record(**identity) | {"draws": draws}, PREDICTED)


def test_a_record_is_found_by_its_identity_and_by_no_other(tmp_path):
    folder, written = fill(tmp_path)
    assert folder.find(record()["identity"]) == written
    assert ResultFolder(tmp_path).find({"value": 1.0, "name": "x"}) == written
    assert folder.find(record(value=2.0)["identity"]) is None
    assert written["format"] == "jfewshot-result"
    assert written["key"] == key_of(record()["identity"])


def test_predictions_and_draws_come_back(tmp_path):
    _, written = fill(tmp_path)
    results = read_results(tmp_path)
    assert results.records == (written,)
    assert results.problems == ()
    np.testing.assert_array_equal(results.predictions(written), PREDICTED)
    assert results.predictions(written).dtype == np.int8
    draws = results.draws(written)
    np.testing.assert_array_equal(draws["clips"], DRAWS["clips"])
    assert draws["clip_id"].tolist() == ["a", "ä"]
    assert json.loads(str(draws["protocol"])) == {"seed": 1}


def test_records_come_sorted_by_key(tmp_path):
    for value in range(5):
        fill(tmp_path, value=float(value))
    keys = [each["key"] for each in read_results(tmp_path).records]
    assert keys == sorted(keys)
    assert len(keys) == 5


def test_the_same_results_are_the_same_bytes(tmp_path):
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    files = [file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*") if file.is_file()]
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_draws_that_are_there_are_not_written_again(tmp_path):
    folder, written = fill(tmp_path)
    path = tmp_path / "draws" / written["draws"]
    before = path.stat().st_mtime_ns
    assert folder.write_draws({"seed": 1}, {"clips": np.zeros(2)}) == written["draws"]
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda p, r: (p / "predictions" / r["predictions"]["file"]).unlink(),
        lambda p, r: (p / "predictions" / r["predictions"]["file"]).write_bytes(b"PK"),
        lambda p, r: (p / "draws" / r["draws"]).unlink(),
        lambda p, r: (p / "cells" / f"{r['key']}.json").write_text("{"),
        lambda p, r: (p / "cells" / f"{r['key']}.json").write_bytes(b"\xff"),
        lambda p, r: (p / "cells" / f"{r['key']}.json").write_text(json.dumps(r | {"format_version": 0})),
        lambda p, r: (p / "cells" / f"{r['key']}.json").write_text(json.dumps(r | {"identity": {"name": "y"}})),
        lambda p, r: (p / "cells" / f"{r['key']}.json").write_text(json.dumps(r | {"predictions": None})),
    ],
)
def test_a_cell_that_is_not_whole_counts_as_not_there_and_can_be_written_again(tmp_path, damage):
    folder, written = fill(tmp_path)
    damage(tmp_path, written)
    assert folder.find(written["identity"]) is None
    _, again = fill(tmp_path)
    assert again == written
    assert folder.find(written["identity"]) == written


def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path):
    _, good = fill(tmp_path)
    for name, text in (("0" * 20, "{"), ("1" * 20, "[]"), ("2" * 20, json.dumps(good))):
        (tmp_path / "cells" / f"{name}.json").write_text(text)
    results = read_results(tmp_path)
    assert results.records == (good,)
    assert [str(tmp_path / "cells") in problem for problem in results.problems] == [True] * 3
    assert "damaged" in results.problems[0]
    assert "its key is not that of its identity" in results.problems[2]


def test_damaged_predictions_and_draws_are_told_with_the_fix(tmp_path):
    _, written = fill(tmp_path)
    results = read_results(tmp_path)
    path = tmp_path / "predictions" / written["predictions"]["file"]
    np.savez(path, predicted=PREDICTED + 1)
    with pytest.raises(UserError, match="not the file its record describes; delete it and run"):
        results.predictions(written)
    path.unlink()
    with pytest.raises(UserError, match="is missing; run the same command again"):
        results.predictions(written)
    draws = tmp_path / "draws" / written["draws"]
    draws.write_bytes(draws.read_bytes()[:50])
    with pytest.raises(UserError, match=r"is damaged .*; delete it and run"):
        results.draws(written)


def test_the_record_holds_the_digest_of_its_predictions(tmp_path):
    _, written = fill(tmp_path)
    path = tmp_path / "predictions" / written["predictions"]["file"]
    assert written["predictions"]["sha256"] == sha256_of_file(path)


def test_a_folder_without_results_says_how_to_make_some(tmp_path):
    with pytest.raises(UserError, match="holds no results"):
        read_results(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write results to"):
        ResultFolder(tmp_path / "file")
