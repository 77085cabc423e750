"""Choose the windows of a database that become clips, and write a store of them."""

import collections
import dataclasses
import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import scratch_folder
from jfewshot.files.texts import check_twins
from jfewshot.printable import counted
from jfewshot.store.clips import ClipTable
from jfewshot.store.containers.windows import Labels, Vectors, Windows
from jfewshot.store.reading import Store
from jfewshot.store.verifying import finite
from jfewshot.store.writing import check_store_place, write_store

_log = logging.getLogger(__name__)
_ROWS = 8_192  # embeddings read at a time
_AS_LONG_S = 1e-6  # times in files are rounded
VIEW_FILE = "view.npy"


@dataclasses.dataclass(frozen=True)
class Taking:
    """The options that choose the windows that become clips.

    Attributes:
      clips: `windows` makes each window a clip; `recordings` makes all windows of one recording with one label the segments of
        one clip.
      several: how to treat a window with several labels. `leave_out` lists the window and does not use it. `longest`
        takes the label that covers most of the window. `rarest` takes the label that the fewest windows of the database
        have.
      unlabelled: keep windows without a label, each as a clip without a class.
      min_overlap_s: seconds of a window that an annotation must cover; if the window or the annotation is shorter, all
          of it.
      provenance: the sources of labels that count (in Hoplite, a text that names the person or program of a label);
          none means all.
      window_s: length of a window in seconds, for databases that store only the start of each window; None for other
          databases.
    """

    clips: Literal["windows", "recordings"] = "windows"
    several: Literal["leave_out", "longest", "rarest"] = "leave_out"
    unlabelled: bool = False
    min_overlap_s: float = 0.0
    provenance: tuple[str, ...] = ()
    window_s: float | None = None


def store_of_windows(
    path: Path | str,
    windows: Windows,
    labels: Labels,
    vectors: Vectors,
    taking: Taking,
    *,
    container: Path,
    view: str = "last.mean",
    replace: bool = False,
    **facts: Any,
) -> Store:
    """Write a store of the windows that have a label. Embeddings are read in blocks, so that they need not fit into memory.

    A clip is named RECORDING:START-END, as `jfewshot extract` names stretches of recordings; with `taking.clips` of `recordings`,
    RECORDING:LABEL. The group is the recording.

    Args:
      path: the folder to write.
      windows: windows of the database.
      labels: labels of windows, by window number.
      vectors: the embeddings.
      taking: which windows become clips.
      container: the database, for messages.
      view: name of the view.
      replace: replace a store that stands at `path`.
      **facts: passed to `write_store` (dataset, upstream, sample_rate, ...).

    Returns:
      the finished store. Its manifest lists every labelled window that is not used, with the reason.

    Raises:
      UserError: if no window is left.
    """
    check_store_place(path, replace)
    chosen, left_out = _chosen(windows, labels, taking)
    numbers, bad = _usable(windows, vectors, np.array(sorted(chosen), np.int64))
    left_out |= bad
    n_unlabelled = 0 if taking.unlabelled else len(windows) - len(labels)
    _tell(container, windows, numbers, n_unlabelled, left_out)
    if not len(numbers):
        fix = (
            "no label is usable"
            if labels
            else "label windows in the database, or give annotations of its recordings (--annotations)"
        )
        raise UserError(
            f"{container} has {counted(len(windows), 'window')}, and none becomes a clip: {fix}. Windows without a "
            "label are kept with --unlabelled"
        )
    clips, order = _table(windows, chosen, numbers, taking)
    del chosen, numbers
    with scratch_folder(path) as folder:
        write_view(folder / VIEW_FILE, vectors, windows.key[order])
        return write_store(
            path,
            views={view: folder / VIEW_FILE},
            clips=clips,
            left_out=[
                {"clip_id": windows.name(number), "reason": reason} for number, reason in sorted(left_out.items())
            ],
            replace=replace,
            **facts,
        )


def _chosen(windows: Windows, labels: Labels, taking: Taking) -> tuple[dict[int, str], dict[int, str]]:
    """The label of each labelled window (the empty text for unlabelled ones, if wanted), and why others are left out."""
    n_windows = collections.Counter(label for of_window in labels.values() for label in of_window)
    chosen: dict[int, str] = {}
    left_out: dict[int, str] = {}
    for number, of_window in labels.items():
        if len(of_window) == 1 or taking.several == "rarest":
            chosen[number] = min(of_window, key=lambda label: (n_windows[label], label))
            continue
        ordered = sorted(of_window, key=lambda label: (-of_window[label], label))
        is_longer = of_window[ordered[0]] > of_window[ordered[1]] + _AS_LONG_S
        if taking.several == "longest" and is_longer:
            chosen[number] = ordered[0]
        else:
            names = ", ".join(f"'{label}'" for label in sorted(of_window))
            why = ", which cover it equally long" if taking.several == "longest" else ""
            left_out[number] = f"has several labels: {names}{why}"
    if taking.unlabelled:
        chosen |= {number: "" for number in range(len(windows)) if number not in labels}
    numbers = np.array(sorted(chosen), np.int64)
    left_out |= dict.fromkeys(numbers[~_has_length(windows, numbers)].tolist(), "does not end after it begins")
    again = _again(windows, np.array([number for number in numbers.tolist() if number not in left_out], np.int64))
    left_out |= dict.fromkeys(again.tolist(), "is in the database again")
    for number in left_out:
        chosen.pop(number, None)
    return chosen, left_out


def _has_length(windows: Windows, numbers: np.ndarray) -> np.ndarray:
    """Which windows have finite times and an end after the start."""
    start_s, end_s = windows.start_s[numbers], windows.end_s[numbers]
    return np.isfinite(start_s) & np.isfinite(end_s) & (start_s < end_s)


def _again(windows: Windows, numbers: np.ndarray) -> np.ndarray:
    """Those of some windows that repeat the recording and times of an earlier one."""
    place = [array[numbers] for array in (windows.end_s, windows.start_s, windows.recording)]
    order = np.lexsort([numbers, *place])
    same = np.ones(max(0, len(numbers) - 1), bool)
    for array in place:
        same &= array[order][1:] == array[order][:-1]
    return numbers[order][1:][same]


def _usable(windows: Windows, vectors: Vectors, numbers: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
    """Those of some windows that have a finite embedding, and the errors of the others."""
    bad: dict[int, str] = {}
    for start in range(0, len(numbers), _ROWS):
        block = numbers[start : start + _ROWS]
        there = vectors.has(windows.key[block])
        bad |= dict.fromkeys(block[~there].tolist(), "has no embedding")
        block = block[there]
        if len(block):
            sound = finite(vectors.read(windows.key[block])).all(axis=1)
            bad |= dict.fromkeys(block[~sound].tolist(), "its embedding is NaN or infinite")
    return np.array([number for number in numbers.tolist() if number not in bad], np.int64), bad


def _table(
    windows: Windows, chosen: dict[int, str], numbers: np.ndarray, taking: Taking
) -> tuple[ClipTable, np.ndarray]:
    """The table of clips, and the windows in the order of their rows."""
    names = sorted(set(windows.recordings))
    rank = {name: at for at, name in enumerate(names)}
    recording = np.array([rank[name] for name in windows.recordings], np.int64)[windows.recording[numbers]]
    by = [windows.end_s[numbers], windows.start_s[numbers], recording]
    if taking.clips == "recordings":
        labels = {label: at for at, label in enumerate(sorted(set(chosen.values())))}
        by.insert(2, np.array([labels[chosen[number]] for number in numbers.tolist()], np.int64))
    order = numbers[np.lexsort(by)].tolist()
    ids: list[str] = []
    first: list[int] = []
    counts: list[int] = []
    for number in order:
        name = windows.name(number)
        if taking.clips == "recordings" and chosen[number]:
            name = f"{windows.recordings[windows.recording[number]]}:{chosen[number]}"
        if ids and ids[-1] == name:
            counts[-1] += 1
            continue
        ids.append(name)
        first.append(number)
        counts.append(1)
    recording = windows.recording[first]
    further = {name: [texts[at] for at in recording] for name, texts in windows.columns.items()}
    further |= {name: [texts[number] for number in first] for name, texts in windows.columns_of_windows.items()}
    clips = ClipTable.build(
        ids,
        [chosen[number] for number in first],
        None if windows.are_recordings else [windows.recordings[at] for at in recording],
        [windows.splits[at] for at in recording] if windows.splits else None,
        None,
        counts,
        unlabelled=taking.unlabelled,
        further=further,
    )
    check_twins(clips.class_name.tolist(), "classes")
    return clips, np.array(order, np.int64)


def write_view(path: Path, vectors: Vectors, keys: np.ndarray) -> None:
    """Write embeddings as an array in a file, a block at a time.

    Args:
      path: the file to write.
      vectors: the embeddings.
      keys: keys of the rows, in their order.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=vectors.dtype, shape=(len(keys), vectors.dim))
    for start in range(0, len(keys), _ROWS):
        array[start : start + _ROWS] = vectors.read(keys[start : start + _ROWS])
    array.flush()


def _tell(container: Path, windows: Windows, numbers: np.ndarray, n_unlabelled: int, left_out: dict[int, str]) -> None:
    """Log how many windows are used, and why others are not used."""
    _log.info(
        "%s: %s of %s are used",
        container,
        f"{len(numbers):,}",
        counted(len(windows), "window"),
    )
    if n_unlabelled:
        _log.info("%s without a label: left out; --unlabelled keeps such windows", counted(n_unlabelled, "window"))
    reasons = collections.Counter(reason.split(":")[0] for reason in left_out.values())
    for reason, count in reasons.most_common():
        first = min(number for number in left_out if left_out[number].startswith(reason))
        _log.warning(
            "left out: %s, whose reason is: %s (the first: %s)", counted(count, "window"), reason, windows.name(first)
        )
