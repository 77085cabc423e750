"""PyTorch on inner products: jfewshot's mathematics with torch's operations, thousands of episodes at once.

The solver computes one inverse of (I / C + d K) per episode, where K holds the inner products of the supports after their mean
was subtracted, and d = 1 / n_way is the exact curvature of the loss at zero. Then it takes a few accelerated steps with this
inverse, as the first stage of jfewshot's `logistic`. The necessary number of steps is found before the measurement. For a small
store, all inner products are computed once, within the timed part, and looked up for each episode. For a larger store, they are
computed from the embeddings of each episode.

There are two layouts. With episodes first, bmm and batched LAPACK do the work, for which torch's linear algebra is made. With
episodes last, the work is sums of element-wise products, which torch.compile can fuse and vectorise over the episodes.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from benchmarks.suite.competitors.base import Competitor, Setting, Solver
from benchmarks.suite.competitors.torch_common import (
    How,
    Taker,
    cannot,
    compiled,
    in_chunks,
    precision,
    threads_worth_trying,
    torch_device,
    use_threads,
)
from benchmarks.suite.competitors.torch_steps import fewest_steps
from benchmarks.suite.problem import Problem

Layout = Literal["first", "last"]
# For stores of up to this many rows, all inner products are computed once. jfewshot does so too.
_ALL_PRODUCTS = 2048
_MOMENTUM = 0.1  # the preconditioned problem's condition number is close to one
# Matrices of up to this size are inverted by elimination in torch operations over all episodes; larger ones by LAPACK, one by
# one.
_WRITTEN_OUT = 8


def episodes_first(gram_ss, gram_qs, targets, steps: int):
    """Predicted class slots, episodes x m.

    Args:
      gram_ss: inner products of the supports, episodes x n x n.
      gram_qs: inner products of queries and supports, episodes x m x n.
      targets: n x n_way, one-hot.
      steps: number of steps.
    """
    import torch

    n, way = targets.shape
    mean = gram_ss.mean(1, keepdim=True)
    gram = gram_ss - mean - mean.mT + mean.mean(2, keepdim=True)
    inverse = torch.linalg.inv_ex(torch.eye(n, device=gram.device) + gram / way)[0]
    alpha = ahead = z = z_ahead = gram.new_zeros(gram.shape[0], n, way)
    bias = bias_ahead = gram.new_zeros(gram.shape[0], 1, way)
    for _ in range(steps):
        error = torch.softmax(z_ahead, 2) - targets + ahead
        of_bias = error.mean(1, keepdim=True)
        change = torch.bmm(inverse, of_bias - error)
        new, new_bias = ahead + change, bias_ahead - way * of_bias
        new_z = z_ahead + torch.bmm(gram, change) - way * of_bias
        ahead, bias_ahead = new + _MOMENTUM * (new - alpha), new_bias + _MOMENTUM * (new_bias - bias)
        z_ahead = new_z + _MOMENTUM * (new_z - z)
        alpha, bias, z = new, new_bias, new_z
    return (torch.bmm(gram_qs, alpha) + bias - torch.bmm(mean, alpha)).argmax(2).to(torch.int8)


def episodes_last(gram_ss, gram_qs, targets, steps: int):
    """Predicted class slots, episodes x m, by the same steps as `episodes_first`.

    Args:
      gram_ss: inner products of the supports, n x n x episodes.
      gram_qs: inner products of queries and supports, m x n x episodes.
      targets: n x n_way, one-hot.
      steps: number of steps.
    """
    import torch

    n, way = targets.shape
    targets = targets[:, :, None]
    mean = gram_ss.mean(0)
    gram = gram_ss - mean[None] - mean[:, None] + mean.mean(0)
    inverse = _inverse(torch.eye(n, device=gram.device)[:, :, None] + gram / way)
    alpha = ahead = z = z_ahead = gram.new_zeros(n, way, gram.shape[2])
    bias = bias_ahead = gram.new_zeros(way, gram.shape[2])
    for _ in range(steps):
        unnormalised = torch.exp(z_ahead - z_ahead.amax(1, keepdim=True))
        error = unnormalised / unnormalised.sum(1, keepdim=True) - targets + ahead
        of_bias = error.mean(0)
        change = _product(inverse, of_bias - error)
        new, new_bias = ahead + change, bias_ahead - way * of_bias
        new_z = z_ahead + _product(gram, change) - way * of_bias
        ahead, bias_ahead = new + _MOMENTUM * (new - alpha), new_bias + _MOMENTUM * (new_bias - bias)
        z_ahead = new_z + _MOMENTUM * (new_z - z)
        alpha, bias, z = new, new_bias, new_z
    scores = _product(gram_qs, alpha) + bias - (mean[:, None] * alpha).sum(0)
    return scores.argmax(1).mT.to(torch.int8)


def _product(a, x):
    if a.shape[1] > 32:
        import torch

        return torch.bmm(a.permute(2, 0, 1), x.permute(2, 0, 1)).permute(1, 2, 0)
    out = a[:, 0, None] * x[None, 0]
    for j in range(1, a.shape[1]):
        out = out + a[:, j, None] * x[None, j]
    return out


def _inverse(a):
    import torch

    n = a.shape[0]
    if n > _WRITTEN_OUT:
        return torch.linalg.inv_ex(a.permute(2, 0, 1))[0].permute(1, 2, 0)
    unit = torch.eye(n, device=a.device)
    for k in range(n):
        # Gauss-Jordan elimination. It needs no pivoting, because the matrix is positive definite. Masks set row k and column k.
        is_row, is_column = unit[k][:, None, None], unit[k][None, :, None]
        pivot = 1.0 / a[k, k]
        row = a[k] * pivot * (1.0 - unit[k][:, None]) + unit[k][:, None] * pivot
        column = a[:, k] * (1.0 - unit[k][:, None])
        a = (a * (1.0 - is_column) - column[:, None] * row[None]) * (1.0 - is_row) + is_row * row[None]
    return a


def _batched(layout: Layout, how: How, tf32: bool):
    def make(problem: Problem, device: str, setting: Setting) -> Solver:
        import torch

        where = torch_device(device)
        use_threads(setting.threads)
        take = Taker(problem, where)
        looked_up = take.store is not None and len(take.store) <= _ALL_PRODUCTS
        targets = torch.eye(problem.question.n_way, device=where)[torch.from_numpy(problem.targets).to(where)]
        last = layout == "last"
        solver: Callable[..., torch.Tensor] = episodes_last if last else episodes_first

        def from_products(products, support, query, steps):
            if last:
                # Flat positions in the matrix, in the layout of the result, so that one gather reads all inner products.
                support, query = support.mT, query.mT
                at = (rows[:, None] * products.shape[1] + support[None] for rows in (support, query))
                return solver(*(products.view(-1)[x] for x in at), targets, steps)
            return solver(*(products[x[:, :, None], support[:, None]] for x in (support, query)), targets, steps)

        def from_embeddings(support, query, steps):
            blocks = torch.bmm(support, support.mT), torch.bmm(query, support.mT)
            if last:
                return solver(*(x.permute(1, 2, 0).contiguous() for x in blocks), targets, steps)
            return solver(*blocks, targets, steps)

        def from_store(store, support, query, steps):
            return from_embeddings(store[support], store[query], steps)

        def all_products():
            return None if take.store is None or not looked_up else take.store @ take.store.T

        def chunk(functions, products, support, query, steps):
            rows = [torch.from_numpy(x).to(where) for x in (support, query)]
            if looked_up:
                return functions[0](products, *rows, steps)
            if take.store is not None:
                return functions[1](take.store, *rows, steps)
            return functions[2](take(support), take(query), steps)

        eager = (from_products, from_store, from_embeddings)
        functions = tuple(compiled(function, how) for function in eager)
        products = all_products()
        part = problem.support[: setting.chunk], problem.query[: setting.chunk]
        steps = fewest_steps(lambda steps: chunk(eager, products, *part, steps).cpu().numpy())

        def solve(n: int) -> np.ndarray:
            use_threads(setting.threads)
            answers = []
            with torch.inference_mode(), precision(tf32):
                products = all_products()
                for wanted, (support, query) in in_chunks((problem.support, problem.query), n, setting.chunk):
                    answers.append(chunk(functions, products, support, query, steps).cpu().numpy()[:wanted])
            return np.concatenate(answers)

        return solve

    return make


def _competitor(name: str, layout: Layout, how: How, tf32: bool, says: str) -> Competitor:
    return Competitor(
        name=name,
        how=f"inner products, one inverse and a few accelerated steps per episode, episodes {layout}, {says}",
        classifiers=("logistic",),
        unavailable=cannot(how, tf32),
        make=_batched(layout, how, tf32),
        threads=threads_worth_trying(how),
        # Each size is compiled, which takes a while.
        chunks=(128, 512, 2048) if how == "eager" else (128, 512),
        gpu_chunks=(2048, 5000, 10_000),
    )


COMPETITORS = (
    _competitor("torch Gram", "first", "eager", False, "eager, float32"),
    _competitor("torch Gram, TF32", "first", "eager", True, "eager, TF32 products"),
    _competitor("torch Gram, compiled", "first", "compiled", False, "torch.compile, float32"),
    _competitor("torch Gram, CUDA graphs", "first", "graphs", True, "torch.compile with CUDA graphs, TF32"),
    _competitor("torch Gram, episodes last", "last", "eager", False, "eager, float32"),
    _competitor("torch Gram, episodes last, compiled", "last", "compiled", False, "torch.compile, float32"),
    _competitor(
        "torch Gram, episodes last, CUDA graphs", "last", "graphs", False, "torch.compile with CUDA graphs, float32"
    ),
)
