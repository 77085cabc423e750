"""The weights of a fusion's parts, chosen in each episode from its supports by leave-one-out.

Some mixtures are tried: of two parts with the weights 0, 1/4, 1/2, 3/4 and 1, of more parts each part alone and all parts
equally. With the supports' mean taken out of a mixture's inner products K, ridge regression on the labels Y at penalty a has the
coefficients c = (K + a I)^-1 Y. Trained without support i it misses the label of i by c_i, divided by the i-th diagonal element
of that inverse less the part of the constant vector (classifiers/leave_one_out.py, from which the penalty comes too: a fifth of
the supports' spread). The likelihood of the misses is (mean squared miss)^(-n / 2), for n supports. An episode's weights are the
mean of the mixtures' weights, each counted by its likelihood: pseudo-Bayesian model averaging (Yao, Vehtari, Simpson and Gelman,
2018, Using stacking to average Bayesian predictive distributions). A rounding error changes a mean little, where it could turn
the choice of one mixture into that of another.

With one shot nothing can be left out, and the parts have equal weights.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from jfewshot.classifiers.base import Support, centred
from jfewshot.classifiers.leave_one_out import OF_SPREAD
from jfewshot.classifiers.linalg import computed_once, inverse, product, total, trace
from jfewshot.episodes.drawing import LEAST_CLIPS, padded_length
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator.chunking import Chunking, ChunkShape, episodes_first
from jfewshot.evaluator.devices import AXIS, shard_over_episodes
from jfewshot.evaluator.drawer import Drawer, Drawn, episode_numbers
from jfewshot.evaluator.drawing_programs import jit_rows
from jfewshot.evaluator.gram import GramSource
from jfewshot.evaluator.programs import MOST_FUNCTIONS, PROGRAMS
from jfewshot.profiling import finished, stage
from jfewshot.store.clips import ClipTable

_TINY = 1e-30
_OF_TWO = (0.0, 0.25, 0.5, 0.75, 1.0)


class ChosenWeights:
    """Chooses weights, and keeps the last choice for the next classifier.

    Args:
      mesh: the devices.
      drawer: gives the drawn clips, chunk by chunk.
      chunking: decides how many episodes are worked on at once.
    """

    def __init__(self, mesh: Mesh, drawer: Drawer, chunking: Chunking):
        self._mesh, self._drawer, self._chunking = mesh, drawer, chunking
        self._last: tuple[tuple[GramSource, ...], Drawn, np.ndarray] | None = None

    def of(
        self, parts: tuple[GramSource, ...], clips: ClipTable, first: np.ndarray, drawn: Drawn, protocol: Protocol
    ) -> Float[np.ndarray, "episodes parts"]:
        """Choose the weights of each episode.

        Args:
          parts: sources of the parts.
          clips: the clip table.
          first: where each clip's rows begin in the sources, by row of the clip table.
          drawn: the episodes.
          protocol: what an episode is.

        Returns:
          float32, which sum to 1 in each episode.
        """
        last = self._last
        if last is None or last[1] is not drawn or not _are(last[0], parts):
            work = functools.partial(self._choose, parts, clips, first, drawn, protocol)
            last = self._last = parts, drawn, self._chunking.run(protocol.as_drawn, work)
        return last[2]

    def _choose(self, parts, clips: ClipTable, first: np.ndarray, drawn: Drawn, protocol: Protocol, shape: ChunkShape):
        n_segments = clips.n_segments
        length = padded_length(len(n_segments), LEAST_CLIPS)
        lists = (np.pad(x.astype(np.int32), (0, length - len(x))) for x in (first, n_segments))
        on_device = jax.device_put(tuple(lists), NamedSharding(self._mesh, P()))
        long_clips = bool((n_segments[drawn.pool.all_clips] > 1).any())
        # As the solver does, which draws the same segments of the supports.
        segments = (True, False) if protocol.query_segments != "one" else (long_clips, long_clips)
        ways = (protocol.n_way,) if protocol.unknown_ways else ()
        rows = jit_rows(self._mesh, protocol.k_shot, *segments, *ways)
        choose = _jit_choose(self._mesh, protocol.n_way, protocol.k_shot)
        found = np.empty((protocol.n_episodes, len(parts)), np.float32)
        for number, of_chunk in enumerate(self._drawer.chunks(drawn, shape)):
            start = number * shape.episodes
            stop = min(start + shape.episodes, protocol.n_episodes)
            numbers = episode_numbers(start, shape, self._mesh)
            with stage("sampling"):
                support, query = finished(PROGRAMS(rows, *on_device, drawn.key, of_chunk, numbers))
            with stage("Gram"):
                grams = tuple(finished(part.blocks(support, query[:, :0]))[0] for part in parts)
            with stage("solving"):
                weights = finished(PROGRAMS(choose, grams, drawn.key, numbers))
            found[start:stop] = episodes_first(weights)[: stop - start]
        return found


def _are(some: tuple[GramSource, ...], others: tuple[GramSource, ...]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


def mixtures(n_parts: int) -> Float[np.ndarray, "mixtures parts"]:
    """The weights that are tried."""
    if n_parts == 2:
        return np.array([[1 - share, share] for share in _OF_TWO], np.float32)
    return np.concatenate([np.eye(n_parts), np.full((1, n_parts), 1 / n_parts)]).astype(np.float32)


def chosen_weights(
    grams: tuple[Float[Array, "n_support n_support episodes"], ...], support: Support
) -> Float[Array, "parts episodes"]:
    """The weights of the parts in each episode.

    Args:
      grams: inner products among the supports, of each part.
      support: of which labels, ways and shots are used.

    Returns:
      weights that sum to 1.
    """
    tried = jnp.asarray(mixtures(len(grams)))
    labels = support.one_hot - support.class_share

    def mixed(weights, *grams):
        terms = [weights[part] * gram for part, gram in enumerate(grams)]
        return sum(terms[1:], start=terms[0])

    def misfit(weights):
        return left_out_misfit(computed_once(mixed, weights, *grams), labels)

    # Minus the logarithm of the likelihood, mixtures x episodes.
    misfits = lax.map(misfit, tried)
    share = jax.nn.softmax(-misfits, axis=0)
    return total(share[:, None] * tried[:, :, None], 0)


def left_out_misfit(
    gram: Float[Array, "n n episodes"], labels: Float[Array, "n columns 1"]
) -> Float[Array, "episodes"]:
    """n / 2 log(mean squared miss of the labels left out), in closed form; see the head of this file.

    Args:
      gram: inner products among the supports, measured from any origin.
      labels: whose sum over the supports is zero in each column.

    Returns:
      one value for each episode.
    """
    n = gram.shape[0]
    gram, _ = centred(gram)
    spread = jnp.maximum(trace(gram) / n, _TINY)
    penalty = OF_SPREAD * spread
    # The constant vector, which K sends to zero, gets the eigenvalue `spread`, so that nothing is nearly singular.
    solve = inverse(gram + spread / n + penalty * jnp.eye(n, dtype=gram.dtype)[:, :, None])
    right = jnp.broadcast_to(labels, (*labels.shape[:2], gram.shape[-1]))
    coefficients = computed_once(product, solve, right)
    identity = jnp.eye(n, dtype=gram.dtype)[:, :, None]
    diagonal = total(computed_once(lambda x: x * identity, solve), 1) - 1 / (n * (spread + penalty))
    miss = coefficients / diagonal[:, None]
    mean = total(total(miss * miss, 1), 0) / (n * labels.shape[1])
    return 0.5 * n * jnp.log(jnp.maximum(mean, _TINY))


@functools.lru_cache(MOST_FUNCTIONS)
def _jit_choose(mesh: Mesh, n_way: int, k_shot: int):
    def choose(grams, key, numbers):
        def one_block(block):
            grams, numbers = block
            return chosen_weights(grams, Support(grams[0], numbers, key, n_way, k_shot))

        return lax.map(one_block, (grams, numbers))

    return jax.jit(shard_over_episodes(choose, mesh, (P(AXIS), P(), P(AXIS)), P(AXIS)))
