"""Queries of several segments: every segment is classified, and then the clip is classified from its segments.

The first segment of each query is classified together with the episode. Further passes classify the other segments with
the model that was trained for the episode. Each pass has as many segments as an episode has queries, so time and memory
grow with the number of segments, not with the longest clip.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jfewshot.classifiers.linalg import slot_type


class FurtherPasses(NamedTuple):
    """Further segments of queries, to be classified by their episodes' models.

    Attributes:
      episode: which episode each pass repeats.
      rows: the embeddings to classify in each pass; places without a segment hold a filler.
      owner_episode, owner_query: the episode and the query to which each further segment belongs.
      pass_, place: the position of each further segment in `rows`.
    """

    episode: Int[np.ndarray, "passes"]
    rows: Int[np.ndarray, "passes n_queries"]
    owner_episode: Int[np.ndarray, "further"]
    owner_query: Int[np.ndarray, "further"]
    pass_: Int[np.ndarray, "further"]
    place: Int[np.ndarray, "further"]


def further_passes(
    first_row: Int[np.ndarray, "episodes n_queries"], n_segments: Int[np.ndarray, "episodes n_queries"]
) -> FurtherPasses:
    """Lay out all segments after each query's first.

    Args:
      first_row: row of each query clip's first segment; the rows of its other segments follow.
      n_segments: how many segments each query clip has.
    """
    n_episodes, n_queries = first_row.shape
    episode, query = np.nonzero(n_segments > 1)
    repeats = n_segments[episode, query] - 1
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats) + 1
    episode, query = np.repeat(episode, repeats), np.repeat(query, repeats)
    # Entries are sorted by episode; each gets the next place in a pass of its own episode.
    per_episode = np.bincount(episode, minlength=n_episodes)
    number = np.arange(len(episode)) - np.repeat(np.cumsum(per_episode) - per_episode, per_episode)
    passes = -(-per_episode // n_queries)
    pass_ = np.repeat(np.cumsum(passes) - passes, per_episode) + number // n_queries
    place = number % n_queries
    repeated = np.repeat(np.arange(n_episodes), passes)
    rows = np.repeat(first_row[repeated, :1], n_queries, axis=1)
    rows[pass_, place] = first_row[episode, query] + within
    return FurtherPasses(repeated, rows, episode, query, pass_, place)


def majority(
    first: Int[np.ndarray, "strengths episodes n_queries"],
    further: Int[np.ndarray, "strengths passes n_queries"],
    passes: FurtherPasses,
    n_way: int,
) -> Int[np.ndarray, "strengths episodes n_queries"]:
    """Give each query the class that most of its segments were assigned to.

    The smallest class index wins if several classes have the most segments.

    Args:
      first: class of each query's first segment.
      further: class of every segment in the further passes.
      passes: which query each further segment belongs to.
      n_way: classes per episode.

    Returns:
      class of each query.
    """
    decided = []
    for own, more in zip(first, further, strict=True):
        votes = (own[..., None] == np.arange(n_way)).astype(np.int32)
        np.add.at(votes, (passes.owner_episode, passes.owner_query, more[passes.pass_, passes.place]), 1)
        decided.append(votes.argmax(-1).astype(slot_type(n_way)))
    return np.stack(decided)


def summed_scores(
    first: Float[np.ndarray, "strengths episodes n_queries n_way"],
    further: Float[np.ndarray, "strengths passes n_queries n_way"],
    passes: FurtherPasses,
) -> Float[np.ndarray, "strengths episodes n_queries n_way"]:
    """The sum of the scores of each query's segments, which orders the classes as their mean does.

    Args:
      first: scores of each query's first segment.
      further: scores of every segment in the further passes.
      passes: which query each further segment belongs to.

    Returns:
      one sum for each query and class, float64.
    """
    total = first.astype(np.float64)
    for own, more in zip(total, further, strict=True):
        np.add.at(own, (passes.owner_episode, passes.owner_query), more[passes.pass_, passes.place])
    return total


def highest(
    scores: Float[np.ndarray, "strengths episodes n_queries n_way"],
) -> Int[np.ndarray, "strengths episodes n_queries"]:
    """The class with the highest score of each query, the smallest class index among equal scores.

    Args:
      scores: of each query and class.
    """
    return scores.argmax(-1).astype(slot_type(scores.shape[-1]))
