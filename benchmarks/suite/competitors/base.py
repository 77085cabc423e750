"""The interface of a competitor."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.suite.problem import Problem

# Given n, solves the first n episodes, from embeddings to predicted class slots on the host: n x n_queries.
Solver = Callable[[int], np.ndarray]


class Setting(NamedTuple):
    """A setting that a user of the competitor would try.

    Attributes:
      threads: number of threads of BLAS or of torch.
      chunk: number of episodes solved at once; 1 for competitors that do not batch.
    """

    threads: int
    chunk: int = 1


@dataclasses.dataclass(frozen=True)
class Competitor:
    """Another library's way to solve the suite's problems.

    Attributes:
      name: name in the table.
      how: description in a sentence, with settings.
      classifiers: the classifiers of jfewshot whose problems the competitor solves.
      unavailable: given the device ("cpu" or "gpu"), returns why the competitor cannot run here; None if it can.
      make: given problem, device and setting, returns a `Solver`. What can be prepared before episodes are known (imports,
        compiling, moving the store to the device) happens here or in the solver's first call, and is not part of its
        steady rate.
      chunks, gpu_chunks: chunk sizes worth trying, on a CPU and on a GPU.
      threads: numbers of threads worth trying on a CPU; None for 1 and all cores.
      agreement: smallest accepted share of predictions equal to jfewshot's; None if the solution is random, and accuracies are
        compared instead.
    """

    name: str
    how: str
    classifiers: tuple[str, ...]
    unavailable: Callable[[str], str | None]
    make: Callable[[Problem, str, Setting], Solver]
    chunks: tuple[int, ...] = (1,)
    gpu_chunks: tuple[int, ...] = (1,)
    threads: tuple[int, ...] | None = None
    agreement: float | None = 0.99


def missing(*modules: str) -> Callable[[str], str | None]:
    """A function for `Competitor.unavailable` of a competitor that needs some modules."""

    def reason(device: str) -> str | None:
        import importlib.util

        absent = [name for name in modules if importlib.util.find_spec(name) is None]
        return f"{absent[0]} is not installed" if absent else None

    return reason


@contextlib.contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Limit the threads of NumPy's and SciPy's BLAS in the `with` block."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        yield
