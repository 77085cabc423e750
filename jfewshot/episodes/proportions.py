"""Draw different numbers of queries for the classes of each episode.

Shares come from a symmetric Dirichlet distribution, as in the benchmark of Veilleux, Boudiaf, Piantanida and Ben Ayed
(NeurIPS 2021), who showed that balanced queries give transductive classifiers too high accuracies. Every class has at
least one query, and the other queries are divided according to the shares: each class gets the integer part of its
share, and the classes with the largest remainders get one more. No class gets more than `n_query` of the protocol; the
remaining queries go to the other classes, one at a time, always to the class that is furthest below its share. An
episode's numbers depend only on the seed, the clip table and the number of the episode."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jfewshot.episodes.protocol import Protocol
from jfewshot.randomness import random_pairs, stream_key


def unequal_counts(protocol: Protocol, stream: str) -> Int[np.ndarray, "episodes n_way"]:
    """Numbers of queries of each class of each episode.

    Args:
      protocol: a protocol with `query_balance`.
      stream: the clip table's part of the random stream's key.

    Returns:
      numbers from 1 to `n_query`; each row sums to `total_queries`.
    """
    assert protocol.query_balance is not None
    assert protocol.total_queries is not None
    shares = _dirichlet(protocol, stream)
    return divided(shares, protocol.total_queries, protocol.n_query).astype(np.int32)


def _dirichlet(protocol: Protocol, stream: str) -> Float[np.ndarray, "episodes n_way"]:
    """Shares of the classes, from gamma variables: minus the logarithm of a product of `query_balance` uniform numbers."""
    concentration, n_way = protocol.query_balance or 1, protocol.n_way
    key = jnp.asarray(stream_key(protocol.seed, stream, "query balance"))
    pairs = -(-n_way * concentration // 2)
    episode, number = np.indices((protocol.n_episodes, pairs), dtype=np.uint32)
    words = np.concatenate([np.asarray(x) for x in random_pairs(key, jnp.asarray(episode), jnp.asarray(number))], 1)
    uniform = (words[:, : n_way * concentration].astype(np.float64) + 0.5) / 2.0**32
    gamma = -np.log(uniform).reshape(-1, n_way, concentration).sum(2)
    return gamma / gamma.sum(1, keepdims=True)


def divided(shares: Float[np.ndarray, "episodes n_way"], total: int, most: int) -> Int[np.ndarray, "episodes n_way"]:
    """Divide a number by shares into whole numbers from 1 to `most`.

    Args:
      shares: each row sums to 1.
      total: from n_way to n_way * most.
      most: the largest number of a class.

    Returns:
      numbers whose rows sum to `total`.
    """
    wished = 1.0 + shares * (total - shares.shape[1])
    count = np.minimum(np.floor(wished).astype(np.int64), most)
    rows = np.arange(len(shares))
    while (short := count.sum(1) < total).any():
        lacks = np.where(count < most, wished - count, -np.inf)
        count[rows[short], lacks.argmax(1)[short]] += 1
    return count
