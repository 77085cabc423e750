"""Checks whether a store is complete and whether its contents are plausible."""

import dataclasses
from pathlib import Path

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file
from jfewshot.printable import counted
from jfewshot.store.reading import Store, open_store
from jfewshot.threads import by_blocks

_ROWS_AT_ONCE = 1024  # rows that fit a core's cache


@dataclasses.dataclass(frozen=True)
class Report:
    """The findings of `verify_store`.

    Attributes:
      errors: errors that make the store unusable; empty for a sound store.
      warnings: findings that a person should check: constant or zero embeddings, doubled rows, tiny classes.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def verify_store(path: Path | str) -> Report:
    """Read all of a store and check it: digests, shapes, NaN and infinity, zero, constant and doubled embeddings, class sizes.

    The store is read in blocks, so it may be larger than memory.
    """
    try:
        store = open_store(path)
    except UserError as error:
        return Report((str(error),), ())
    errors: list[str] = []
    warnings: list[str] = []
    if store.manifest.get("clip_table") not in (None, store.clips.digest):
        errors.append("manifest.json gives another digest of the clip table than clips.csv has")
    counts = store.manifest.get("counts") or {}
    actual = store.clips.counts
    errors.extend(
        f"manifest.json counts {counts[name]} {name}, clips.csv has {count}"
        for name, count in actual.items()
        if counts.get(name, count) != count
    )
    for name in store.views:
        _check_view(store, name, errors, warnings)
    sizes = np.unique(store.clips.class_name[store.clips.class_name != ""], return_counts=True)
    small = [f"{label} ({size})" for label, size in zip(*sizes, strict=True) if size < 2]
    if small:
        have = counted(len(small), "class has", "classes have")
        warnings.append(f"{have} a single clip, too few for an episode: {_some(small)}")
    return Report(tuple(errors), tuple(warnings))


def rows_not_finite(view: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which of some rows contain a NaN or an infinity; rows are read in blocks.

    Args:
      view: segments x dim.
      rows: numbers of the rows to check.

    Returns:
      the rows of `rows` that contain a NaN or an infinity.
    """

    def bad_of(start: int, stop: int) -> np.ndarray:
        part = rows[start:stop]
        # Mostly the rows are a block of the file, which can be checked without a copy.
        together = part[-1] - part[0] + 1 == len(part) and (np.diff(part) == 1).all()
        sound = finite(view[part[0] : part[-1] + 1] if together else view[part])
        return part[:0] if sound.all() else part[~sound.all(axis=1)]

    return np.concatenate([rows[:0], *by_blocks(bad_of, len(rows), _ROWS_AT_ONCE)])


def finite(x: np.ndarray) -> np.ndarray:
    """Which numbers, of float16 or float32, are neither NaN nor infinite."""
    # Most processors emulate half precision, so check the bits: an exponent of all ones means NaN or infinity.
    return x.view(np.uint16) & 0x7C00 != 0x7C00 if x.dtype == np.float16 else np.isfinite(x)


def doubled_rows(view: np.ndarray) -> list[tuple[int, int]]:
    """Rows that are identical to an earlier row, except constant rows.

    Args:
      view: segments x dim.

    Returns:
      pairs of the first row and a later row that equals it.
    """
    digests, plain = [], []
    for start in range(0, len(view), _ROWS_AT_ONCE):
        block = np.asarray(view[start : start + _ROWS_AT_ONCE])
        plain.append(start + np.flatnonzero((block != block[:, :1]).any(axis=1)))
        digests.append(row_digests(block))
    if not digests:
        return []
    rows = np.concatenate(plain)
    return _doubled(view, rows, np.concatenate(digests)[rows])


def _check_view(store: Store, name: str, errors: list[str], warnings: list[str]) -> None:
    try:
        view = store.view(name)
    except UserError as error:
        errors.append(str(error))
        return
    expected = store.manifest["views"][name].get("sha256")
    if sha256_of_file(store.view_path(name)) != expected:
        errors.append(f"view {name}: the file's sha256 is not the manifest's; copy or extract the store again")
    unused = len(view) - int(store.clips.n_segments.sum())
    if unused:
        warnings.append(f"view {name}: {unused} rows belong to no clip")

    bad_rows, zero_rows, constant_rows, digests = [], [], [], []
    lowest = np.full(view.shape[1], np.inf)
    highest = np.full(view.shape[1], -np.inf)
    for start in range(0, len(view), _ROWS_AT_ONCE):
        block = np.asarray(view[start : start + _ROWS_AT_ONCE], np.float32)
        finite = np.isfinite(block).all(axis=1)
        bad_rows.append(start + np.flatnonzero(~finite))
        zero_rows.append(start + np.flatnonzero((block == 0).all(axis=1)))
        if view.shape[1] > 1:
            constant_rows.append(start + np.flatnonzero(finite & (np.ptp(block, axis=1) == 0)))
        digests.append(row_digests(view[start : start + _ROWS_AT_ONCE]))
        if finite.any():
            lowest = np.minimum(lowest, block[finite].min(axis=0))
            highest = np.maximum(highest, block[finite].max(axis=0))
    owner = _owner_of_row(store, len(view))
    for rows, what, severity in (
        (np.concatenate(bad_rows), "NaN or infinite", errors),
        (np.concatenate(zero_rows), "all zero", warnings),
        (
            np.setdiff1d(np.concatenate([*constant_rows, zero_rows[0][:0]]), np.concatenate(zero_rows)),
            "constant",
            warnings,
        ),
    ):
        if len(rows):
            clips = list(dict.fromkeys(owner[rows].tolist()))
            severity.append(f"view {name}: {len(rows)} embeddings are {what}: {_some(clips)}")
    dead = int((highest <= lowest).sum())
    if dead < view.shape[1]:
        plain = np.setdiff1d(np.arange(len(view)), np.concatenate([*bad_rows, *zero_rows, *constant_rows]))
        pairs = _doubled(view, plain, np.concatenate(digests)[plain])
        if pairs:
            names = [f"{owner[a]} = {owner[b]}" if owner[a] != owner[b] else f"two of {owner[a]}" for a, b in pairs]
            warnings.append(
                f"view {name}: {len(pairs)} embeddings equal another one to the bit: {_some(list(dict.fromkeys(names)))}"
            )
    if dead == view.shape[1] and len(view) > 1:
        warnings.append(f"view {name}: every embedding is the same")
    elif dead and len(view) > 1:
        warnings.append(f"view {name}: {dead} of {view.shape[1]} features never change")


def row_digests(block: np.ndarray) -> np.ndarray:
    """A hash for each row, equal for equal bytes, and almost never equal for others."""
    data, width = block.tobytes(), block.shape[1] * block.itemsize
    return np.array([hash(data[i : i + width]) for i in range(0, len(data), width)], np.int64)


def _doubled(view: np.ndarray, rows: np.ndarray, digests: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of a row and a later row with the same bytes."""
    order = np.argsort(digests, kind="stable")
    same = np.flatnonzero(digests[order][1:] == digests[order][:-1])
    first_of: dict[bytes, int] = {}
    pairs = []
    for place in np.union1d(same, same + 1):  # sorted by digest, and by row within equal digests
        row = int(rows[order[place]])
        first = first_of.setdefault(view[row].tobytes(), row)
        if first != row:
            pairs.append((first, row))
    return sorted(pairs)


def _owner_of_row(store: Store, n_rows: int) -> np.ndarray:
    owner = np.full(n_rows, "(no clip)", dtype=object)
    for clip, first, count in zip(
        store.clips.clip_id.tolist(), store.clips.first_segment, store.clips.n_segments, strict=True
    ):
        owner[first : first + count] = clip
    return owner


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(map(str, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
