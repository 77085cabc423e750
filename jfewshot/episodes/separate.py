"""The pools of a protocol whose supports and queries come from different clips: other splits, other sites, another store."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Integer

from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.sides import Side, in_split
from jfewshot.errors import TooFewClips, UserError
from jfewshot.files import sha256_of_json
from jfewshot.store.clips import ClipTable
from jfewshot.store.joined import JoinedTable

# The position of a clip that is not among its class's supports: larger than all positions.
NOWHERE = 2**30


@dataclasses.dataclass(frozen=True)
class Supports:
    """The clips from which supports are drawn, by class.

    Attributes:
      start, count, clips, group: as in `ClassPool`.
      copy: for each entry of the queries' pool, the position of the same clip among the supports of its class, counted
          from the class's first; `NOWHERE` for a clip that cannot be a support. None if no clip is on both sides.
      place: the reverse: for each support, the position of the same clip among the queries of its class.
    """

    start: Int[np.ndarray, "classes"]
    count: Int[np.ndarray, "classes"]
    clips: Int[np.ndarray, "supports"]
    group: Int[np.ndarray, "supports"]
    copy: Int[np.ndarray, "queries"] | None
    place: Int[np.ndarray, "supports"] | None


@dataclasses.dataclass(frozen=True)
class OneSide:
    """The clips of one side, by class; the fields are those of `ClassPool`."""

    start: np.ndarray
    count: np.ndarray
    clips: np.ndarray
    group: np.ndarray


class Sides(NamedTuple):
    """Both sides.

    Attributes:
      names: the classes, sorted.
      query: the queries' side.
      support: the supports' side.
      left_out: (class, number of clips on the smaller side) for each class that `min_clips` or `least_supports` left out.
    """

    names: np.ndarray
    query: OneSide
    support: Supports
    left_out: tuple[tuple[str, int], ...]


def side_masks(
    clips: ClipTable, protocol: Protocol, dataset: str
) -> tuple[Bool[np.ndarray, "clips"], Bool[np.ndarray, "clips"]]:
    """Which clips may be supports, and which may be queries.

    Args:
      clips: the clip table.
      protocol: its split and its sides select the clips.
      dataset: name of the dataset, for messages.

    Returns:
      one truth value per clip for supports, and one for queries.

    Raises:
      UserError: if a column, a value or a split does not exist, or if no labelled clip is left for a side.
    """
    found = []
    for side, what in ((protocol.support, "support"), (protocol.query, "query")):
        table = (clips.second if what == "support" else clips.first) if isinstance(clips, JoinedTable) else clips
        name = protocol.support_from or dataset if what == "support" else dataset
        mask = (side or Side()).mask(table, name) & (table.class_number >= 0)
        if protocol.split is not None:
            mask = mask & in_split(table, protocol.split, name)
        if not mask.any():
            raise UserError(
                f"{name}: no labelled clip can be a {what} clip ({_words(protocol, what)}); change --{what}-where"
            )
        if isinstance(clips, JoinedTable):
            other = np.zeros(len(clips) - len(table), bool)
            mask = np.concatenate([other, mask] if what == "support" else [mask, other])
        found.append(mask)
    return found[0], found[1]


def pools_digest(clips: ClipTable, protocol: Protocol, dataset: str) -> str:
    """SHA-256 of which clips may be supports and which may be queries.

    Columns such as `site` are not part of the clip table's digest, so this digest distinguishes two selections.

    Args:
      clips: the clip table.
      protocol: a protocol with separate pools.
      dataset: name of the dataset, for messages.

    Returns:
      the digest.

    Raises:
      UserError: as for `side_masks`.
    """
    key = "pools", protocol.split, protocol.support, protocol.query, protocol.support_from
    if key not in clips.memo:
        masks = side_masks(clips, protocol, dataset)
        clips.memo[key] = sha256_of_json([clips.digest, *(np.flatnonzero(mask).tolist() for mask in masks)])
    return clips.memo[key]


def separate_sides(clips: ClipTable, protocol: Protocol, dataset: str) -> Sides:
    """Sort the clips of both sides into classes and check that episodes can be drawn.

    Args:
      clips: the clip table.
      protocol: the protocol.
      dataset: name of the dataset, for messages.

    Returns:
      both sides, with the classes that both have.

    Raises:
      UserError: if a side lacks a class or has too few clips of it (the message names the class), if there are fewer
          classes than ways, or if groups leave a class without queries.
    """
    masks = side_masks(clips, protocol, dataset)
    n_support, n_query = (np.bincount(clips.class_number[mask], minlength=len(clips.classes)) for mask in masks)
    present = (n_support > 0) | (n_query > 0)
    smaller = np.minimum(n_support, n_query)
    least = [protocol.min_clips or 0] * 2  # supports, queries
    if protocol.least_supports is not None:
        least = [max(least[0], protocol.least_supports), max(least[1], 1 if protocol.every_query else protocol.n_query)]
    kept = present & (n_support >= least[0]) & (n_query >= least[1])
    names = clips.classes[kept]
    left_out = tuple((str(clips.classes[c]), int(smaller[c])) for c in np.flatnonzero(present & ~kept))
    for name, supports, queries in zip(names, n_support[kept], n_query[kept], strict=True):
        _check_class(str(name), int(supports), int(queries), protocol, dataset)
    if len(names) < protocol.n_classes:
        raise UserError(
            f"{dataset} has {len(names)} classes"
            + (f" with at least {least[0]} support and {least[1]} query clips" if left_out else " on both sides")
            + f"; {protocol.needed_classes}"
            + (", --min-clips or --shots" if left_out else "")
        )
    number = np.full(len(clips.classes) + 1, -1)  # the last is for clips without a class
    number[:-1][kept] = np.arange(len(names))
    class_of_clip = number[clips.class_number]
    support, query = (_by_class(clips, mask, class_of_clip, len(names), protocol.group_aware) for mask in masks)
    copy, place = _copies(clips, support, query), _copies(clips, query, support)
    for c, name in enumerate(names):
        if protocol.group_aware:
            _check_groups(str(name), support, query, c, protocol, dataset)
        elif copy is not None:
            both = int((copy[query.start[c] : query.start[c] + query.count[c]] < NOWHERE).sum())
            if protocol.every_query:
                _check_left(str(name), int(query.count[c]) - min(both, protocol.k_shot), protocol, dataset)
                continue
            free = int(support.count[c]) - min(both, protocol.n_query)
            if free < protocol.k_shot:
                raise TooFewClips(
                    f"{dataset}: class '{name}' has {support.count[c]} support clips, of which {both} can also be drawn as "
                    f"queries: {protocol.n_query} queries may leave {free}, and {protocol.k_shot}-shot needs "
                    f"{protocol.k_shot}. Lower --n-query or --shots"
                )
    if protocol.group_aware and not (clips.group[np.concatenate([support.clips, query.clips])] != "").any():
        raise UserError(f"{dataset}: --group-aware needs groups, and no clip has one; leave it out")
    return Sides(
        names, query, Supports(support.start, support.count, support.clips, support.group, copy, place), left_out
    )


def _by_class(clips: ClipTable, mask, class_of_clip, n_classes: int, in_groups: bool) -> OneSide:
    """The clips of one side sorted by class, and by group within a class if groups are needed."""
    rows = np.flatnonzero(mask & (class_of_clip >= 0)).astype(np.int32)
    group = clips.group_number[rows]
    # np.lexsort sorts by its last key first, and is stable.
    order = np.lexsort(([group] if in_groups else []) + [class_of_clip[rows]])
    count = np.bincount(class_of_clip[rows], minlength=n_classes).astype(np.int32)
    return OneSide((np.cumsum(count) - count).astype(np.int32), count, rows[order], group[order])


def _copies(clips: ClipTable, support: OneSide, query: OneSide) -> Int[np.ndarray, "queries"] | None:
    """For each query, the position of the same clip among the supports of its class; see `Supports`."""
    unit = clips.unit if isinstance(clips, JoinedTable) else np.arange(len(clips))
    place = np.full(int(unit.max()) + 1, NOWHERE, np.int32)
    place[unit[support.clips]] = np.arange(len(support.clips)) - np.repeat(support.start, support.count)
    found = place[unit[query.clips]]
    return found if (found < NOWHERE).any() else None


def _check_class(name: str, supports: int, queries: int, protocol: Protocol, dataset: str) -> None:
    """Raise an error that names what a class lacks on a side."""
    least = 1 if protocol.every_query else protocol.n_query
    for what, there, needed, option in (
        ("support", supports, protocol.shots_drawn, "--shots"),
        ("query", queries, least, "--n-query"),
    ):
        if there < needed:
            other = f"{queries} query clips" if what == "support" else f"{supports} support clips"
            where = protocol.support_from or dataset if what == "support" else dataset
            raise TooFewClips(
                f"{where}: class '{name}' has {there or 'no'} {what} clip{'s' if there != 1 else ''} "
                f"({_words(protocol, what)}) beside {other}; an episode needs {needed}. Lower {option}, or pass --min-clips "
                f"{max(protocol.shots_drawn, least)} to drop classes that have fewer on either side (they will be "
                "listed)"
            )


def _check_left(name: str, left: int, protocol: Protocol, dataset: str) -> None:
    """Refuse a class for which an episode may have no query left."""
    if left < 1:
        raise UserError(
            f"{dataset}: class '{name}' has no query clip left where its {protocol.k_shot} supports are among them. Lower "
            f"--shots, or pass --min-clips {protocol.k_shot + 1} to drop classes that have fewer on either side (they will be "
            "listed)"
        )


def _words(protocol: Protocol, what: str) -> str:
    """Describe a side, for messages."""
    side = protocol.support if what == "support" else protocol.query
    split = [f"split {protocol.split}"] if protocol.split else []
    return ", ".join(split + ([side.words] if side and side.words else [])) or "all clips"


def _check_groups(name: str, support: OneSide, query: OneSide, c: int, protocol: Protocol, dataset: str) -> None:
    """Refuse a class whose supports leave too few queries of other groups, whatever the supports are."""
    mine, theirs = (
        side.group[side.start[c] : side.start[c] + side.count[c]].astype(np.int64) for side in (support, query)
    )
    groups, sizes = np.unique(mine, return_counts=True)
    order = np.sort(theirs)
    taken = np.searchsorted(order, groups, side="right") - np.searchsorted(order, groups, side="left")
    left = len(theirs) - _least_taken(sizes, taken, protocol.shots_drawn)
    least = 1 if protocol.every_query else protocol.n_query
    if left < least:
        raise TooFewClips(
            f"{dataset}: class '{name}' has {len(theirs)} query clips, and whatever the {protocol.shots_drawn}-shot support, "
            f"at most {left} of them are of other groups; {least} are needed. Lower --n-query or --shots, or leave "
            "--group-aware out"
        )


def _least_taken(sizes: Integer[np.ndarray, "groups"], taken: Integer[np.ndarray, "groups"], least: int) -> int:
    """The fewest queries that groups with at least `least` supports exclude together (a knapsack problem).

    Args:
      sizes: supports of each group.
      taken: queries of each group.
      least: how many supports are needed.

    Returns:
      the number of queries.
    """
    best = np.full(least + 1, np.iinfo(np.int64).max // 2)
    best[0] = 0
    for size, cost in zip(sizes.tolist(), taken.tolist(), strict=True):
        before = np.maximum(np.arange(least + 1) - size, 0)
        best = np.minimum(best, best[before] + cost)
    return int(best[least])
