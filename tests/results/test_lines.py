"""A damaged record is named, and the others are read."""

import json
import os
import re

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.results import ResultFolder, indexing, key_of, lines, read_results, reading, single_files
from jfewshot.results.lines import LineReader, key_of_line, line_of
from tests.results.packed import as_version_1, change, line_file
from tests.results.test_folder import DRAWS, PREDICTED, fill, record


def test_a_line_begins_with_its_key_and_holds_the_identity_as_it_was_digested(tmp_path):
    _, written = fill(tmp_path)
    line = line_file(tmp_path).read_bytes()
    assert key_of_line(line) == written["key"]
    assert json.loads(line) == written
    assert json.dumps(written["identity"], sort_keys=True, separators=(",", ":")).encode() in line
    assert LineReader().record(line, 2) == written


def test_a_line_that_another_program_wrote_in_its_own_way_is_read(tmp_path):
    _, written = fill(tmp_path)
    assert LineReader().record(json.dumps(written, indent=1).replace("\n", " ").encode(), 2) == written


def test_a_line_as_a_run_wrote_it_is_compared_as_it_stands(tmp_path, monkeypatch):
    """Making a line of every record that is found would take as long as finding it."""
    folder, written = fill(tmp_path)

    def refuse(record):
        raise AssertionError("the record was made a line again")

    monkeypatch.setattr(lines, "line_of", refuse)
    assert folder.find(written["key"]) == written
    assert read_results(tmp_path).records == (written,)


def test_equal_parts_are_one_object(tmp_path):
    with ResultFolder(tmp_path) as folder:
        draws = folder.write_draws({"seed": 1}, DRAWS)
        for value in (1.0, 2.0):
            folder.write_cell(record(strength=value) | {"draws": draws}, PREDICTED)
    one, other = read_results(tmp_path).records
    assert one["identity"]["protocol"] is other["identity"]["protocol"]
    assert one["accuracy"] is not other["accuracy"]


def replaced(old, new):
    return lambda line: line.replace(old, new)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (replaced(b'"mean":0.5', b'"mean":NaN'), "its 'accuracy' is damaged|no JSON object"),
        (replaced(b'"mean":0.5', b'"mean":1e999'), "accuracy|no JSON object"),
        (replaced(b'"mean":0.5', b'"mean":' + b"9" * 5000), "accuracy|no JSON object"),
        (replaced(b'"mean":0.5', b'"mean":"0.5"'), "its 'accuracy' is damaged"),
        (replaced(b'"mean":0.5', b'"mean":1.5'), "its 'accuracy' is damaged"),
        (replaced(b'"mean":0.5', b'"mean":' + b"[" * 100_000), "accuracy|no JSON object"),
        (replaced(b'"name":"alpha"', b'"name":["alpha"]'), "its 'upstream' is damaged"),
        (replaced(b'"name":"alpha"', b'"name":"\xff"'), "its 'upstream' is damaged|no JSON object"),
        (replaced(b'"name":"alpha"', b'"name":' + b"[" * 5000 + b"]" * 5000), "upstream|no JSON object"),
        (replaced(b'"draws":"', b'"draws":"../'), "its 'draws' is damaged"),
        (replaced(b'"draws":', b'"drawn":'), "it lacks 'draws'"),
        (replaced(b'"n_way":3', b'"n_way":0'), "its 'protocol' is damaged"),
        (replaced(b'"embeddings":', b'"embedding":'), "it lacks 'identity.embeddings'"),
        (replaced(b'"value":1.0', b'"value":2.0'), "its key is not that of its identity"),
        (replaced(b'"format":"jfewshot-result"', b'"format":"other"'), "its format is not"),
        (replaced(b'"format_version":2', b'"format_version":3'), "its format version is 3"),
        (lambda line: b"[]\n", "no JSON object"),
        (lambda line: b"\n", "no JSON object"),
        (lambda line: line[:100] + b"\n", "no JSON object"),
        (lambda line: line[:100], "its end is missing"),
    ],
)
def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path, damage, words):
    with ResultFolder(tmp_path) as folder:
        draws = folder.write_draws({"seed": 1}, DRAWS)
        good = folder.write_cell(record(strength=5.0) | {"draws": draws}, PREDICTED)
        bad = folder.write_cell(record() | {"draws": draws}, PREDICTED)
    change(tmp_path, bad["key"], damage)
    results = read_results(tmp_path)
    assert results.records == (good,)
    (problem,) = results.problems
    assert f"{line_file(tmp_path)}, line 2: the record is left out" in problem
    assert "run the same command again" in problem
    assert re.search(words, problem)
    assert len(problem) < 600


def test_any_byte_of_a_line_may_change(tmp_path):
    _, written = fill(tmp_path)
    line = line_file(tmp_path).read_bytes()[:-1]
    reader, rng = LineReader(), np.random.default_rng(0)
    n_refused = 0
    for place in rng.integers(len(line), size=300):
        changed = bytearray(line)
        changed[place] = rng.integers(256)
        try:
            found = reader.record(bytes(changed), 2)
        except UserError:
            n_refused += 1
        else:
            assert key_of(found["identity"]) == found["key"] == written["key"]
            assert 0 <= found["accuracy"]["mean"] <= 1
    assert n_refused > 100


def test_nan_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        line_of({"key": "0" * 20, "mean": float("nan")})


def test_pandas_and_polars_read_the_files_of_records(tmp_path):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    with ResultFolder(tmp_path) as folder:
        draws = folder.write_draws({"seed": 1}, DRAWS)
        written = [
            folder.write_cell(record(strength=value) | {"draws": draws}, PREDICTED) for value in (None, 1.0, 2.0)
        ]
    frame = pandas.read_json(line_file(tmp_path), lines=True)
    assert frame["key"].tolist() == [each["key"] for each in written]
    assert pandas.json_normalize(frame.to_dict("records"))["accuracy.mean"].tolist() == [0.5] * 3
    frame = polars.read_ndjson(tmp_path / "records" / "*.jsonl", infer_schema_length=None)
    strength = frame.select(polars.col("identity").struct.field("strength").struct.field("value"))
    assert strength["value"].to_list() == [None, 1.0, 2.0]


def signed(written, change_record):
    """A line whose key fits its identity and whose digest fits its contents, after a function changed the record."""
    record = json.loads(json.dumps(written))
    text = change_record(record)
    record["key"] = key_of(record["identity"])
    record["sha256"] = json.loads(line_of(record))["sha256"]
    return (json.dumps(record) if text is None else text(json.dumps(record))).encode() + b"\n"


@pytest.mark.parametrize(
    ("change_record", "words"),
    [
        (
            lambda r: lambda text: text[:-1] + ', "more": ' + "[" * 80 + "]" * 80 + "}",
            "its 'more' is damaged: it has lists",
        ),
        (
            lambda r: lambda text: text[:-1] + ', "more": ' + "[" * 100_000 + "]" * 100_000 + "}",
            "the record is left out",
        ),
        (lambda r: lambda text: text[:-1] + ', "more": ' + "7" * 5_000 + "}", "its 'more' is damaged"),
        (lambda r: r["identity"]["protocol"].update(n_episodes=2**40), "n_episodes"),
        (lambda r: r["identity"]["protocol"].update(n_query=2**20), "n_query"),
        (lambda r: r["predictions"].update(offset=2**63), "offset"),
        (lambda r: r["predictions"].update(bytes=2**70), "bytes"),
    ],
)
def test_a_record_that_no_reader_could_bear_is_named_and_the_others_are_read(tmp_path, change_record, words):
    _, written = fill(tmp_path)
    other, _ = fill(tmp_path, strength=2.0)
    other.close()
    first = sorted((tmp_path / "records").glob("*.jsonl"))[0]
    first.write_bytes(signed(written, change_record))
    results = read_results(tmp_path)
    assert [one["identity"]["strength"]["value"] for one in results.records] == [2.0]
    (problem,) = results.problems
    assert problem.startswith(f"{first}, line 1: ")
    assert words in problem


@pytest.mark.parametrize("place", [{"offset": 2**50}, {"bytes": 2**50}, {"offset": 2**50, "bytes": 2**50}])
def test_a_record_that_points_behind_its_file_has_no_predictions_and_is_computed_again(tmp_path, place):
    folder, written = fill(tmp_path)
    folder.close()
    change(tmp_path, written["key"], lambda line: signed(written, lambda r: r["predictions"].update(place)))
    assert ResultFolder(tmp_path).find(written["key"]) is None
    results = read_results(tmp_path)
    with pytest.raises(UserError, match="ends before the bytes of record"):
        results.predictions(results.records[0])


def test_a_folder_named_like_a_file_of_records_is_named_and_the_others_are_read(tmp_path):
    fill(tmp_path)[0].close()
    (tmp_path / "records" / "x.jsonl").mkdir()
    results = read_results(tmp_path)
    assert len(results.records) == 1
    assert "x.jsonl cannot be read" in results.problems[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_named_like_a_file_of_records_is_named_and_waited_for_by_nobody(tmp_path):
    fill(tmp_path)[0].close()
    os.mkfifo(tmp_path / "records" / "x.jsonl")
    results = read_results(tmp_path)
    assert len(results.records) == 1
    assert "x.jsonl cannot be read (no ordinary file)" in results.problems[0]
    with ResultFolder(tmp_path) as again:
        assert again.find(results.records[0]["key"])


@pytest.fixture
def at_most_4096(monkeypatch):
    for module in (indexing, reading, single_files):
        monkeypatch.setattr(module, "LONGEST_LINE", 4096)


def test_a_line_longer_than_any_record_is_named_and_the_others_are_read(tmp_path, at_most_4096):
    with ResultFolder(tmp_path) as folder:
        draws = folder.write_draws({"seed": 1}, DRAWS)
        good = [folder.write_cell(record(strength=value) | {"draws": draws}, PREDICTED) for value in (1.0, 2.0)]
    first, second = line_file(tmp_path).read_bytes().splitlines(keepends=True)
    long = b'{"key":"' + b"0" * 20 + b'","x":"' + b"x" * 100_000 + b'"}\n'
    exact = b" " * 4095 + b"\n"  # as long as a record may be, so it is read, and is no record
    line_file(tmp_path).write_bytes(first + long + exact + second + long[:-1])
    lines = list(indexing.lines_of(line_file(tmp_path)))
    assert max(len(line.text) for line in lines) <= 4096
    assert [line.too_long for line in lines] == [False, True, False, False, True]
    assert [line.whole for line in lines] == [True, True, True, True, False]
    assert [line.place.length for line in lines] == [len(first), len(long), 4096, len(second), len(long) - 1]
    results = read_results(tmp_path)
    assert sorted(results.records, key=str) == sorted(good, key=str)
    assert [re.search(r"line (\d+)", problem)[1] for problem in results.problems] == ["2", "3", "5"]
    assert "it has 100,038 bytes, and a record has at most 4,096" in results.problems[0]
    again = ResultFolder(tmp_path)
    assert all(again.find(one["key"]) == one for one in good)
    assert again.find("0" * 20) is None


def test_a_single_file_longer_than_any_record_is_named(tmp_path, at_most_4096):
    fill(tmp_path)[0].close()
    as_version_1(tmp_path)
    (path,) = (tmp_path / "cells").glob("*.json")
    path.write_bytes(path.read_bytes() + b" " * 5000)
    (problem,) = read_results(tmp_path).problems
    assert problem.startswith(f"{path} is damaged (it has more than 4,096 bytes")
    assert ResultFolder(tmp_path).find(path.stem) is None
