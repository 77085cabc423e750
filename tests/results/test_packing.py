import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfewshot.results.packing import pack, pack_labels, packed_bytes, unpack, unpack_labels, values_per_byte


@given(st.integers(2, 300), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_labels_come_back(n_way, n_episodes, n_query, seed):
    predicted = np.random.default_rng(seed).integers(n_way, size=(n_episodes, n_way * n_query))
    data = pack_labels(predicted, n_way)
    found = unpack_labels(data, predicted.shape, n_way)
    np.testing.assert_array_equal(found, predicted)
    assert found.dtype == (np.int8 if n_way <= 127 else np.int16)
    assert len(data) <= packed_bytes(predicted.size, n_way)


@given(st.integers(1, 70_000), st.integers(0, 500), st.integers(0, 2**32 - 1))
def test_counts_come_back(base, n_values, seed):
    base = min(base, 65_536)
    values = np.random.default_rng(seed).integers(base, size=n_values)
    np.testing.assert_array_equal(unpack(pack(values, max(base, 2)), n_values, max(base, 2)), values)


def test_as_many_values_as_fit_share_a_byte():
    assert [values_per_byte(base) for base in (2, 3, 4, 5, 6, 7, 16, 17, 256, 257)] == [8, 5, 4, 3, 3, 2, 2, 1, 1, 0]


def test_five_way_labels_take_about_their_entropy():
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(5), 15)
    is_right = rng.random((2000, 75)) < 0.6
    other = (true + rng.integers(1, 5, size=is_right.shape)) % 5
    data = pack_labels(np.where(is_right, true, other).astype(np.int8), 5)
    entropy = -0.6 * np.log2(0.6) - 0.4 * np.log2(0.1)
    assert 8 * len(data) / is_right.size < 1.03 * entropy


def test_bytes_of_another_number_of_values_are_refused():
    data = pack(np.arange(5).repeat(30), 5)
    for wrong in (140, 160):
        with pytest.raises(ValueError, match="values were expected"):
            unpack(data, wrong, 5)
    with pytest.raises(ValueError, match=r"."):
        unpack(data[:-3], 150, 5)
    with pytest.raises(ValueError, match="one of 3"):
        pack_labels(np.full((1, 3), 3), 3)


def test_the_most_bytes_are_those_of_values_that_do_not_shorten():
    # 1,000 bytes of three 5-way labels each, 5 for each started block of 16,383, and 6 for zlib's header and checksum.
    assert packed_bytes(3_000, 5) == 1_000 + 5 + 6
    assert packed_bytes(3_001, 5) == 1_001 + 5 + 6
    assert packed_bytes(3 * 16_383, 5) == 16_383 + 10 + 6
    assert packed_bytes(100, 300) == 200 + 5 + 6
