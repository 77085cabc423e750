"""The compiled functions that train classifiers on the supports of episodes, and that score their queries."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jfewshot.classifiers.base import Classifier, Diagnostics, Support
from jfewshot.classifiers.calibration import no_sharpness, sharpness
from jfewshot.classifiers.kernels import taken_apart, wants_squared_lengths
from jfewshot.classifiers.linalg import argmax_class
from jfewshot.classifiers.rounding import rounding_error
from jfewshot.classifiers.sgd import SGD
from jfewshot.classifiers.transductive import Queries, Transductive, is_transductive
from jfewshot.evaluator.devices import AXIS, shard_over_episodes
from jfewshot.evaluator.programs import MOST_FUNCTIONS, OLDER, TRACES, WIDE

_SMALL = 40  # supports up to which a solver is small (see `OLDER`)


def solver_options(mesh: Mesh, classifier: Classifier | Transductive, n_support: int) -> dict[str, bool | str]:
    """Choose the compiler options for a solver.

    Args:
      mesh: the devices.
      classifier: the classifier to compile.
      n_support: supports per episode.

    Returns:
      options by name, for XLA.
    """
    if mesh.devices.flat[0].platform != "cpu" or isinstance(classifier, SGD):
        return {}
    # A transductive classifier multiplies matrices of all supports and queries, which are never small. In the older way,
    # `sinkhorn` and `alpha_tim` took about twice as long.
    small = n_support <= _SMALL and not is_transductive(classifier)
    return WIDE | OLDER if small else WIDE


@functools.lru_cache(MOST_FUNCTIONS)
def jit_strength_first(mesh: Mesh):
    """`chunking.strength_first` on the devices: [blocks, strengths, ..., episodes of a block] to [strengths, episodes, ...].

    An accelerator transposes hundreds of times as fast as the host: for a million 1-shot episodes the transposition on
    the host took 0.06 to 0.4 s, compared with 0.015 s for solving them (H200).
    """

    def move(arrays):
        def move_one(x):
            moved = jnp.moveaxis(x, -1, 1)
            return jnp.moveaxis(moved.reshape(-1, *moved.shape[2:]), 1, 0)

        return jax.tree.map(move_one, arrays)

    return jax.jit(shard_over_episodes(move, mesh, (P(AXIS),), P(None, AXIS)))


@functools.lru_cache(MOST_FUNCTIONS)
def jit_solve(
    mesh: Mesh,
    classifier: Classifier | Transductive,
    n_way: int,
    k_shot: int,
    want_scores: bool,
    want_model: bool = False,
    calibrate: bool = False,
):
    """Compile the training of a classifier on supports and its predictions for queries.

    Args:
      mesh: the devices.
      classifier: the classifier.
      n_way: classes per episode.
      k_shot: supports per class.
      want_scores: return scores instead of predictions.
      want_model: also return the models, for `jit_score`.
      calibrate: also return the two factors that turn scores into probabilities (`calibration.sharpness`).

    Returns:
      a function from inner products, episode numbers, key and strengths (for a kernel also squared lengths of the
      queries; for a transductive classifier also inner products among the queries and which places hold a query) to
      predictions (or scores), residuals, iterations, rounding errors (rounding.py), for `Auto` the grid indices of the
      chosen strengths and, if wanted, two factors of the scores and models, all [blocks, strengths, ..., episodes of a
      block].
    """

    def solve_blocks(gram_ss, gram_qs, numbers, key, strengths, *of_queries):
        TRACES["solve"] += 1
        solve = block_solver(classifier, n_way, k_shot, want_scores, want_model, calibrate)
        blocks = (gram_ss, gram_qs, numbers, *of_queries)
        return lax.map(lambda block: solve(*block[:3], key, strengths, *block[3:]), blocks)

    specs = (P(AXIS), P(AXIS), P(AXIS), P(), P(), *_specs_of_queries(classifier))
    return jax.jit(shard_over_episodes(solve_blocks, mesh, specs, P(AXIS)))


def _specs_of_queries(classifier: Classifier | Transductive) -> tuple[P, ...]:
    """How the devices share what a classifier needs of the queries beyond their inner products with the supports."""
    if is_transductive(classifier):
        return P(AXIS), P(AXIS)
    return (P(AXIS),) if wants_squared_lengths(classifier) else ()


def block_solver(
    classifier: Classifier | Transductive,
    n_way: int,
    k_shot: int,
    want_scores: bool,
    want_model: bool,
    calibrate: bool = False,
):
    """Make the function that solves one block of episodes.

    Args:
      classifier: the classifier.
      n_way: classes per episode.
      k_shot: supports per class.
      want_scores: return scores instead of predictions.
      want_model: also return the models.
      calibrate: also return the two factors that turn scores into probabilities.

    Returns:
      a function from the arguments of `jit_solve`'s function to its outputs, for one block.
    """
    kernel, classifier = taken_apart(classifier)

    def solve(gram_ss, gram_qs, numbers, key, strengths, *of_queries):
        if kernel is not None:
            gram_ss, gram_qs = kernel.values(gram_ss, gram_qs, *of_queries)
        support = Support(gram_ss, numbers, key, n_way, k_shot)

        def one_strength(strength):
            if isinstance(classifier, Transductive):
                scores, diagnostics = classifier.solve(support, Queries(gram_qs, *of_queries), strength)
                answers = scores if want_scores else argmax_class(scores)
                return (
                    answers,
                    diagnostics.residual,
                    diagnostics.iterations,
                    jnp.full_like(diagnostics.residual, jnp.nan),
                    *(no_sharpness(diagnostics.residual) if calibrate else ()),
                )
            model, diagnostics = classifier.fit(support, strength)
            answers = _answers(classifier, model, support, gram_qs, want_scores)
            error = rounding_error(model, support, gram_qs)
            found = Diagnostics(*diagnostics)
            chosen = [] if found.chosen is None else [found.chosen]
            factors: tuple[jax.Array, ...] = ()
            if calibrate:
                given = strength if found.chosen is None else _grid(classifier)[found.chosen]
                factors = sharpness(classifier, model, support, given)
            models = [model] if want_model else []
            return answers, found.residual, found.iterations, error, *chosen, *factors, *models

        return lax.map(one_strength, strengths) if classifier.strength is None else _each(one_strength, strengths)

    return solve


def _grid(classifier: Any) -> jax.Array:
    """The strengths among which a classifier in an `Auto` chooses."""
    return jnp.asarray(classifier.classifier.strength.grid, jnp.float32)


def _each(function, strengths):
    """`lax.map` over strengths, in a loop whose length the compiler cannot know.

    XLA compiles a loop of one iteration without a loop, and then fuses other operations than in a longer loop. The
    result for a strength that is solved alone would differ in the last digits from the result for the same strength
    among others, and a run that was interrupted between two strengths would differ from an uninterrupted one.
    """
    # All strengths are positive, so this is their number.
    count = (strengths > 0).sum()
    one = jax.eval_shape(function, strengths[0])
    nothing = jax.tree.map(lambda x: jnp.zeros((len(strengths), *x.shape), x.dtype), one)
    # At least two, so that the strength is never a constant in the loop.
    strengths = jnp.concatenate([strengths, strengths])

    def step(number, found):
        solved = function(lax.dynamic_index_in_dim(strengths, number, keepdims=False))
        return jax.tree.map(lambda all_, x: lax.dynamic_update_index_in_dim(all_, x, number, 0), found, solved)

    return lax.fori_loop(0, count, step, nothing)


@functools.lru_cache(MOST_FUNCTIONS)
def jit_score(mesh: Mesh, classifier: Classifier, n_way: int, k_shot: int, want_scores: bool):
    """Compile the predictions for more queries by the models that `jit_solve` returned.

    Args:
      mesh: the devices.
      classifier: the classifier.
      n_way: classes per episode.
      k_shot: supports per class.
      want_scores: return scores instead of predictions.

    Returns:
      a function that takes inner products, episode numbers, key and models (and squared lengths of the queries, for a kernel)
      to predictions (or scores) in the layout of `jit_solve`.
    """
    kernel, inner = taken_apart(classifier)

    def score_blocks(gram_ss, gram_qs, numbers, key, models, *of_queries):
        TRACES["score"] += 1

        def one_block(block):
            gram_ss, gram_qs, numbers, models, *of_queries = block
            if kernel is not None:
                gram_ss, gram_qs = kernel.values(gram_ss, gram_qs, *of_queries)
            support = Support(gram_ss, numbers, key, n_way, k_shot)
            if not jax.tree.leaves(models):
                # A classifier whose scores need no model has no strength either.
                return _answers(inner, models, support, gram_qs, want_scores)[None]
            return lax.map(lambda model: _answers(inner, model, support, gram_qs, want_scores), models)

        return lax.map(one_block, (gram_ss, gram_qs, numbers, models, *of_queries))

    specs = (P(AXIS), P(AXIS), P(AXIS), P(), P(AXIS), *_specs_of_queries(classifier))
    return jax.jit(shard_over_episodes(score_blocks, mesh, specs, P(AXIS)))


def _answers(classifier: Classifier, model, support: Support, gram_qs, want_scores: bool):
    def answer(gram_qs):
        scores = classifier.score(model, support, gram_qs)
        return scores if want_scores else argmax_class(scores)

    if gram_qs.shape[-1] == 1:
        return answer(gram_qs)
    # The queries of one class at a time: one loop over all queries would need too many running sums at once to be fast
    # on CPUs.
    parts = math.gcd(support.n_way, gram_qs.shape[0])  # queries of unknown classes may leave fewer
    answers = lax.map(answer, gram_qs.reshape(parts, -1, *gram_qs.shape[1:]))
    return answers.reshape(-1, *answers.shape[2:])
