"""Counts the operations of one episode, by counting every JAX primitive while some episodes are solved.

XLA's own cost analysis counts the body of a loop once, and the number of iterations of a solver depends on its data. So this
module runs some episodes with `jax.disable_jit`, which turns compiled loops into Python loops, and counts every primitive that
JAX executes. A multiplication, an addition, a comparison or a selection of n numbers is n operations. A matrix product is 2 m n k
operations. Exponentials, logarithms, divisions and roots are counted separately, because a processor needs many times longer for
them.
"""

import collections
import contextlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.extend
import numpy as np

from benchmarks.suite.problem import Problem

_SLOW = {"exp", "exp2", "log", "log1p", "expm1", "tanh", "logistic", "div", "sqrt", "rsqrt", "pow"}
# These primitives only move numbers, which is counted as bytes and not as operations.
_FREE = {
    "broadcast_in_dim", "reshape", "transpose", "slice", "concatenate", "squeeze", "expand_dims", "convert_element_type", "iota",
    "dynamic_slice", "dynamic_update_slice", "pad", "gather", "scatter", "copy", "copy_p", "device_put", "stop_gradient", "rev",
    "split", "bitcast_convert_type", "random_bits", "jit", "pjit", "select_and_scatter_add", "while", "scan", "cond", "empty",
}  # fmt: skip


class Operations(NamedTuple):
    """Numbers of operations of one episode.

    Attributes:
      plain: additions, multiplications, comparisons, selections.
      slow: exponentials, logarithms, divisions, roots.
      product: multiplications and additions for inner products of embeddings; zero if inner products are looked up.
      bytes: bytes that must move between memory and core: embeddings or looked-up inner products, blocks of inner products,
        predictions.
    """

    plain: float
    slow: float
    product: float
    bytes: float


def operations(problem: Problem, gram_kind: str, episodes: int = 64) -> Operations:
    """Count the operations of one episode of a problem, as a mean over some episodes.

    Args:
      problem: the problem.
      gram_kind: "precomputed" if inner products are looked up; otherwise embeddings are multiplied.
      episodes: number of episodes to count.
    """
    from jfewshot.classifiers.base import Support
    from jfewshot.classifiers.linalg import argmax_class
    from jfewshot.classifiers.specs import parse_classifier

    question = problem.question
    spec = parse_classifier(question.classifier)
    support, query = (problem.take(x[:episodes]).astype(np.float64) for x in (problem.support, problem.query))
    if spec.classifier.translation_invariant:
        origin = support.mean((0, 1))
        support, query = support - origin, query - origin
    gram_ss = jax.numpy.asarray(np.einsum("eid,ejd->ije", support, support).astype(np.float32))
    gram_qs = jax.numpy.asarray(np.einsum("eid,ejd->ije", query, support).astype(np.float32))
    numbers = jax.numpy.arange(episodes, dtype=jax.numpy.uint32)
    key = jax.numpy.zeros(2, jax.numpy.uint32)
    strength = jax.numpy.float32(spec.strengths[0] or 1.0)
    with counted() as count, jax.disable_jit():
        supports = Support(gram_ss, numbers, key, question.n_way, question.k_shot)
        model, _ = spec.classifier.fit(supports, strength)
        argmax_class(spec.classifier.score(model, supports, gram_qs))
    slow = sum(n for name, n in count.items() if name in _SLOW)
    plain = sum(n for name, n in count.items() if name not in _SLOW)
    n, m = question.n_support, question.n_queries
    pairs = n * n + n * m
    multiplied = gram_kind != "precomputed"
    # Inner products are read from the matrix (or computed), written as blocks, and read by the solver.
    moved = 4 * pairs * (2 if multiplied else 3) + m
    if multiplied:
        moved += 4 * (n + m) * question.dim
    return Operations(plain / episodes, slow / episodes, 2.0 * pairs * question.dim if multiplied else 0.0, moved)


@contextlib.contextmanager
def counted() -> Iterator[collections.Counter]:
    """Count the operations of all primitives that JAX executes in the `with` block, by name."""
    count: Any = collections.Counter()  # counts are floats, which the type Counter does not allow
    original = jax.extend.core.Primitive.bind

    inside = False

    primitive: Any = jax.extend.core.Primitive

    def bind(self, *arguments, **parameters):
        nonlocal inside
        # Without jit, JAX executes a primitive by binding it a second time inside the first call. The inner call is not counted.
        counts = self.name not in _FREE and not inside
        inside = inside or counts
        try:
            out = original(self, *arguments, **parameters)
        finally:
            inside = inside and not counts
        if counts:
            count[self.name] += _size(self.name, arguments, parameters, out)
        return out

    primitive.bind = bind
    try:
        yield count
    finally:
        primitive.bind = original


def _size(name: str, arguments, parameters, out) -> float:
    if name == "dot_general":
        contracted = parameters["dimension_numbers"][0][0]
        return 2.0 * math.prod(out.shape) * math.prod(arguments[0].shape[i] for i in contracted)
    if name.startswith(("reduce_", "arg", "cum")):
        return float(math.prod(arguments[0].shape))
    leaves = jax.tree.leaves(out)
    return float(sum(math.prod(getattr(leaf, "shape", ())) for leaf in leaves))
