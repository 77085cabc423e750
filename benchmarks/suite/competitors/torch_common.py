"""What the PyTorch competitors share: devices, threads, compilation, precision."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from benchmarks.suite.problem import Problem
from jfewshot.threads import cores

How = Literal["eager", "compiled", "graphs"]


def torch_device(device: str):
    """The torch device of the suite's "cpu" or "gpu"."""
    import torch

    return torch.device("cuda" if device == "gpu" else "cpu")


def use_threads(threads: int) -> None:
    """Let torch use this many cores."""
    import torch

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def cannot(how: How, tf32: bool) -> Callable[[str], str | None]:
    """A function for `Competitor.unavailable`, for one way of running torch."""

    def reason(device: str) -> str | None:
        import importlib.util

        if importlib.util.find_spec("torch") is None:
            return "torch is not installed"
        if device == "cpu" and how == "graphs":
            return "CUDA graphs need CUDA"
        if device == "cpu" and tf32:
            return "TF32 is a GPU's number format"
        if device == "cpu" and how == "compiled" and shutil.which("g++") is None:
            return "torch.compile needs g++ on a CPU"
        import torch

        if device == "gpu" and not torch.cuda.is_available():
            return "this torch sees no CUDA device"
        return None

    return reason


def threads_worth_trying(how: How) -> tuple[int, ...] | None:
    """The value of `Competitor.threads`. torch compiles for one number of threads, so compiled code runs on all cores only."""
    return None if how == "eager" else (cores(),)


def compiled(function: Callable[..., Any], how: How) -> Callable[..., Any]:
    """The function unchanged, compiled, or compiled and recorded as a CUDA graph."""
    import torch

    if how == "eager":
        return function
    mode = "reduce-overhead" if how == "graphs" else "default"
    return torch.compile(function, mode=mode, dynamic=False, fullgraph=True)


@contextlib.contextmanager
def precision(tf32: bool) -> Iterator[None]:
    """In the `with` block, decides whether matrix products may round their inputs to TF32 (a mantissa of 10 bits)."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Taker:
    """Gives the embeddings of rows as tensors on the device.

    A small store is on the device and is indexed there. The rows of a large store are read from disk, normalised and copied.
    """

    def __init__(self, problem: Problem, where):
        import torch

        self._problem, self._where = problem, where
        self.store = None if problem.embeddings is None else torch.from_numpy(problem.embeddings).to(where)

    def __call__(self, rows: np.ndarray):
        import torch

        if self.store is None:
            return torch.from_numpy(self._problem.take(rows)).to(self._where)
        return self.store[torch.from_numpy(rows).to(self._where)]


def in_chunks(rows: tuple[np.ndarray, ...], n: int, chunk: int) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
    """The first n episodes in chunks of equal size, so that nothing is compiled twice. Repeated episodes fill the last chunk.

    Yields:
      The number of episodes of the chunk that count, and the rows of the chunk.
    """
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        part = tuple(x[start:stop] for x in rows)
        short = chunk - (stop - start)
        if short:
            part = tuple(np.concatenate([x, np.repeat(x[:1], short, 0)]) for x in part)
        yield stop - start, part
