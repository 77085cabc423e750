"""A Pallas kernel for NVIDIA GPUs: each program looks up, solves and scores one episode of `logistic`.

XLA compiles the solver into about 280 kernels that read and write every intermediate array: 184 kB a pass for a 5-way
5-shot episode whose inner products are 10 kB. In this kernel the supports' inner products stay in registers, each
episode takes only the steps that it needs, and only predictions are written. The mathematics is in
logistic_conjugate.py. Episodes that do not converge are returned with a large residual, and the caller solves them
again.

Pallas compiles for GPUs through Triton: shapes are powers of two, so supports, classes and queries are padded, and
products are float32 without TF32. XLA's Triton distributes the columns of a looked up matrix over threads, and the
order of sums in logistic_conjugate.py relies on this: the other order was 190 times slower. JAX calls this way of
compiling deprecated, so callers use the general solver if it fails.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from jfewshot.classifiers import logistic_conjugate
from jfewshot.classifiers.linalg import slot_type
from jfewshot.episodes.drawing import power_of_two

# Larger episodes were not measured, and would need more registers than a GPU has.
_MOST_SUPPORTS, _MOST_WAYS = 128, 20
_EPS = float(jnp.finfo(jnp.float32).eps)
_MOST_NUMBERS = 2**31  # elements of an array that int32 can index
# The residual at which an episode is finished, and the largest number of products for an episode.
_STOP, _MOST_PRODUCTS = 1e-5, 40


class Plan(NamedTuple):
    """How one episode is laid out in a program.

    Attributes:
      n_way, k_shot, n_queries: of the episode; n_queries over all classes.
      supports: number of supports, rounded up to a power of two.
      queries: queries that are scored at once.
      warps: of a program, 32 threads each.
    """

    n_way: int
    k_shot: int
    n_queries: int
    supports: int
    queries: int
    warps: int

    @property
    def n_support(self) -> int:
        return self.n_way * self.k_shot


def plan(n_way: int, k_shot: int, n_queries: int, episodes: int, n_strengths: int) -> Plan | None:
    """Choose a layout.

    With this layout an H200 solved 218 million 5-way 1-shot, 82 million 5-way 5-shot and 0.6 million 20-way 5-shot
    episodes a second (15 queries per class). With twice the warps, or with more queries at once, it was slower by a
    twentieth to a half.

    Args:
      n_way: classes per episode.
      k_shot: supports per class.
      n_queries: queries per episode.
      episodes: of a call.
      n_strengths: of the classifier.

    Returns:
      the layout; None for episodes that a program cannot hold.
    """
    supports = max(8, power_of_two(n_way * k_shot))
    per_episode = max(n_strengths * n_queries, n_way * k_shot * (n_way * k_shot + n_queries))
    if supports > _MOST_SUPPORTS or n_way > _MOST_WAYS or episodes * per_episode >= _MOST_NUMBERS:
        return None
    return Plan(n_way, k_shot, n_queries, supports, max(32, supports), max(1, supports // 32))


class Places(NamedTuple):
    """The positions of an episode's inner products in one flat array: `row[i] + column[j]`.

    Attributes:
      support_row, support_column: of the supports.
      query_row: a function from query numbers to the part of the position that depends on the row.
    """

    support_row: jax.Array
    support_column: jax.Array
    query_row: Callable[[jax.Array], jax.Array]


def _looked_up(plan: Plan, block: int, n_rows: int, support_ref, query_ref, number):
    """Inner products in the matrix of all rows of a store; rows of episodes are [blocks, n, episodes of a block]."""
    which, episode = number // block, number % block
    i = jnp.arange(plan.supports)
    at = (which * plan.n_support + i) * block + episode
    row = triton.load(support_ref.at[at], mask=i < plan.n_support, other=0)

    def query_row(q):
        at = (which * plan.n_queries + q) * block + episode
        return triton.load(query_ref.at[at], mask=q < plan.n_queries, other=0)

    return Places(row * n_rows, row, lambda q: query_row(q) * n_rows)


def _side_by_side(plan: Plan, number):
    """Inner products [episodes, supports and queries, supports]."""
    n, rows = plan.n_support, plan.n_support + plan.n_queries
    # The minimum changes no position. It hides from the compiler that the supports are adjacent in memory, so that the
    # compiler distributes queries over threads here too.
    i = jnp.minimum(jnp.arange(plan.supports), n - 1)
    start = number * (rows * n)
    return Places(start + i * n, i, lambda q: start + (n + q) * n)


def _solve_and_score(plan: Plan, places: Places, gram_ref, strength, predicted_ref, start):
    """Solve one episode and write its predictions from `start` on; returns residual, products and rounding error."""
    n = plan.n_support
    i = jnp.arange(plan.supports)
    inside = i < n
    both = inside[:, None] & inside[None, :]
    at = places.support_row[:, None] + places.support_column[None, :]
    gram = triton.load(gram_ref.at[at], mask=both, other=0.0)
    # As `base.centred`.
    mean_row = gram.sum(0) * (1.0 / n)
    mean = mean_row.sum() * (1.0 / n)
    gram = jnp.where(both, gram - mean_row[None, :] - mean_row[:, None] + mean, 0.0)
    target = tuple((i // plan.k_shot == c).astype(jnp.float32) for c in range(plan.n_way))
    penalty = (2.0 if plan.n_way == 2 else 1.0) / strength
    found = logistic_conjugate.solve(
        gram, target, inside.astype(jnp.float32), n, penalty, stop=_STOP, most=_MOST_PRODUCTS
    )
    # As in `Logistic.fit`.
    alpha = tuple(jnp.where(inside, a - a.sum() * (1.0 / n), 0.0) for a in found.alpha)
    bias = tuple(b - (a * mean_row).sum() for a, b in zip(alpha, found.bias, strict=True))

    square = triton.load(gram_ref.at[places.support_row + places.support_column], mask=inside, other=0.0).max()

    def score(chunk, carry):
        nothing, spread, largest = carry
        q = chunk * plan.queries + jnp.arange(plan.queries)
        is_query = q < plan.n_queries
        at = places.support_column[:, None] + places.query_row(q)[None, :]
        gram_qs = triton.load(gram_ref.at[at], mask=inside[:, None] & is_query[None, :], other=0.0)
        # This adds zero, but the compiler cannot know that. Without it, the compiler copies all coefficients to every
        # thread before the loop.
        products = logistic_conjugate.times(tuple(a + nothing for a in alpha), gram_qs)
        best = least = products[0] + bias[0]
        slot = jnp.zeros(plan.queries, jnp.int32)
        for number in range(1, plan.n_way):
            scores = products[number] + bias[number]
            higher = scores > best
            best, slot = jnp.where(higher, scores, best), jnp.where(higher, number, slot)
            least = jnp.minimum(least, scores)
        triton.store(predicted_ref.at[start + q], slot.astype(slot_type(plan.n_way)), mask=is_query)
        # As `rounding.rounding_error`: over the first query of each class.
        asked = is_query & (q % (plan.n_queries // plan.n_way) == 0)
        spread = spread + jnp.where(asked, best - least, 0.0).sum()
        largest = jnp.maximum(largest, jnp.where(asked, jnp.abs(gram_qs).max(0), 0.0).max())
        return 0.0 * nothing, spread, largest

    chunks = -(-plan.n_queries // plan.queries)
    _, spread, largest = jax.lax.fori_loop(0, chunks, score, (0.0 * mean_row, jnp.float32(0.0), square))
    size = jnp.sqrt(functools.reduce(jnp.maximum, [(a * a).sum() for a in alpha]))
    error = largest * size + functools.reduce(jnp.maximum, [jnp.abs(b) for b in bias]) + 1.0
    share = _EPS * error * plan.n_way / spread
    return found.residual, found.products.astype(jnp.float32), jnp.where(share == share, share, jnp.inf)


def solve_looked_up(plan: Plan, gram, support, query, strengths, interpret: bool = False):
    """Solve episodes by looking up their inner products in the matrix of all rows.

    Args:
      plan: the layout.
      gram: inner products of all rows with each other, (rows, rows), fewer than 2^31.
      support: numbers of the supports, [blocks, n_support, episodes of a block].
      query: numbers of the queries, [blocks, n_queries, episodes of a block].
      strengths: of the classifier; one or more.
      interpret: run as ordinary JAX operations, for tests.

    Returns:
      predicted slots (strengths, episodes, n_queries); residuals, products and rounding errors (strengths, episodes).
    """
    blocks, _, block = support.shape

    def kernel(gram_ref, support_ref, query_ref, strengths_ref, *out):
        number = pl.program_id(0)
        places = _looked_up(plan, block, gram.shape[1], support_ref, query_ref, number)
        _one_episode(plan, places, gram_ref, strengths_ref, out, blocks * block)

    return _call(plan, kernel, blocks * block, strengths, interpret)(
        gram.reshape(-1), support.reshape(-1), query.reshape(-1), strengths
    )


def solve_side_by_side(plan: Plan, products, strengths, interpret: bool = False):
    """Solve episodes whose inner products were computed for each episode.

    Args:
      plan: the layout.
      products: inner products of each episode's supports and then its queries with the supports, (episodes, n_support +
        n_queries, n_support), fewer than 2^31.
      strengths: of the classifier; one or more.
      interpret: run as ordinary JAX operations, for tests.

    Returns:
      what `solve_looked_up` returns.
    """
    episodes = products.shape[0]

    def kernel(gram_ref, strengths_ref, *out):
        _one_episode(plan, _side_by_side(plan, pl.program_id(0)), gram_ref, strengths_ref, out, episodes)

    return _call(plan, kernel, episodes, strengths, interpret)(products.reshape(-1), strengths)


def _one_episode(plan: Plan, places: Places, gram_ref, strengths_ref, out, episodes: int) -> None:
    predicted_ref, *others = out
    which = pl.program_id(1)
    row = which * episodes + pl.program_id(0)
    found = _solve_and_score(plan, places, gram_ref, strengths_ref[which], predicted_ref, row * plan.n_queries)
    for ref, value in zip(others, found, strict=True):
        ref[row] = value


def _call(plan: Plan, kernel, episodes: int, strengths, interpret: bool):
    n = strengths.shape[0]
    numbers = jax.ShapeDtypeStruct((n * episodes,), jnp.float32)
    call = pl.pallas_call(
        kernel,
        out_shape=[jax.ShapeDtypeStruct((n * episodes * plan.n_queries,), slot_type(plan.n_way)), *[numbers] * 3],
        grid=(episodes, n),
        compiler_params=None if interpret else triton.CompilerParams(num_warps=plan.warps, num_stages=1),
        interpret=interpret,
    )

    def solved(*arguments):
        predicted, *others = call(*arguments)
        return predicted.reshape(n, episodes, plan.n_queries), *(x.reshape(n, episodes) for x in others)

    return solved
