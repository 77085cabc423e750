"""Read embeddings in the user's formats: arrays of any library, data frames, files. Errors say how to convert other formats."""

from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.arrays import read_npz
from jfewshot.files.not_tables import LFS_FIX, is_lfs_pointer
from jfewshot.printable import counted
from jfewshot.store.clips import ClipTable
from jfewshot.store.reading import VIEW_DTYPES
from jfewshot.store.verifying import rows_not_finite

# For files with arrays in other formats: a line of Python that converts them to .npy.
_CONVERT = {
    ".csv": "np.loadtxt('{name}', delimiter=',', skiprows=1, dtype='float32')",
    ".tsv": "np.loadtxt('{name}', delimiter='\\t', skiprows=1, dtype='float32')",
    ".txt": "np.loadtxt('{name}', dtype='float32')",
    ".pt": "torch.load('{name}', map_location='cpu').float().numpy()",
    ".pth": "torch.load('{name}', map_location='cpu').float().numpy()",
    ".safetensors": "safetensors.numpy.load_file('{name}')[KEY]",
    ".parquet": "pandas.read_parquet('{name}').to_numpy('float32')",
    ".feather": "pandas.read_feather('{name}').to_numpy('float32')",
    ".h5": "h5py.File('{name}')[KEY][:]",
    ".hdf5": "h5py.File('{name}')[KEY][:]",
    ".mat": "scipy.io.loadmat('{name}')[KEY]",
    ".pkl": "np.asarray(pandas.read_pickle('{name}'), 'float32')",
}


def as_view(given: Any, name: str) -> np.ndarray:
    """Convert one view to float16 or float32, segments x dim.

    Args:
      given: an array of NumPy, JAX or PyTorch, of another library with DLPack, or a data frame of numbers; bfloat16 and
        float64 become float32.
      name: name of the view, for messages.

    Raises:
      UserError: if the number of dimensions is wrong, or values are not floating-point numbers.
    """
    if hasattr(given, "detach"):  # an array of PyTorch, on any device; NumPy has no bfloat16
        given = given.detach().cpu()
        given = np.from_dlpack(given.float() if "bfloat16" in str(given.dtype) else given)
    elif hasattr(given, "to_numpy"):  # a data frame
        given = given.to_numpy()
    elif hasattr(given, "__dlpack__") and not hasattr(given, "__array__"):  # only DLPack (CuPy, Paddle)
        try:
            given = np.from_dlpack(given)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(
                f"view '{name}' cannot be taken over by DLPack ({error}); move the array to the CPU first"
            ) from error
    array = np.asarray(given)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        fix = "give floating-point segments x dim"
        if array.dtype == object:
            fix += "; the array holds Python objects: is a column text, or are the clips of unequal length (then give a list)?"
        elif array.dtype.kind == "V":
            fix += "; NumPy saves bfloat16 as bytes without a type: convert with .astype('float32') before saving"
        elif array.dtype.kind in "iub":
            fix += ", for instance with .astype('float32')"
        elif array.ndim == 3:
            fix += ": one row per segment, with n_segments (or a list with one array per clip) where clips have several"
        raise UserError(f"view '{name}' is {array.dtype} of shape {array.shape}; {fix}")
    if str(array.dtype) not in VIEW_DTYPES:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    return array


def check_finite(view: np.ndarray, name: str, clips: ClipTable) -> None:
    """Refuse embeddings that are NaN or infinite.

    Args:
      view: embeddings, segments x dim.
      name: name of the view, for the message.
      clips: the table of clips, which assigns rows to clips.

    Raises:
      UserError: if a clip's embeddings are not finite; the message names the first such clip and how many there are.
    """
    bad = rows_not_finite(view, clips.rows(np.arange(len(clips)))[0])
    if len(bad):
        owners = list(dict.fromkeys(clips.clip_id[clips.owner(bad)].tolist()))
        raise UserError(
            f"view '{name}': embeddings of {counted(len(owners), 'clip')} are NaN or infinite (as {view.dtype}), the first of "
            f"clip '{owners[0]}'; compute them again, or leave these clips out"
        )


def load_array(path: Path) -> np.ndarray:
    """Load the array in a `.npy` file, or in a `.npz` file with one array.

    Raises:
      UserError: if the file is missing, damaged or of another format; the message gives a line of Python that converts
          it.
    """
    convert = _CONVERT.get(path.suffix.lower())
    if path.is_file() and is_lfs_pointer(path):
        raise UserError(f"{path} is not an array: {LFS_FIX}")
    if convert is not None:
        line = convert.format(name=path.name)
        if path.suffix == ".parquet":
            raise UserError(
                f"{path} is a table. Where it holds the labels too, `jfewshot store import {path.name}` makes the store; else "
                f"make an array of it in Python: np.save('{path.stem}.npy', {line})"
            )
        raise UserError(f"{path} is not a .npy array; make one in Python: np.save('{path.stem}.npy', {line})")
    try:
        with open(path, "rb") as file:
            if file.read(2) != b"PK":
                file.seek(0)
                return np.load(file, allow_pickle=False)
        arrays = read_npz(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; give a .npy file, or a folder with one .npy per clip") from error
    except Exception as error:
        # A header is a Python literal, so a damaged one can raise any error of Python's tokenizer, its parser and
        # NumPy.
        if "allow_pickle" in str(error):
            raise UserError(
                f"{path} is not an array of numbers: it holds Python objects, or is no .npy file. Save floating-point segments x "
                "dim with np.save; clips of unequal length go into a folder with one .npy per clip"
            ) from error
        raise UserError(f"{path} is not a whole .npy array ({str(error) or type(error).__name__})") from error
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    names = ", ".join(arrays) or "none"
    raise UserError(
        f"{path} holds {names}; one array is needed: np.save('{path.stem}.npy', np.load('{path.name}')[NAME]). Where it "
        f"holds the labels too, `jfewshot store import {path.name}` makes the store"
    )
