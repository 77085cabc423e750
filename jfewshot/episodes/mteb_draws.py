"""The experiments of mteb's audio classification (Massive Text Embedding Benchmark, `AbsTaskClassification` of mteb 2.26).

With a training and a test split, each experiment trains on 8 clips per class of the training split and classifies the
whole test split. Without these splits there are five shuffled folds: each experiment trains on 8 clips per class
outside its fold and classifies the fold. A class with fewer than 8 training clips gives all of them. All classes take
part.

mteb's own draws shuffle one list repeatedly with the same seed, so that experiment i applies the same permutation i + 1
times. With `independent`, each experiment is shuffled independently, so that the spread of the experiments measures the
effect of the choice of clips.
"""

import logging
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jfewshot.episodes.pool import ClassPool
from jfewshot.episodes.protocol import MAX_WAYS, MTEB_FOLDS, MTEB_SHOTS, Protocol
from jfewshot.episodes.separate import Supports, side_masks
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.randomness import stream_key
from jfewshot.store.clips import ClipTable

log = logging.getLogger(__name__)

Rows = Int[np.ndarray, "..."]


class Experiment(NamedTuple):
    """One experiment, as rows of the clip table.

    Attributes:
      support: the clips to train on, in mteb's order.
      query: the clips to classify, in the order of the embeddings.
    """

    support: Rows
    query: Rows


class Experiments(NamedTuple):
    """All experiments in arrays of the same form as episodes. Slot c of every experiment is class c of the pool.

    Attributes:
      pool: the classes and clips.
      listed: the experiments as lists of clips.
      clips: rows of the clip table, the supports of a class first. Padding repeats a clip of the class.
      support_count: number of supports of each class, without padding.
      query_count: number of queries of each class, without padding.
    """

    pool: ClassPool
    listed: tuple[Experiment, ...]
    clips: Int[np.ndarray, "experiments classes drawn"]
    support_count: Int[np.ndarray, "experiments classes"]
    query_count: Int[np.ndarray, "experiments classes"]


def order_of(clips: ClipTable) -> Rows:
    """The clips in the order of their embeddings: the order in which the dataset was extracted gives mteb's row numbers.

    Args:
      clips: the clip table, which is sorted by clip id.
    """
    return np.argsort(clips.first_segment, kind="stable")


def order_digest(clips: ClipTable) -> str:
    """SHA-256 of `order_of`, on which mteb's own draws depend.

    Args:
      clips: the clip table.
    """
    if "order" not in clips.memo:
        clips.memo["order"] = sha256_of_json(order_of(clips).tolist())
    return clips.memo["order"]


def list_experiments(clips: ClipTable, protocol: Protocol, dataset: str) -> tuple[Experiment, ...]:
    """Draw the experiments.

    Args:
      clips: the clip table.
      protocol: a resolved protocol with `mteb`.
      dataset: name of the dataset, for messages.

    Returns:
      the experiments, in order.

    Raises:
      UserError: if there are too few clips or classes, or if mteb's random generator does not accept the seed.
    """
    if not protocol.independent and not 0 <= protocol.seed < 2**32:
        raise UserError(f"--seed is {protocol.seed}; mteb's own draws take seeds from 0 to 2**32 - 1")
    order = np.arange(len(clips)) if protocol.independent else order_of(clips)
    support, query = (order[mask[order]] for mask in side_masks(clips, protocol, dataset))
    if protocol.mteb == "folds":
        found = _in_folds(clips, protocol, support, dataset)
    else:
        found = _of_splits(clips, protocol, support, query)
    for number, (train, test) in enumerate(found):
        if len(np.unique(clips.class_number[train])) < 2:
            raise UserError(
                f"{dataset}: the training clips of experiment {number} are of one class, and a classifier needs two; mteb's "
                "protocol needs more clips, or more classes"
            )
        assert len(test)
    return found


def _of_splits(clips: ClipTable, protocol: Protocol, support: Rows, query: Rows) -> tuple[Experiment, ...]:
    labels = clips.class_number[support]
    found, before, order = [], _first_order(protocol, len(support)), None
    for number in range(protocol.n_episodes):
        if protocol.independent:
            order = _random(clips, protocol, number).permutation(len(support))
        else:
            order = before if order is None else order[before]
        found.append(Experiment(support[_first_of_each_class(order, labels)], query))
    return tuple(found)


def _in_folds(clips: ClipTable, protocol: Protocol, rows: Rows, dataset: str) -> tuple[Experiment, ...]:
    n = len(rows)
    if n < MTEB_FOLDS:
        raise UserError(f"{dataset} has {n} clips; mteb's protocol without splits needs {MTEB_FOLDS} or more")
    sizes = np.full(MTEB_FOLDS, n // MTEB_FOLDS)
    sizes[: n % MTEB_FOLDS] += 1
    ends = np.cumsum(sizes)
    found = []
    shuffled, before, order = _first_order(protocol, n), None, None
    for number in range(protocol.n_episodes):
        fold = number % MTEB_FOLDS
        if protocol.independent and fold == 0:
            shuffled = _random(clips, protocol, number, "folds").permutation(n)
        is_query = np.zeros(n, bool)
        is_query[shuffled[ends[fold] - sizes[fold] : ends[fold]]] = True
        train = rows[~is_query]
        if protocol.independent:
            order = _random(clips, protocol, number).permutation(len(train))
        elif order is None:
            order = before = _first_order(protocol, len(train))
        else:
            # A later fold may have one training clip more than the first fold. mteb shuffles a list of the first fold's
            # length, so this clip is never drawn.
            order = order[before]
        found.append(Experiment(train[_first_of_each_class(order, clips.class_number[train])], rows[is_query]))
    return tuple(found)


def _first_order(protocol: Protocol, n: int) -> Rows:
    """The order of the numbers 0 to n - 1 after one shuffle by mteb."""
    order = np.arange(n)
    if not protocol.independent:
        np.random.RandomState(protocol.seed).shuffle(order)
    return order


def _random(clips: ClipTable, protocol: Protocol, number: int, *what: str) -> np.random.RandomState:
    """A separate generator for each experiment: RandomState, whose numbers are the same in every version of NumPy."""
    key = stream_key(protocol.seed, clips.stream, "mteb", *what, number)
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(key.tolist())))


def _first_of_each_class(order: Rows, labels: Int[np.ndarray, " clips"]) -> Rows:
    """The first clips of each class in an order: places of `labels`, still in this order."""
    by_class = np.argsort(labels[order], kind="stable")
    ordered = labels[order][by_class]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return order[np.sort(by_class[rank < MTEB_SHOTS])]


def experiments(clips: ClipTable, protocol: Protocol, dataset: str) -> Experiments:
    """Draw the experiments and put them into arrays.

    Args:
      clips: the clip table.
      protocol: a resolved protocol with `mteb`; `n_way` and `n_query` are ignored.
      dataset: name of the dataset, for messages.

    Returns:
      the experiments.

    Raises:
      UserError: as for `list_experiments`; also if there are more classes than an episode can have.
    """
    listed = list_experiments(clips, protocol, dataset)
    pool = _pool(clips, protocol, dataset)
    n_way = len(pool.names)
    if n_way > MAX_WAYS:
        raise UserError(
            f"{dataset} has {n_way} classes, and an episode at most {MAX_WAYS}; mteb's protocol takes all classes"
        )
    class_of_row = pool.class_of_row(len(clips))
    support_count, query_count = (
        np.stack([np.bincount(class_of_row[one[side]], minlength=n_way) for one in listed]) for side in (0, 1)
    )
    any_clip = np.zeros(n_way, np.int64)
    any_clip[class_of_row[pool.all_clips]] = pool.all_clips
    drawn = np.empty((len(listed), n_way, MTEB_SHOTS + int(query_count.max())), np.int32)
    drawn[:] = any_clip[:, None]
    for number, one in enumerate(listed):
        for rows, first in ((one.support, 0), (one.query, MTEB_SHOTS)):
            slot = class_of_row[rows]
            by_slot = np.argsort(slot, kind="stable")
            ordered = slot[by_slot]
            drawn[number, ordered, first + np.arange(len(rows)) - np.searchsorted(ordered, ordered)] = rows[by_slot]
    return Experiments(pool, listed, drawn, support_count, query_count)


def _pool(clips: ClipTable, protocol: Protocol, dataset: str) -> ClassPool:
    """The classes of both sides together: mteb keeps a class even if it is missing on one side."""
    masks = side_masks(clips, protocol, dataset)
    present = np.unique(clips.class_number[masks[0] | masks[1]])
    number = np.full(len(clips.classes) + 1, -1)
    number[present] = np.arange(len(present))
    sides = []
    for mask in masks:
        rows = np.flatnonzero(mask).astype(np.int32)
        slot = number[clips.class_number[rows]]
        order = np.argsort(slot, kind="stable")
        count = np.bincount(slot, minlength=len(present)).astype(np.int32)
        start = (np.cumsum(count) - count).astype(np.int32)
        sides.append((start, count, rows[order], clips.group_number[rows[order]]))
    support = Supports(*sides[0], None, None) if protocol.mteb == "splits" else None
    return ClassPool(clips.classes[present], *sides[1], (), support)


def resolved_mteb(protocol: Protocol, clips: ClipTable, dataset: str) -> Protocol:
    """Choose the form that a dataset allows: splits if it has splits named train and test, else folds.

    Args:
      protocol: a protocol with `mteb`; its sides, if given, name the two splits.
      clips: the clip table.
      dataset: name of the dataset, for messages.

    Returns:
      the protocol with its form and its numbers of experiments, classes and queries.

    Raises:
      UserError: as for `experiments`; also if a named split does not exist, or if no class has clips in both splits.
    """
    found = protocol.with_mteb_form(set(clips.split[clips.class_number >= 0].tolist()))
    if found.mteb == "splits":
        _check_classes(clips, found, dataset)
    drawn = experiments(clips, found, dataset)
    return found.with_sizes(len(drawn.pool.names), int(drawn.query_count.max()))


def _check_classes(clips: ClipTable, protocol: Protocol, dataset: str) -> None:
    """Refuse splits that share no class, and name classes that no experiment can predict."""
    support, query = (np.unique(clips.class_number[mask]) for mask in side_masks(clips, protocol, dataset))
    assert protocol.support is not None
    assert protocol.query is not None
    train, test = protocol.support.split, protocol.query.split
    missing = clips.classes[np.setdiff1d(query, support)].tolist()
    if len(missing) == len(query):
        raise UserError(
            f"{dataset}: no class has clips in both of the splits '{train}' and '{test}', and mteb's protocol classifies clips "
            f"of classes that it trained on; give --split {test} (five folds within that split), or name other splits with "
            "--support-split and --query-split"
        )
    if missing and "mteb_missing" not in clips.memo:
        clips.memo["mteb_missing"] = True  # this function is called for each view of a store
        named = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        log.warning(
            "%s: %d of %d classes of the split '%s' have no clip in the split '%s', so all of their clips count as wrong: %s",
            dataset,
            len(missing),
            len(query),
            test,
            train,
            named,
        )
