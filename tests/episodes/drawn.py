"""Episodes that the tests look at, and how likely they are."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from jfewshot.episodes.drawing import draw, draw_arguments, pool_arrays, segment_words, unit_interval
from jfewshot.episodes.pool import class_pool

# A fair draw falls below this once in 100,000 seeds; the seeds here are fixed.
LEAST_P = 1e-5
# One compilation per set of arguments for all files.
compiled_draw = jax.jit(
    draw,
    static_argnames=(
        "n_way",
        "k_shot",
        "n_query",
        "shots_drawn",
        "bound_has_16_bits",
        "search_steps",
        "reach_over",
        "asks_every_query",
    ),
)


def drawn_clips(table, protocol, episodes, **changes):
    """Clips of some episodes: episodes x n_way x drawn, and the draw."""
    pool = class_pool(table, protocol)
    arguments = draw_arguments(protocol, pool) | changes
    result = compiled_draw(pool_arrays(pool, protocol, table.stream), jnp.asarray(episodes, jnp.uint32), **arguments)
    return np.moveaxis(np.asarray(result.clips), -1, 0), result


def drawn_segments(table, protocol, episodes):
    """What chooses the segments of some episodes' clips, in the order of the clips."""
    arrays, numbers = (
        pool_arrays(class_pool(table, protocol), protocol, table.digest),
        jnp.asarray(episodes, jnp.uint32),
    )
    support = segment_words(arrays.key, numbers, protocol.n_way, protocol.n_query, protocol.k_shot)
    query = segment_words(arrays.key, numbers, protocol.n_way, 0, protocol.n_query)
    return np.moveaxis(np.asarray(unit_interval(jnp.concatenate([support, query], 1))), -1, 0)


def p_value(found, expected):
    """Chi-square of outcomes (rows of an array) against exact probabilities (a dict of tuples)."""
    counts = collections.Counter(map(tuple, found.reshape(len(found), -1).tolist()))
    assert set(counts) <= set(expected), "an outcome that cannot be"
    assert sum(expected.values()) == 1
    return scipy.stats.chisquare(
        [counts[outcome] for outcome in expected], [float(p) * len(found) for p in expected.values()]
    ).pvalue
