"""Utterances that are left out of an experiment: those that the user names, and those that cannot be used."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from jfewshot.commandline.progress import Progress
from jfewshot.downstream.cache import FrameCache
from jfewshot.downstream.dataset import Dataset
from jfewshot.downstream.sources import Source
from jfewshot.errors import UserError

log = logging.getLogger(__name__)

_MOST_NAMED = 10

D = TypeVar("D", bound=Dataset)


def leave_out_named(data: D, names: Collection[str]) -> D:
    """Leave out the utterances that the user names with --leave-out.

    Args:
      data: the dataset.
      names: names of the utterances to leave out.

    Returns:
      the dataset without these utterances.

    Raises:
      UserError: if the dataset lacks one of the names; the message gives the first in alphabetical order.
    """
    unknown = sorted(set(names) - {each.name for each in data.utterances})
    if unknown:
        raise UserError(f"--leave-out {unknown[0]}: {data.title} has no such utterance")
    return data.without(set(names))


def leave_out_unusable(
    data: D, cache: FrameCache, sources: Sequence[Sequence[Source]], on_error: str
) -> tuple[D, FrameCache]:
    """Compute the frames of all filter banks, and leave out the utterances that some filter bank cannot process.

    Args:
      data: the dataset.
      cache: frames of its utterances.
      sources: for each kind of features, a source for every seed.
      on_error: `stop` or `skip`.

    Returns:
      the dataset and the cache without these utterances.

    Raises:
      UserError: as `report_unusable`.
    """
    with Progress("computing features"):
        unusable = cache.unusable({by_seed[0].fbank for by_seed in sources if by_seed[0].kind != "store"})
    if not unusable:
        return data, cache
    report_unusable(unusable, len(data.utterances), on_error)
    return data.without(set(unusable)), cache.without(set(unusable))


def report_unusable(unusable: Mapping[str, str], total: int, on_error: str) -> None:
    """Stop the run because of unusable utterances, or log which utterances are left out.

    The caller removes the utterances.

    Args:
      unusable: from the name of an unusable utterance to the reason.
      total: number of all utterances, for the message.
      on_error: `stop` or `skip`.

    Raises:
      UserError: if there are unusable utterances and `on_error` is `stop`; the message names the first.
    """
    if not unusable:
        return
    first, reason = next(iter(unusable.items()))
    if on_error == "stop":
        raise UserError(
            f"{first}: {reason} ({len(unusable)} such utterances). Correct this, or pass --on-error skip to leave such "
            "utterances out"
        )
    for name, why in list(unusable.items())[:_MOST_NAMED]:
        log.warning("left out: %s: %s", name, why)
    log.warning("%d of %d utterances left out", len(unusable), total)
