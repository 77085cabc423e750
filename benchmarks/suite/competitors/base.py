"""What the suite needs of a competitor."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.suite.problem import Problem

# Solves the first so many episodes, from embeddings to predicted slots on the host: episodes x n_queries.
Solver = Callable[[int], np.ndarray]


class Setting(NamedTuple):
    """What a competitor's user would try out.

    Attributes:
      threads: of BLAS or of torch.
      chunk: episodes solved at once, for those that batch; 1 for those that do not.
    """

    threads: int
    chunk: int = 1


@dataclasses.dataclass(frozen=True)
class Competitor:
    """Somebody else's way to solve our problems.

    Attributes:
      name: in the table.
      how: in a sentence, with its settings.
      classifiers: which of ours it solves.
      unavailable: given the device ("cpu" or "gpu"), why it cannot be run here; None if it can.
      make: given problem, device and setting, a `Solver`. What can be prepared before episodes are known (imports,
        compiling, moving the store to the device) happens here or in the solver's first call, and is not part of its
        steady rate.
      chunks, gpu_chunks: chunk sizes worth trying, on a CPU and on a GPU.
      threads: numbers of threads worth trying on a CPU; None for 1 and all cores.
      agreement: least share of predictions that must equal ours; None where the solution is random, so that accuracies
        are compared.
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
    """`unavailable` for a competitor that needs some modules."""

    def reason(device: str) -> str | None:
        import importlib.util

        absent = [name for name in modules if importlib.util.find_spec(name) is None]
        return f"{absent[0]} is not installed" if absent else None

    return reason


@contextlib.contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Limit the threads of NumPy's and SciPy's BLAS while the block runs."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        yield
