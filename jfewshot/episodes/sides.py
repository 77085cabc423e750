"""The clips from which supports and queries are drawn, if these are not the same clips.

A side is described by a split and by conditions on columns of the clip table: `site=A`, or `site!=A` for all other sites.
"""

import dataclasses
import re
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool

from jfewshot.episodes.share import QUERIES, query_part
from jfewshot.errors import UserError
from jfewshot.store.clips import ClipTable

# Version of the draws from separate pools; increased when they change, so that results on different episodes are never
# compared.
SEPARATE_DRAWS = 1
_CONDITION = re.compile(r"(?P<column>[^=!]+)(?P<sign>!?=)(?P<value>.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True, order=True)
class Condition:
    """A condition on one column of the clip table.

    Attributes:
      column: name of the column.
      values: the wanted texts, sorted.
      equal: True for clips with one of these texts, False for clips with none of them.
    """

    column: str
    values: tuple[str, ...]
    equal: bool = True

    @property
    def words(self) -> str:
        """The condition as text: `site=A`, `site=A or B`, `site!=A`."""
        return f"{self.column}{'=' if self.equal else '!='}{' or '.join(self.values)}"


@dataclasses.dataclass(frozen=True)
class Side:
    """The clips from which supports, or queries, are drawn.

    Attributes:
      split: only clips of this split; None for all.
      where: only clips that meet all of these conditions.
      part: only clips of this part of a dataset without splits (share.py); None for all.
    """

    split: str | None = None
    where: tuple[Condition, ...] = ()
    part: Literal["support", "query"] | None = None

    @classmethod
    def of(cls, split: str | None, where: Iterable[str] | str, option: str) -> "Side | None":
        """Make the side that the options describe.

        Args:
          split: name of a split; None for all.
          where: conditions such as `site=A`. Values of a column that is named several times are alternatives; conditions on
            different columns must all hold.
          option: name of the option, for messages.

        Returns:
          the side; None if neither is given.

        Raises:
          UserError: if a text is not a condition.
        """
        found: dict[tuple[str, bool], set[str]] = {}
        for text in [where] if isinstance(where, str) else where:
            match = _CONDITION.fullmatch(text)
            if match is None:
                raise UserError(f"{option} is {text!r}; give COLUMN=VALUE, for instance site=A, or COLUMN!=VALUE")
            found.setdefault((match["column"].strip(), match["sign"] == "="), set()).add(match["value"])
        if split is None and not found:
            return None
        conditions = (Condition(column, tuple(sorted(values)), equal) for (column, equal), values in found.items())
        return cls(split, tuple(sorted(conditions)))

    @property
    def words(self) -> str:
        """A text for tables and messages: `split train, site=A`; empty if there is no condition."""
        parts = {None: [], "query": [f"{100 * QUERIES:.0f}% of each class"], "support": ["the other groups"]}
        split = [f"split {self.split}"] if self.split else []
        return ", ".join(split + parts[self.part] + [one.words for one in self.where])

    def identity(self) -> dict[str, Any]:
        """The settings on which a result depends."""
        where = [{"column": one.column, "values": list(one.values), "equal": one.equal} for one in self.where]
        return {"split": self.split, "where": where, **({"part": self.part} if self.part else {})}

    def mask(self, clips: ClipTable, dataset: str) -> Bool[np.ndarray, "clips"]:
        """Which clips belong to this side.

        Args:
          clips: the clip table.
          dataset: name of the dataset, for messages.

        Returns:
          one truth value per clip.

        Raises:
          UserError: if a column or a value does not exist.
        """
        chosen = np.ones(len(clips), bool)
        if self.split is not None:
            chosen &= in_split(clips, self.split, dataset)
        if self.part is not None:
            chosen &= query_part(clips) == (self.part == "query")
        for condition in self.where:
            column = clips.column(condition.column, dataset)
            meets = np.isin(column, np.array(condition.values))
            absent = [value for value in condition.values if not (column == value).any()]
            if absent and condition.equal:
                known = sorted(set(column.tolist()))
                some = ", ".join(repr(value) for value in known[:8]) + (", ..." if len(known) > 8 else "")
                raise UserError(
                    f"{dataset}: no clip has {condition.column}={absent[0]}; column '{condition.column}' has {some}"
                )
            chosen &= meets if condition.equal else ~meets
        return chosen


def in_split(clips: ClipTable, split: str, dataset: str) -> Bool[np.ndarray, "clips"]:
    """Which clips belong to a split.

    Args:
      clips: the clip table.
      split: name of the split.
      dataset: name of the dataset, for the message.

    Returns:
      one truth value per clip.

    Raises:
      UserError: if no clip belongs to it.
    """
    chosen = clips.split == split
    if not chosen.any():
        known = sorted(set(clips.split.tolist()) - {""})
        raise UserError(
            f"{dataset} has no clips in split '{split}'; "
            + (
                f"it has {', '.join(known)}"
                if known
                else "its clips name no splits: leave --split, --support-split and --query-split out"
            )
        )
    return chosen
