"""How many cores there are, and NumPy on all of them: blocks of rows by threads, which NumPy lets run side by side."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def by_blocks(
    work: Callable[[int, int], T], n_rows: int, rows_at_once: int, most_threads: int | None = None
) -> list[T]:
    """`work(start, stop)` for consecutive blocks of rows, by as many threads as there are cores; the results in order.

    Args:
      work: called with the first row of a block and the row after its last.
      n_rows: how many rows there are.
      rows_at_once: rows of a block.
      most_threads: upper limit on the number of threads; None for one thread per core.

    Returns:
      the results of the blocks, in order.
    """
    starts = range(0, n_rows, rows_at_once)
    blocks = [(start, min(start + rows_at_once, n_rows)) for start in starts]
    threads = min(len(blocks), cores(), most_threads or len(blocks))
    if threads < 2:
        return [work(*block) for block in blocks]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda block: work(*block), blocks))


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS and LAPACK use one thread for each call, in the whole process, until the block ends.

    Thousands of decompositions of small matrices gain nothing from threads, and OpenBLAS's threads wait for each other by
    spinning: with other work on the cores, an eigendecomposition of 100 x 100 took 25 to 205 ms by two threads, and 1 ms by one.
    """
    # Loaded late, since most commands decompose nothing. JAX takes its LAPACK from SciPy, whose library must be loaded to be
    # limited.
    import threadpoolctl

    # Looked up each time, since a library may have been loaded since.
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        yield


@contextlib.contextmanager
def one_numpy_thread() -> Iterator[None]:
    """Let NumPy's own BLAS use one thread until the block ends: `one_blas_thread` without the millisecond of finding libraries.

    OpenBLAS's threads spin for some 20 ms after a product, on the cores that what follows needs.
    """
    libraries = _loaded_blas()
    with libraries.limit(limits=1, user_api="blas") if libraries else contextlib.nullcontext():
        yield


@functools.cache
def _loaded_blas():
    """The libraries of this process; None where the system does not list them."""
    import threadpoolctl

    try:
        return threadpoolctl.ThreadpoolController()
    except OSError:
        return None


def cores() -> int:
    """How many CPU cores this process may use; where the system does not tell (macOS, Windows), how many the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
