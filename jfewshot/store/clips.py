"""The table of clips: ids, classes, groups, splits, and the rows of a view that belong to each clip."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_write, sha256_of_json
from jfewshot.files.csv_cells import csv_text
from jfewshot.files.tables import read_cells
from jfewshot.files.texts import texts_of
from jfewshot.store.columns import check_columns, column_name_fault

COLUMNS = ("clip_id", "class", "group", "split", "first_segment", "n_segments")
# More rows than any file has. Sums of such numbers for all clips fit 64 bits.
_MOST_ROWS, _MOST_SUMMED = 2**40, 2**62
_OPTIONAL_TEXT = ("group", "split")
LABEL_IT = "label it, leave it out, or keep such clips without a class with --unlabelled (unlabelled=True in Python)"


@dataclasses.dataclass(frozen=True)
class ClipTable:
    """One row per clip, always sorted by `clip_id` (by Unicode code point); make one with `ClipTable.build`.

    Attributes:
      clip_id: str array, one per clip, unique.
      class_name: str array; the label.
      group: str array; with `group_aware`, clips of one group are never on both sides of an episode; "" if unknown.
      split: str array; "" if the dataset has no splits.
      first_segment: int64 array; row of the clip's first segment in every view.
      n_segments: int64 array; number of consecutive rows of the clip, at least 1.
      further: further columns by name (site, microphone, language), str arrays, one text per clip; "" if unknown. They
          are not part of the digest that is the key of the draws.
    """

    clip_id: np.ndarray
    class_name: np.ndarray
    group: np.ndarray
    split: np.ndarray
    first_segment: np.ndarray
    n_segments: np.ndarray
    further: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @classmethod
    def build(
        cls,
        clip_id: Iterable[Any],
        class_name: Iterable[Any],
        group: Iterable[Any] | None = None,
        split: Iterable[Any] | None = None,
        first_segment: Sequence[int] | np.ndarray | None = None,
        n_segments: Sequence[int] | np.ndarray | None = None,
        unlabelled: bool = False,
        further: Mapping[str, Iterable[Any]] | None = None,
    ) -> "ClipTable":
        """Check and sort the rows.

        Args:
          clip_id: one text per clip, all different.
          class_name: one text per clip.
          group: one text per clip; None for none.
          split: one text per clip; None for none.
          first_segment: one row per clip; None if the clips' segments are stored one after the other in the given
              order.
          n_segments: one count per clip; None for one segment each.
          unlabelled: accept clips without a class (the empty text).
          further: further columns by name, each with one text per clip; None for none.

        Returns:
          the table, sorted by clip id.

        Raises:
          UserError: if columns have unequal lengths, if there are no clips, an empty or repeated clip id, an empty
              class, overlapping segments, impossible row numbers, or a further column whose name is empty or already
              used.
        """
        ids = texts_of(clip_id, "clip id")
        n_clips = len(ids)
        counts = np.ones(n_clips, np.int64) if n_segments is None else _row_numbers(n_segments, "n_segments", ids)
        if first_segment is None:
            starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if n_clips else counts
        else:
            starts = _row_numbers(first_segment, "first_segment", ids)
        empty = [""] * n_clips
        columns = {
            "clip_id": _array(ids),
            "class_name": _array(texts_of(class_name, "class", ids)),
            "group": _array(empty if group is None else texts_of(group, "group", ids)),
            "split": _array(empty if split is None else texts_of(split, "split", ids)),
            "first_segment": starts,
            "n_segments": counts,
        }
        for name, column in columns.items():
            if len(column) != n_clips:
                raise UserError(f"clip table: {len(column)} values of {name} for {n_clips} clips; give one per clip")
        more = {name: _array(texts_of(column, name, ids)) for name, column in (further or {}).items()}
        check_columns(more, n_clips, COLUMNS)
        order = np.argsort(columns["clip_id"], kind="stable")
        table = cls(
            **{name: column[order] for name, column in columns.items()},
            further={name: more[name][order] for name in sorted(more)},
        )
        table._check(unlabelled)
        return table

    def _check(self, unlabelled: bool) -> None:
        if not len(self):
            raise UserError("clip table: no clips; a store needs at least one")
        if (self.clip_id == "").any():
            raise UserError("clip table: a clip_id is empty; name every clip")
        if not unlabelled and (self.class_name == "").any():
            nameless = self.clip_id[self.class_name == ""][0]
            raise UserError(f"clip table: clip '{nameless}' has no class; {LABEL_IT}")
        repeated = self.clip_id[1:][self.clip_id[1:] == self.clip_id[:-1]]
        if len(repeated):
            raise UserError(f"clip table: clip_id '{repeated[0]}' is there more than once; ids name one clip each")
        if (self.n_segments < 1).any():
            raise UserError(f"clip table: clip '{self.clip_id[self.n_segments < 1][0]}' has no segments; leave it out")
        by_start = np.argsort(self.first_segment, kind="stable")
        starts, ends = self.first_segment[by_start], (self.first_segment + self.n_segments)[by_start]
        if starts[0] < 0 or (starts[1:] < ends[:-1]).any():
            raise UserError("clip table: two clips share a segment; every row of a view belongs to one clip at most")

    def __len__(self) -> int:
        return len(self.clip_id)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the clips' ids, classes, groups and splits: equal digests mean equal episodes."""
        columns = (self.clip_id, self.class_name, self.group, self.split)
        return sha256_of_json([list(row) for row in zip(*(column.tolist() for column in columns), strict=True)])

    @property
    def stream(self) -> str:
        """The key of the random stream from which episodes of these clips are drawn."""
        return self.digest

    @functools.cached_property
    def memo(self) -> dict[Any, Any]:
        """A cache for values that other modules compute from this table, kept as long as the table."""
        return {}

    @functools.cached_property
    def segments_digest(self) -> str:
        """SHA-256 of which rows belong to which clip."""
        return sha256_of_json([self.first_segment.tolist(), self.n_segments.tolist()])

    @property
    def n_rows(self) -> int:
        """The least number of rows that a view must have."""
        return int((self.first_segment + self.n_segments).max())

    @functools.cached_property
    def classes(self) -> np.ndarray:
        """The class names, sorted; clips without a class do not count."""
        return self._sorted_classes[0]

    @functools.cached_property
    def class_number(self) -> np.ndarray:
        """int32, one per clip: the position of its class in `classes`; -1 for a clip without a class."""
        return self._sorted_classes[1].astype(np.int32)

    @functools.cached_property
    def _sorted_classes(self) -> tuple[np.ndarray, np.ndarray]:
        # Cached, since sorting the texts of 300,000 clips takes longer than drawing 100,000 episodes from them.
        names, number = np.unique(self.class_name, return_inverse=True)
        # The empty text sorts first.
        return (names[1:], number - 1) if names[0] == "" else (names, number)

    @functools.cached_property
    def group_number(self) -> np.ndarray:
        """int32, one per clip: equal for clips of one group; a clip of unknown group shares its number with no other clip."""
        number = np.unique(self.group, return_inverse=True)[1].astype(np.int32)
        unknown = self.group == ""
        number[unknown] = len(self) + np.arange(unknown.sum(), dtype=np.int32)
        return number

    @property
    def counts(self) -> dict[str, int]:
        """How many clips, segments, classes and groups there are, as the manifest counts them."""
        unlabelled = int((self.class_name == "").sum())
        return {
            "clips": len(self),
            "segments": int(self.n_segments.sum()),
            "classes": len(self.classes),
            "groups": len(set(self.group.tolist()) - {""}),
            **({"unlabelled": unlabelled} if unlabelled else {}),
        }

    def select(self, keep: np.ndarray) -> "ClipTable":
        """The table of some of its clips.

        Args:
          keep: bool mask or indices, in the table's order.
        """
        names = [field.name for field in dataclasses.fields(ClipTable) if field.name != "further"]
        fields = {name: getattr(self, name)[keep] for name in names}
        if not len(fields["clip_id"]):
            raise UserError("clip table: no clips are left by this selection")
        return ClipTable(**fields, further={name: column[keep] for name, column in self.further.items()})

    def column(self, name: str, dataset: str = "the store") -> np.ndarray:
        """The texts of a column, by the name that it has in `clips.csv`.

        Args:
          name: clip_id, class, group, split, or one of the further columns.
          dataset: name of the dataset, for the message.

        Returns:
          one text per clip.

        Raises:
          UserError: if there is no such column.
        """
        own = {"clip_id": self.clip_id, "class": self.class_name, "group": self.group, "split": self.split}
        if name not in own and name not in self.further:
            raise UserError(
                f"{dataset}: its clips have no column '{name}'; they have {', '.join([*own, *self.further])}. A store gets "
                "further columns when it is made: --columns of `jfewshot store create`, --column.further of extraction"
            )
        return own[name] if name in own else self.further[name]

    def rows(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of a view that belong to some clips.

        Args:
          clips: indices of clips, or a bool mask.

        Returns:
          The rows, clip by clip, and the position in that list of each clip's first row.
        """
        count = self.n_segments[clips]
        starts = np.cumsum(count) - count
        return np.repeat(self.first_segment[clips] - starts, count) + np.arange(count.sum()), starts

    def owner(self, rows: np.ndarray) -> np.ndarray:
        """For some rows of a view, the index of the clip that each row belongs to; every row must belong to a clip."""
        by_start = np.argsort(self.first_segment, kind="stable")
        return by_start[np.searchsorted(self.first_segment[by_start], rows, side="right") - 1]

    @classmethod
    def read(cls, path: Path | str) -> "ClipTable":
        """Read `clips.csv`.

        Raises:
          UserError: if it is missing, is not UTF-8 text, or lacks a column.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path} is missing: a store needs its table of clips (docs/store.md)")
        needed = [name for name in COLUMNS if name not in _OPTIONAL_TEXT]
        header, rows, _ = read_cells(
            path, needed, f"a store needs its table of clips with {', '.join(COLUMNS)} (docs/store.md)"
        )
        columns: dict[str, list[str]] = {}
        more = [name for name in header if name not in COLUMNS]
        # Tables of earlier versions may have columns with any name, which no code used.
        more = [name for name in more if not column_name_fault(name, more, COLUMNS)]
        for name in (*COLUMNS, *more):
            at = header.index(name) if name in header else None
            columns[name] = [""] * len(rows) if at is None else [row[at] for row in rows]
        try:
            starts = [int(value) for value in columns["first_segment"]]
            counts = [int(value) for value in columns["n_segments"]]
        except ValueError as error:
            raise UserError(f"{path}: first_segment and n_segments must be whole numbers ({error})") from error
        try:
            return cls.build(
                columns["clip_id"],
                columns["class"],
                columns["group"],
                columns["split"],
                starts,
                counts,
                True,
                {name: columns[name] for name in more},
            )
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    def write(self, path: Path | str) -> None:
        """Write `clips.csv`, sorted, completely or not at all; the same table gives the same bytes."""
        own = (self.clip_id, self.class_name, self.group, self.split, self.first_segment, self.n_segments)
        columns = (*own, *self.further.values())
        with atomic_write(path, "w") as file:
            file.write(
                csv_text([(*COLUMNS, *self.further), *zip(*(column.tolist() for column in columns), strict=True)])
            )


def _row_numbers(values: Sequence[int] | np.ndarray, what: str, ids: Sequence[str]) -> np.ndarray:
    """Check row numbers and convert them to int64; they are small enough that sums of them do not overflow."""
    given = np.asarray(values)
    if given.dtype.kind not in "iu":  # texts, numbers with a fraction, or above 64 bits
        listed = given.tolist() if isinstance(values, np.ndarray) else list(values)
        given = np.array([_whole(value) for value in listed], object)
    wrong = np.flatnonzero((given <= -_MOST_ROWS) | (given >= _MOST_ROWS))
    if len(wrong):
        number = int(wrong[0])
        clip = ids[number] if number < len(ids) else f"number {number}"
        raise UserError(
            f"clip table: {what} of clip '{clip}' is {str(list(values)[number])[:40]}; it must be a whole number below 2**40"
        )
    numbers = given.astype(np.int64)
    if len(numbers) and numbers.sum(dtype=np.float64) >= _MOST_SUMMED:
        raise UserError(f"clip table: the sum of {what} over all clips is 2**62 or more, which no file can hold")
    return numbers


def _whole(value: object) -> int:
    """A number as a Python int; an impossible row number if it is not whole."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else _MOST_ROWS


def _array(texts: list[str]) -> np.ndarray:
    return np.array(texts, dtype=np.str_) if texts else np.array([], dtype="<U1")
