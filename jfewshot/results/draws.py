"""The files of drawn clips."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import arrays as npz
from jfewshot.files import atomic_write, canonical_json


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays completely or not at all.

    Args:
      path: path of the .npz file.
      arrays: the arrays by name.
    """
    # Written to memory first, because zipfile seeks, and because a full disk should fail in one place.
    data = npz.npz_bytes(arrays)
    with atomic_write(path) as file:
        file.write(data)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file.

    Args:
      path: of the file.

    Returns:
      Arrays by name.

    Raises:
      UserError: if the file is missing or damaged.
    """
    try:
        return npz.read_npz(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run the same command again and it is computed again") from error
    except UserError as error:
        raise _damaged(path, str(error)) from error


def digest_of_draws(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the contents of a file of drawn clips, independent of compression and of the width of numbers and texts.

    Args:
      arrays: by name (docs/results.md).
    """
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        if array.dtype.kind in "iu":
            data = np.ascontiguousarray(array, "<i8").tobytes()
        elif array.dtype.kind == "f":
            data = np.ascontiguousarray(array, "<f8").tobytes()
        else:
            try:
                data = canonical_json(array.astype(str).tolist()).encode()
            except (ValueError, TypeError):
                # Bytes that are not text, which no run writes; the digest then matches no record.
                data = array.tobytes()
        digest.update(f"{name} {array.shape} {len(data)} ".encode())
        digest.update(data)
    return digest.hexdigest()


def check_draws(path: Path, arrays: Mapping[str, np.ndarray], sha256: str | None) -> None:
    """Compare drawn clips with the digest in a record.

    Args:
      path: of their file, for the message.
      arrays: by name.
      sha256: `draws_sha256` of the record; None in records of earlier versions, which are not compared.

    Raises:
      UserError: if the arrays differ from those that the run drew.
    """
    if sha256 is not None and digest_of_draws(arrays) != sha256:
        raise UserError(
            f"{path} was edited after it was written: its clips are not those that its records describe; run the same "
            "command again, and these cells are computed again"
        )


def read_draws(path: Path, protocol: Mapping[str, Any], sha256: str | None = None) -> dict[str, np.ndarray]:
    """Read the drawn clips of a protocol, and check their sizes.

    Args:
      path: of the file.
      protocol: `identity.protocol` of a record that names this file.
      sha256: `draws_sha256` of that record; None where it has none.

    Returns:
      Arrays by name (docs/results.md).

    Raises:
      UserError: if the file is missing, is damaged or was edited, or has other episodes than those of the record.
    """
    found = read_npz(path)
    clips, names, classes = found.get("clips"), found.get("clip_id"), found.get("class")
    if clips is None or names is None or classes is None:
        raise _damaged(path, "it lacks 'clips', 'clip_id' or 'class'")
    shape = protocol["n_episodes"], protocol["n_way"], protocol["k_shot"] + protocol["n_query"]
    if clips.shape != shape or clips.dtype.kind not in "iu":
        raise _damaged(path, f"'clips' is {clips.dtype} of shape {clips.shape}, and its record says {shape}")
    columns = [found[name] for name in ("clip_id", "class", "group", "split") if name in found]
    if any(column.shape != names.shape or column.ndim != 1 or column.dtype.kind != "U" for column in columns):
        raise _damaged(path, "the columns of its table of clips do not fit each other")
    for name in ("may_support", "may_query"):
        if name in found and (found[name].shape != names.shape or found[name].dtype.kind != "u"):
            raise _damaged(path, f"'{name}' does not fit its table of clips")
    if protocol.get("every_query") or protocol.get("query_balance"):
        count = found.get("query_count")
        if count is None or count.shape != shape[:2] or count.dtype.kind not in "iu":
            raise _damaged(path, "it lacks the numbers of queries of each class")
        # A fold of mteb may have no clip of a class.
        least = 0 if protocol.get("mteb") else 1
        if count.size and not (count.min() >= least and count.max() <= protocol["n_query"]):
            raise _damaged(path, "'query_count' has other numbers of queries than the record allows")
    if protocol.get("mteb"):
        count = found.get("support_count")
        if count is None or count.shape != shape[:2] or count.dtype.kind not in "iu":
            raise _damaged(path, "it lacks the numbers of supports of each class")
        if count.size and not (count.min() >= 0 and count.max() <= protocol["k_shot"]):
            raise _damaged(path, "'support_count' has other numbers of supports than the record allows")
    if protocol.get("unknown_ways"):
        unknown, sizes = found.get("unknown"), (shape[0], protocol["unknown_ways"], protocol["n_query"])
        if unknown is None or unknown.shape != sizes or unknown.dtype.kind not in "iu":
            raise _damaged(path, "it lacks the queries of unknown classes")
        if unknown.size and not (unknown.min() >= 0 and unknown.max() < len(names)):
            raise _damaged(path, "'unknown' points to clips that are not in its table")
    if clips.size and not (clips.min() >= 0 and clips.max() < len(names)):
        raise _damaged(path, "'clips' points to clips that are not in its table")
    of_slot = np.unique(classes, return_inverse=True)[1].reshape(-1)[clips]
    if (of_slot != of_slot[:, :, :1]).any():
        raise _damaged(path, "an episode holds clips of two classes in one class's place")
    check_draws(path, found, sha256)
    return found


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is damaged ({what}); delete it and run the same command again")
