"""How often each class takes part in group-aware episodes, and a warning if classes take part unequally often."""

import logging

import numpy as np
from jaxtyping import Int, Integer

from jfewshot.episodes.pool import ClassPool
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError

log = logging.getLogger(__name__)
# A class must occur in at least this share of its expected episodes; otherwise the result would describe other classes.
LEAST_SHARE = 0.5
_SIGMAS = 4.5  # a larger deviation of the number of episodes is not explained by chance
_NAMED = 5


def class_episodes(pool: ClassPool, clips: Integer[np.ndarray, "episodes n_way drawn"]) -> Int[np.ndarray, "classes"]:
    """The number of episodes in which each class of a pool takes part."""
    class_of_clip = pool.class_of_row(int(pool.all_clips[-1]) + 1)
    return np.bincount(class_of_clip[clips[:, :, 0]].ravel(), minlength=len(pool.count))


def check_balance(
    pool: ClassPool, protocol: Protocol, episodes: Int[np.ndarray, "classes"], class_redraws: int, dataset: str
) -> None:
    """Warn if classes take part too rarely, which happens if few choices of supports leave enough queries.

    Args:
      pool: the classes.
      protocol: the protocol of the episodes.
      episodes: number of episodes of each class; see `class_episodes`.
      class_redraws: number of episodes in which the classes were drawn again.
      dataset: name of the dataset, for messages.

    Raises:
      UserError: if a class occurs in less than `LEAST_SHARE` of its expected episodes.
    """
    if not class_redraws:
        return  # all sets of classes are equally likely then
    share = protocol.n_way / len(pool.names)
    expected = protocol.n_episodes * share
    noise = _SIGMAS * np.sqrt(expected * (1 - share))
    order = np.argsort(episodes, kind="stable")
    rare = [int(c) for c in order if episodes[c] < expected - noise]
    named = ", ".join(f"'{pool.names[c]}' in {episodes[c]:,}" for c in rare[:_NAMED])
    more = f" and {len(rare) - _NAMED} more classes" if len(rare) > _NAMED else ""
    seen = (
        f"{dataset}: in {class_redraws:,} of {protocol.n_episodes:,} episodes no {protocol.shots_drawn}-shot support left "
        f"{protocol.n_query} queries of other groups, and other classes were drawn"
    )
    fix = "Lower --n-query or --shots, drop small classes (--min-clips), or leave --group-aware out"
    if rare and episodes[rare[0]] + noise < LEAST_SHARE * expected:
        raise UserError(f"{seen}, so that of {expected:,.0f} episodes expected, class {named} take part{more}. {fix}")
    if rare:
        log.warning(
            "%s, so classes are not equally frequent: expected %s, %s%s. %s", seen, f"{expected:,.0f}", named, more, fix
        )
    else:
        log.warning("%s; no class is rarer for it than chance explains", seen)
