"""Arrays as the bytes of an .npz file, the same bytes for the same arrays; and .npz files that may be damaged."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jfewshot.errors import UserError

_ZIP64_FROM = 2**30  # bytes; a member may grow a little when it does not compress, and the limit without Zip64 is 2**31


def npz_bytes(arrays: Mapping[str, np.ndarray], level: int = 1) -> bytes:
    """An .npz file that `np.load` reads, in memory.

    `np.savez` writes the time into each member, so its bytes differ from call to call, and with them every digest.

    Args:
      arrays: by name, written in this order.
      level: of zlib's compression, 0 to 9. At 1, predictions are a tenth larger than at NumPy's 6 and are written in a
        fourteenth of the time.

    Returns:
      The file's bytes.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, array in arrays.items():
            array = np.asanyarray(array)
            with archive.open(f"{name}.npy", "w", force_zip64=array.nbytes >= _ZIP64_FROM) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    # Not `getbuffer`: a view in the frames of an exception is collected with its buffer, and CPython 3.13.0 then
    # raises the buffer's error in whatever code runs at that moment. The bytes are handed over without a copy.
    return buffer.getvalue()


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an .npz file that may be damaged.

    Args:
      path: of the file.

    Returns:
      Arrays by name.

    Raises:
      FileNotFoundError: if there is no such file.
      UserError: if the file is damaged; says how in a few words, without the file's name.
    """
    try:
        # Opened here, because np.load does not close a damaged file.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
    except FileNotFoundError:
        raise
    except Exception as error:
        # A header is a Python literal, and its shape may require any amount of memory, so a damaged file can raise any
        # error of zipfile, zlib, NumPy, and Python's tokenizer and parser.
        raise UserError(" ".join(str(error).split())[:200] or type(error).__name__) from error
    # NumPy returns bytes for a member that does not begin like an array.
    other = next((name for name, array in arrays.items() if not isinstance(array, np.ndarray)), None)
    if other is not None:
        raise UserError(f"its member {other[:60]!r} is not an array")
    other = next((name for name, array in arrays.items() if array.dtype.kind == "U" and not _is_unicode(array)), None)
    if other is not None:
        raise UserError(f"its member {other[:60]!r} holds texts that are not Unicode")
    return arrays


def _is_unicode(texts: np.ndarray) -> bool:
    """Whether every text can be read: NumPy stores 32 bits a character, and Python fails on numbers that no character has."""
    if not texts.dtype.itemsize or not texts.size:
        return True
    codes = np.ascontiguousarray(texts.astype(texts.dtype.newbyteorder("="))).reshape(-1).view(np.uint32)
    return not bool(((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any())
