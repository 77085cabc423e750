"""Scores as few bytes: they come back, damage is noticed, and a folder that keeps them computes again what lacks them."""

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.results import ResultFolder, key_of, read_results
from jfewshot.results.scores import pack_scores, query_scores, score_bytes, unpack_scores
from tests.results.packed import block_file
from tests.results.test_folder import DRAWS, PREDICTED, record

SHAPE = (2, 6, 3)


def scores_of(seed=0, shape=SHAPE, scale=3.0):
    rng = np.random.default_rng(seed)
    return query_scores(rng.normal(0, scale, shape), rng.uniform(0.1, 2, shape[0]))


def fill(path, keep, scores=None):
    with ResultFolder(path, keep) as folder:
        draws = folder.write_draws({"seed": 1}, DRAWS)
        return folder.write_cell(record() | {"draws": draws}, PREDICTED, scores_of() if scores is None else scores)


def test_log_probabilities_and_normalisers_are_those_of_float64():
    logits = np.random.default_rng(1).normal(0, 4, (3, 7, 5)) + 900.0
    found = query_scores(logits, np.ones(3))
    normaliser = 900 + np.log(np.exp(logits - 900).sum(2))
    # Half of the distance between neighbours in half precision: 2^-11 of the value; below 2^-14, 2^-25.
    expected = logits - normaliser[:, :, None]
    tolerance = 2.0**-11 * np.abs(expected) + 2e-5  # of float32, beside logits of 900
    assert (np.abs(found.log_probability - expected) <= tolerance).all()
    np.testing.assert_allclose(found.normaliser, normaliser, rtol=2.0**-11)


def test_logits_beyond_half_precision_are_its_largest_numbers():
    found = query_scores(np.array([[[1e6, 0.0], [np.nan, np.nan], [np.inf, 0.0]]]), np.ones(1))
    assert np.isfinite(found.log_probability).all()
    np.testing.assert_array_equal(found.log_probability[0, 0], [0, -65504])
    np.testing.assert_allclose(found.log_probability[0, 1].astype(float), np.log(0.5), rtol=1e-3)


def test_packed_scores_come_back_and_take_no_more_bytes_than_estimated():
    scores = scores_of(shape=(400, 15, 5))
    data = pack_scores(scores)
    found = unpack_scores(data, (400, 15, 5))
    for one, other in zip(found, scores, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    # Upper bytes are alike, so the whole is smaller than the numbers; random bytes would take all of the estimate.
    assert len(data) < 0.85 * 2 * 400 * 15 * 6 < score_bytes(400, 15, 5)
    noise = np.random.default_rng(0).integers(0, 2**16, (400, 15, 5)).astype(np.uint16).view(np.float16)
    assert len(pack_scores(scores._replace(log_probability=noise))) <= score_bytes(400, 15, 5)


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: data[3:], lambda data: b"", lambda data: data])
def test_bytes_of_other_scores_are_refused(damage):
    shape = SHAPE if damage(b"1234") != b"1234" else (2, 6, 4)
    with pytest.raises(ValueError, match=r"expected|incomplete|incorrect|invalid"):
        unpack_scores(damage(pack_scores(scores_of())), shape)


def test_a_folder_gives_the_scores_back_beside_the_predictions(tmp_path):
    written = fill(tmp_path, "scores")
    results = read_results(tmp_path)
    assert results.records == (written,)
    for one, other in zip(results.scores(written), scores_of(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(results.predictions(written), PREDICTED)
    # Folders that keep less take the record; it has what they would keep.
    for keep in ("predictions", "counts", "scores"):
        assert ResultFolder(tmp_path, keep).find(written["key"]) == written


@pytest.mark.parametrize("keep", ["predictions", "counts"])
def test_a_record_without_scores_is_computed_again_where_scores_are_kept(tmp_path, keep):
    written = fill(tmp_path, keep)
    assert "scores" not in written
    assert ResultFolder(tmp_path, "scores").find(written["key"]) is None
    with pytest.raises(UserError, match=rf"record {written['key']} has no scores; .* --keep scores"):
        read_results(tmp_path).scores(written)
    again = fill(tmp_path, "scores")
    assert ResultFolder(tmp_path, "scores").find(key_of(record()["identity"])) == again
    assert read_results(tmp_path).records == (again,)


def test_damaged_scores_are_noticed_where_scores_are_kept(tmp_path):
    written = fill(tmp_path, "scores")
    path = block_file(tmp_path)
    data = bytearray(path.read_bytes())
    data[written["scores"]["offset"] + 5] ^= 1
    path.write_bytes(data)
    assert ResultFolder(tmp_path, "scores").find(written["key"]) is None
    assert ResultFolder(tmp_path).find(written["key"]) == written  # its predictions are whole
    with pytest.raises(UserError, match="its bytes are not those"):
        read_results(tmp_path).scores(written)
