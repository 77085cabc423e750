"""Windows of recordings with their labels and their embeddings, as in databases."""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

# Maps the number of a window to the seconds that each of its labels covers.
Labels = Mapping[int, Mapping[str, float]]
_ROUNDED_S = 1e-6  # times in files are rounded, so smaller differences are ignored


@dataclasses.dataclass(frozen=True)
class Windows:
    """The windows of a database, in any order.

    Attributes:
      recordings: the name of each recording, all different.
      columns: further columns of the clips by name, each with one text per recording.
      recording: int64, one per window; its index in `recordings`.
      start_s, end_s: float64, one per window, in seconds from the recording's beginning.
      key: int64, one per window; the key of its embedding.
      columns_of_windows: further columns by name, each with one text per window.
      splits: one text per recording; empty if the database has no splits.
      are_recordings: whether each window is a whole recording. Its clip then has the recording's name, and no group.
    """

    recordings: Sequence[str]
    columns: Mapping[str, Sequence[str]]
    recording: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    key: np.ndarray
    columns_of_windows: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    splits: Sequence[str] = ()
    are_recordings: bool = False

    def __len__(self) -> int:
        return len(self.recording)

    def name(self, number: int) -> str:
        """The clip id of a window: its recording, start and end, as extraction names stretches of recordings."""
        if self.are_recordings:
            return self.recordings[self.recording[number]]
        times = f"{self.start_s[number]:.10g}-{self.end_s[number]:.10g}"
        return f"{self.recordings[self.recording[number]]}:{times}"


@dataclasses.dataclass(frozen=True, slots=True)
class Annotation:
    """A labelled stretch of a recording.

    Attributes:
      recording: its index among the recordings of `Windows`.
      start_s, end_s: in seconds from the recording's beginning.
      label: the label of the sound.
    """

    recording: int
    start_s: float
    end_s: float
    label: str


# Maps names of recordings to labelled stretches of them.
Annotate = Callable[[Sequence[str]], Sequence[Annotation]]


@runtime_checkable
class Vectors(Protocol):
    """Embeddings that are looked up by the keys of windows."""

    @property
    def dim(self) -> int:
        """The number of dimensions of an embedding."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """float16 or float32."""
        ...

    def has(self, keys: np.ndarray) -> np.ndarray:
        """Which keys have an embedding, as a bool per key."""
        ...

    def read(self, keys: np.ndarray) -> np.ndarray:
        """The embeddings of some keys, keys x dim; every key must have one."""
        ...


@dataclasses.dataclass(frozen=True)
class Database:
    """The contents of a database.

    Attributes:
      windows: all windows.
      labels: labels of windows, by window number.
      vectors: the embeddings.
      facts: for the store's manifest: `upstream`, `sample_rate`, `segment_samples`, as far as the database has them.
      name: the database's name for its recordings; empty if it has none.
    """

    windows: Windows
    labels: Labels
    vectors: Vectors
    facts: Mapping[str, Any]
    name: str = ""


def labels_by_overlap(windows: Windows, annotations: Sequence[Annotation], min_overlap_s: float = 0.0) -> Labels:
    """Label windows by annotations: an annotation labels a window if it begins before the window ends and ends after it begins.

    This is the rule of perch-hoplite 1.x (`get_window_annotations`); an annotation that only touches a window does not label it.

    Args:
      windows: the windows.
      annotations: of their recordings.
      min_overlap_s: seconds that an annotation must share with a window, unless it covers the window or lies within it.

    Returns:
      for each labelled window, the seconds of each label; overlapping annotations of one label are counted once.
    """
    of_recording = collections.defaultdict(list)
    for one in annotations:
        of_recording[one.recording].append(one)
    order = np.lexsort((windows.start_s, windows.recording))
    bounds = np.searchsorted(windows.recording[order], np.arange(len(windows.recordings) + 1))
    labels: dict[int, dict[str, float]] = {}
    shared: dict[tuple[tuple[str, float], ...], dict[str, float]] = {}  # most of a million windows have equal labels
    for recording, listed in of_recording.items():
        own = order[bounds[recording] : bounds[recording + 1]]
        if not len(own):
            continue
        starts, ends = windows.start_s[own], windows.end_s[own]
        longest = float((ends - starts).max())
        stretches: dict[int, dict[str, list[tuple[float, float]]]] = {}
        for one in listed:
            # Windows are sorted by start, so those that can overlap with an annotation are consecutive.
            first = int(np.searchsorted(starts, one.start_s - longest - _ROUNDED_S, side="left"))
            last = int(np.searchsorted(starts, one.end_s, side="left"))
            for at in range(first, last):
                start, end = max(starts[at], one.start_s), min(ends[at], one.end_s)
                if ends[at] <= one.start_s:
                    continue
                enough = min(min_overlap_s, one.end_s - one.start_s, ends[at] - starts[at])
                if end - start >= enough - _ROUNDED_S:
                    of_window = stretches.setdefault(int(own[at]), {})
                    of_window.setdefault(one.label, []).append((float(start), float(end)))
        for number, of_window in stretches.items():
            found = tuple((label, _together_s(parts)) for label, parts in of_window.items())
            labels[number] = shared.setdefault(found, dict(found))
    return labels


def _together_s(parts: list[tuple[float, float]]) -> float:
    """The seconds that lie in at least one of some stretches."""
    total, until = 0.0, -np.inf
    for start, end in sorted(parts):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
