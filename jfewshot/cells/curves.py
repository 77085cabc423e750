"""Check which numbers of shots a dataset allows for a curve, and whether the curve can end with all labels."""

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from jfewshot.classifiers.specs import ClassifierSpec
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import TooFewClips, UserError
from jfewshot.evaluator.full_data import check_classifier
from jfewshot.store.clips import ClipTable

log = logging.getLogger(__name__)


def stopped_curves(protocols: Sequence[Protocol], clips: ClipTable, dataset: str) -> list[Protocol]:
    """The protocols for which every class of a dataset has enough clips; the log names the numbers of shots that are left out.

    Args:
      protocols: of the run.
      clips: the dataset's clip table.
      dataset: its name, for messages.

    Returns:
      these protocols. Group-aware supports are drawn for the largest number of shots that is left.

    Raises:
      UserError: if not even the smallest number of shots is possible, or for a reason other than too few clips.
    """
    curves: dict[Protocol, list[Protocol]] = {}
    for protocol in protocols:
        same = dataclasses.replace(protocol, k_shot=1, nested_shots=None, all_labels=False)
        curves.setdefault(same, []).append(protocol)
    kept = []
    for curve in curves.values():
        shots = sorted({one.k_shot for one in curve if not one.all_labels})
        while shots:
            largest = next(one for one in curve if one.k_shot == shots[-1] and not one.all_labels)
            try:
                class_pool(clips, dataclasses.replace(largest, nested_shots=shots[-1]), dataset)
            except TooFewClips as error:
                if len(shots) == 1:
                    raise
                log.warning("the curve stops before %d shots. %s", shots.pop(), error)
            else:
                break
        most = shots[-1] if shots else 1
        for one in curve:
            if one.all_labels or one.k_shot in shots:
                kept.append(dataclasses.replace(one, nested_shots=most))
    return kept


def check_all_labels(
    protocols: Sequence[Protocol], specs: Sequence[ClassifierSpec], clips: ClipTable, dataset: str
) -> None:
    """Refuse to train on all labels if a query would be among them, or if a classifier cannot do it.

    Args:
      protocols: of the run; only those with `all_labels` are looked at.
      specs: the classifiers.
      clips: the dataset's clip table.
      dataset: its name, for messages.

    Raises:
      UserError: names the clips, the groups or the classifier.
    """
    for protocol in protocols:
        if not protocol.all_labels:
            continue
        for spec in specs:
            check_classifier(spec)
        if not protocol.is_separate:
            raise UserError("all labels need separate pools of supports and queries; describe one of the two pools")
        pool = class_pool(clips, protocol, dataset)
        support = pool.support
        if support is not None and support.copy is not None:
            raise UserError(
                f"{dataset}: --shots all trains on all support clips, and some of these can be queries too; choose support and "
                "query clips that do not overlap, for instance --support-split train --query-split test"
            )
        shared = np.intersect1d(pool.group, support.group) if support is not None else np.zeros(0)
        if protocol.group_aware and len(shared):
            raise UserError(
                f"{dataset}: with --group-aware no query may share a group with a support, and --shots all trains on all "
                f"support clips, {len(shared)} groups of which have query clips too; separate the two sides by group, or leave "
                "out --group-aware"
            )
