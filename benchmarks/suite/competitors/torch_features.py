"""PyTorch, thousands of episodes at once in feature space: the batched `bmm` code that a careful torch user would write.

The solver minimises jfewshot's objective over (W, b) by Nesterov's accelerated gradient. The mean of the episode's supports is
subtracted first: then the intercept no longer depends on the weights, and the shared mean does not worsen the condition number.
The step length comes from each episode's own curvature. Embeddings of encoders then need a handful of steps, where Adam or SGD
need dozens to hundreds. The necessary number of steps is found before the measurement.
"""

import functools
from collections.abc import Callable
from typing import Any

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

# Curvature of the softmax loss at a support. It is at most 1/2, 1 / n_way at zero, and about 1/4 near few-shot solutions.
_CURVATURE = 0.25


def logistic(support, query, targets, steps: int):
    """Predicted class slots of many episodes: episodes x n_queries.

    Args:
      support: episodes x n_support x dim.
      query: episodes x n_queries x dim.
      targets: n_support x n_way, one-hot.
      steps: number of gradient steps.
    """
    import torch

    mean = support.mean(1, keepdim=True)
    support = support - mean
    gram = torch.bmm(support, support.mT)
    largest = _CURVATURE * gram.abs().sum(2).amax(1)[:, None, None] + 1.0
    momentum = (largest.sqrt() - 1.0) / (largest.sqrt() + 1.0)
    bias_step = 1.0 / (_CURVATURE * support.shape[1])
    weights = ahead = support.new_zeros(support.shape[0], support.shape[2], targets.shape[1])
    bias = bias_ahead = support.new_zeros(support.shape[0], 1, targets.shape[1])
    for _ in range(steps):
        error = torch.softmax(torch.bmm(support, ahead) + bias_ahead, 2) - targets
        new = ahead - (torch.bmm(support.mT, error) + ahead) / largest
        new_bias = bias_ahead - bias_step * error.sum(1, keepdim=True)
        ahead, bias_ahead = new + momentum * (new - weights), new_bias + momentum * (new_bias - bias)
        weights, bias = new, new_bias
    return (torch.bmm(query, weights) + bias - torch.bmm(mean, weights)).argmax(2).to(torch.int8)


def centroid(support, query, targets, steps: int):
    """Predicted class slots by the nearest class mean, with the arguments of `logistic`; `steps` is not used."""
    import torch

    shots = support.shape[1] // targets.shape[1]
    means = support.unflatten(1, (targets.shape[1], shots)).mean(2)
    return (torch.bmm(query, means.mT) - 0.5 * means.square().sum(2)[:, None]).argmax(2).to(torch.int8)


def _batched(how: How, tf32: bool):
    def make(problem: Problem, device: str, setting: Setting) -> Solver:
        import torch

        where = torch_device(device)
        use_threads(setting.threads)
        take = Taker(problem, where)
        function: Callable[..., Any] = {"logistic": logistic, "centroid": centroid}[problem.question.classifier]
        targets = torch.eye(problem.question.n_way, device=where)[torch.from_numpy(problem.targets).to(where)]

        def first_chunk(steps: int) -> np.ndarray:
            rows = problem.support[: setting.chunk], problem.query[: setting.chunk]
            return function(*(take(x) for x in rows), targets, steps).cpu().numpy()

        steps = fewest_steps(first_chunk) if problem.question.classifier == "logistic" else 0
        run = compiled(functools.partial(function, targets=targets, steps=steps), how)

        def from_store(store, support, query):
            return run(store[support], store[query])

        gather_and_run = compiled(
            lambda store, support, query: function(store[support], store[query], targets, steps), how
        )

        def solve(n: int) -> np.ndarray:
            use_threads(setting.threads)
            answers = []
            with torch.inference_mode(), precision(tf32):
                for wanted, (support, query) in in_chunks((problem.support, problem.query), n, setting.chunk):
                    if take.store is None:
                        out = run(take(support), take(query))
                    else:
                        rows = (torch.from_numpy(x).to(where) for x in (support, query))
                        out = gather_and_run(take.store, *rows)
                    answers.append(out.cpu().numpy()[:wanted])
            return np.concatenate(answers)

        return solve

    return make


def _competitor(name: str, how: How, tf32: bool, says: str, classifiers: tuple[str, ...]) -> Competitor:
    return Competitor(
        name=name,
        how=f"a chunk of episodes as one bmm problem in feature space, accelerated gradient, {says}",
        classifiers=classifiers,
        unavailable=cannot(how, tf32),
        make=_batched(how, tf32),
        threads=threads_worth_trying(how),
        # Each size is compiled, which takes a while. On CPUs 128 was the fastest of 32, 128 and 512.
        chunks=(32, 128, 512) if how == "eager" else (128,),
        gpu_chunks=(512, 2048, 5000),
    )


COMPETITORS = (
    _competitor("torch features", "eager", False, "eager, float32", ("logistic", "centroid")),
    _competitor("torch features, TF32", "eager", True, "eager, TF32 products", ("logistic",)),
    _competitor("torch features, compiled", "compiled", False, "torch.compile, float32", ("logistic", "centroid")),
    _competitor("torch features, CUDA graphs", "graphs", True, "torch.compile with CUDA graphs, TF32", ("logistic",)),
)
