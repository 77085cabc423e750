"""The cells of a comparison of domains: the same queries, with supports of the same speaker or site and of others."""

import dataclasses
import logging
from typing import NamedTuple

import numpy as np

from jfewshot.cells.planning import Cell, plan_cells
from jfewshot.classifiers.specs import ClassifierSpec
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.sides import Condition, Side, in_split
from jfewshot.errors import UserError
from jfewshot.store import ClipTable, Store

log = logging.getLogger(__name__)


class Domains(NamedTuple):
    """The values of a column that can be compared.

    Attributes:
      column: its name.
      values: those of which every class has enough clips.
    """

    column: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, clips: ClipTable, column: str, protocol: Protocol, dataset: str) -> "Domains":
        """Find the values of which every class has enough clips for supports and queries together.

        Args:
          clips: the clip table.
          column: its column.
          protocol: what is drawn.
          dataset: name of the dataset, for messages.

        Returns:
          the values, sorted.

        Raises:
          UserError: if there are fewer than two.
        """
        part = clips.class_number >= 0
        if protocol.split is not None:
            part = part & in_split(clips, protocol.split, dataset)
        texts = clips.column(column, dataset)
        values = sorted(set(texts[part].tolist()) - {""})
        needed = protocol.k_shot + protocol.n_query
        kept, left_out = [], []
        for value in values:
            sizes = np.bincount(clips.class_number[part & (texts == value)], minlength=len(clips.classes))
            sizes = sizes[np.bincount(clips.class_number[part], minlength=len(clips.classes)) > 0]
            if sizes.min() >= needed:
                kept.append(value)
            else:
                left_out.append(f"{value} ({sizes.min()})")
        if not values:
            what = "groups" if column == "group" else f"values in column '{column}'"
            raise UserError(
                f"{dataset}: its clips have no {what}, so there is nothing to compare. Name another column with --by, or make "
                "the store again with groups (docs/store.md)"
            )
        if len(kept) < 2:
            raise UserError(
                f"{dataset}: {len(kept)} of {len(values)} values of column '{column}' have {needed} clips in every class, which "
                f"{protocol.k_shot} supports and {protocol.n_query} queries need; two are needed. Lower --shots or --n-query, or "
                "compare another column with --by"
            )
        if left_out:
            some = ", ".join(left_out[:8]) + (", ..." if len(left_out) > 8 else "")
            log.info(
                "%s: %d values of '%s' left out, with the clips of their smallest class: %s",
                dataset,
                len(left_out),
                column,
                some,
            )
        return cls(column, tuple(kept))


class Asked(NamedTuple):
    """The purpose of a cell.

    Attributes:
      column: the column of the domains.
      domains: all domains that are compared.
      condition: `same`, `other`, `others` or `any`.
      query: the domain of the queries.
      support: the domain of the supports; that of the queries if supports come from several domains.
    """

    column: str
    domains: tuple[str, ...]
    condition: str
    query: str
    support: str


def plan_shift(
    store: Store, domains: Domains, protocol: Protocol, spec: ClassifierSpec, preprocessing: str, most_others: int
) -> list[tuple[Asked, Cell]]:
    """The cells of one store.

    Args:
      store: the embeddings.
      domains: what is compared.
      protocol: what is drawn, from which pools apart.
      spec: the classifier.
      preprocessing: see `plan_cells`.
      most_others: from how many other domains supports come, one at a time.

    Returns:
      what each cell is for, and the cell.
    """
    column, values = domains
    planned = []
    for number, query in enumerate(values):
        # In a cycle, so that every domain gives supports equally often.
        others = [values[(number + step) % len(values)] for step in range(1, len(values))][:most_others]
        sides: list[tuple[str, str, Side]] = [("same", query, _side(column, (query,)))]
        sides += [("other", other, _side(column, (other,))) for other in others]
        sides.append(("others", query, _side(column, tuple(value for value in values if value != query))))
        sides.append(("any", query, _side(column, values)))
        for condition, support, side in sides:
            asked = Asked(column, values, condition, query, support)
            of_sides = _with_sides(protocol, side, _side(column, (query,)))
            cells = plan_cells([store], [of_sides], [spec], preprocessing=preprocessing)
            planned += [(asked, cell) for cell in cells]
    return planned


def _side(column: str, values: tuple[str, ...]) -> Side:
    return Side(where=(Condition(column, tuple(sorted(values))),))


def _with_sides(protocol: Protocol, support: Side, query: Side) -> Protocol:
    return dataclasses.replace(protocol, support=support, query=query)
