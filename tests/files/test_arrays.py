import hashlib
import io
import zipfile

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.files.arrays import npz_bytes, read_npz
from jfewshot.simclr.export import read_encoder
from jfewshot.simclr.export.folder import SHIPPED

LAST = {"d": np.array(["\U0010ffff\ud7ff\ue000"]), "e": np.array([""]), "f": np.array([], "U3")}
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


def test_arrays_come_back(tmp_path):
    arrays = ARRAYS | LAST
    (tmp_path / "x.npz").write_bytes(npz_bytes(arrays))
    found = read_npz(tmp_path / "x.npz")
    assert list(found) == list(arrays)
    assert all(found[name].dtype == array.dtype and (found[name] == array).all() for name, array in arrays.items())


def test_a_missing_file_is_another_error_than_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "x.npz")


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def member(header):
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "."),
        (npz_bytes(ARRAYS)[:-30], "zip"),
        (zipped(a=b"no array"), "its member 'a' is not an array"),
        (zipped(a=member(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1125899906842624,), }\n")), "."),
        (zipped(a=member(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n")), "allow_pickle|Object"),
        (npz_bytes({"a": np.array([0x110000, 65], np.uint32).view("<U1")}), "its member 'a' holds texts that are not"),
        (
            npz_bytes({"a": np.array([0xDFFF], np.uint32).view("<U1")}),
            "its member 'a' holds texts that are not Unicode",
        ),
        (npz_bytes({"a": np.array([0xD800], ">u4").view(">U1")}), "its member 'a' holds texts that are not Unicode"),
        (zipped(a=member(b"[" * 3_000 + b"\n")), "."),
        (zipped(a=member(b"{'descr': '<f4'\n")), "."),
    ],
)
def test_a_damaged_file_is_one_kind_of_error(tmp_path, content, said):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        read_npz(tmp_path / "x.npz")
    assert 0 < len(str(caught.value)) < 300
