import hashlib
import io
import zipfile

import numpy as np
import pytest

from jfewshot.files.arrays import npz_bytes
from jfewshot.simclr.export import read_encoder
from jfewshot.simclr.export.folder import SHIPPED

ARRAYS = {"a": np.arange(6, dtype=np.int8).reshape(2, 3), "b": np.array(["x", "yz"]), "c": np.array("text")}


@pytest.mark.parametrize("level", [1, 6])
def test_numpy_reads_the_arrays_and_their_order(level):
    with np.load(io.BytesIO(npz_bytes(ARRAYS, level)), allow_pickle=False) as archive:
        assert archive.files == list(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(archive[name], array)
            assert archive[name].dtype == array.dtype


def test_no_time_of_writing_is_in_the_bytes():
    with zipfile.ZipFile(io.BytesIO(npz_bytes(ARRAYS))) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_shipped_encoder_written_again_has_the_digest_that_it_was_released_under():
    encoder = read_encoder(SHIPPED / "speech_simclr_small")
    with np.load(SHIPPED / "speech_simclr_small" / "weights.npz", allow_pickle=False) as archive:
        written = npz_bytes({name: archive[name] for name in sorted(archive.files)}, level=6)
    assert hashlib.sha256(written).hexdigest() == encoder.revision
