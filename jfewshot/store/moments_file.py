"""Mean and covariance of a background as one small file, which is written completely or not at all, and checked when read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.arrays import npz_bytes, read_npz
from jfewshot.files.json_values import decode_json
from jfewshot.store.moments import Moments
from jfewshot.store.reading import sample_stores

FORMAT, FORMAT_VERSION = "jfewshot-statistics", 1
_ABOUT, _DIGEST = "about", "sha256"
_ARRAYS = ("mean", "deviation", "correlation", "clip_digests", "row_digests")
_DTYPES = ("float32", "float32", "float16", "uint64", "uint64")
_AGAIN = "copy the file again, or write it again with `jfewshot store statistics`"

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Digest64 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _Named(msgspec.Struct):
    """An encoder or a corpus. The file may have further facts."""

    name: _Name
    revision: str | None = None


class _About(msgspec.Struct):
    upstream: _Named
    view: _Name
    corpus: _Named
    clips: _Count
    segments: _Count
    segment_samples: _Count | None
    sample_rate: _Count | None
    embeddings: list[tuple[_Digest64, _Digest64]]


def write_moments(path: Path | str, moments: Moments, replace: bool = False) -> Path:
    """Write a file of statistics; the same statistics give the same bytes.

    Args:
      path: the file; its name ends in .npz.
      moments: what to write.
      replace: replace a file that is there.

    Returns:
      the file's path.

    Raises:
      UserError: if the name does not end in .npz, or the file exists.
    """
    path = check_moments_place(path, replace)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"format": FORMAT, "format_version": FORMAT_VERSION, **moments.about}
    arrays = {name: getattr(moments, name) for name in _ARRAYS}
    texts = {_ABOUT: json.dumps(about, ensure_ascii=False, sort_keys=True), _DIGEST: moments.digest}
    with atomic_write(path) as file:
        file.write(npz_bytes({name: np.array(text) for name, text in texts.items()} | arrays, 9))
    return path


def check_moments_place(path: Path | str, replace: bool) -> Path:
    """Refuse an invalid name for a file of statistics, before the computation.

    Raises:
      UserError: if the name does not end in .npz, or the file exists and may not be replaced.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise UserError(f"{path} does not end in .npz; a file of statistics does, for instance {path.name}.npz")
    if path.exists() and not replace:
        raise UserError(f"{path} is there already; name another file, or pass --replace")
    return path


def read_moments(path: Path | str) -> Moments:
    """Read a file of statistics.

    Args:
      path: the file.

    Returns:
      the statistics.

    Raises:
      UserError: if the file is missing, damaged, of another format version, or not a file of statistics.
    """
    path = Path(path)
    try:
        arrays = read_npz(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; name a file that `jfewshot store statistics` wrote") from error
    except UserError as error:
        raise UserError(f"{path} is damaged or no .npz file ({error}); {_AGAIN}") from error
    about = _about(path, arrays)
    fault = _fault(arrays)
    if fault:
        raise UserError(f"{path}: {fault}; {_AGAIN}")
    mean, deviation, correlation, clip_digests, row_digests = (arrays[name] for name in _ARRAYS)
    moments = Moments(about, mean, deviation, correlation, clip_digests, row_digests, str(path))
    if moments.digest != str(arrays[_DIGEST]):
        raise UserError(
            f"{path} was edited or damaged: its numbers are not those that its digest was made of; {_AGAIN}"
        )
    return moments


def shipped_moments() -> list[Moments]:
    """The statistics that come with the package."""
    return [read_moments(path) for path in sorted((sample_stores().parent / "statistics").glob("*.npz"))]


def names_of(moments: Sequence[Moments]) -> str:
    """Encoders and views, for messages: `fbank (last.mean), mfcc (last.mean)`."""
    return ", ".join(f"{each.upstream} ({each.about['view']})" for each in moments)


def _about(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    text = arrays.get(_ABOUT)
    if text is None or text.dtype.kind != "U" or text.ndim:
        raise UserError(f"{path} is no file of statistics: it has no text '{_ABOUT}'; {_AGAIN}")
    try:
        about = decode_json(str(text).encode())
    except UserError as error:
        raise UserError(f"{path}: its text '{_ABOUT}' is not JSON ({error}); {_AGAIN}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise UserError(f"{path} is no file of statistics (its format is not '{FORMAT}'); {_AGAIN}")
    version = about.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise UserError(
            f"{path} is of format version {str(version)[:40]}; this jfewshot reads version {FORMAT_VERSION}. Write it again"
        )
    try:
        msgspec.convert(about, _About)
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is not as docs/store.md describes it: {error}; {_AGAIN}") from error
    return {name: value for name, value in about.items() if name not in ("format", "format_version")}


def _fault(arrays: dict[str, np.ndarray]) -> str:
    """The error in the arrays; empty if they are valid."""
    for name, dtype in zip(_ARRAYS, _DTYPES, strict=True):
        if name not in arrays:
            return f"it has no array '{name}'"
        if str(arrays[name].dtype) != dtype or arrays[name].ndim != 1:
            return (
                f"its array '{name}' is {arrays[name].dtype} of shape {arrays[name].shape}, and not {dtype} in one row"
            )
        if not np.isfinite(arrays[name]).all():
            return f"its array '{name}' holds a number that is not finite"
    dim = len(arrays["mean"])
    for name, length in (("deviation", dim), ("correlation", dim * (dim - 1) // 2)):
        if len(arrays[name]) != length:
            return f"its array '{name}' has {len(arrays[name])} numbers; {dim} features need {length}"
    if not dim or (arrays["deviation"] < 0).any():
        return "it has no features" if not dim else "a deviation is negative"
    if _DIGEST not in arrays:
        return f"it has no text '{_DIGEST}'"
    return ""
