"""Make and write records in a thread while the devices solve the next cell."""

import collections
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jfewshot.profiling import is_profiling

Record = dict[str, Any]
# Largest number of unfinished records when the next cell has been solved; more would only keep more predictions in
# memory.
_MOST_WAITING = 1


class Finishing:
    """Work that turns solved cells into records, done in order, by one thread.

    NumPy, zlib and the file system release Python's lock, so the thread hardly slows the thread that feeds the devices.
    While a run is profiled, the work is done immediately, so that the time of each stage is measured correctly.
    """

    def __init__(self) -> None:
        self._thread = None if is_profiling() else ThreadPoolExecutor(1, "finishing")
        self._waiting: collections.deque[tuple[str, Future[Record]]] = collections.deque()

    def submit(self, key: str, work: Callable[[], Record]) -> None:
        """Submit a record to be made.

        Args:
          key: key of the record.
          work: makes and writes the record, and returns it.
        """
        if self._thread is None:
            done: Future[Record] = Future()
            done.set_result(work())
            self._waiting.append((key, done))
        else:
            self._waiting.append((key, self._thread.submit(work)))

    def __contains__(self, key: str) -> bool:
        """Whether a record with this key has been submitted and not been taken out yet."""
        return any(key == other for other, _ in self._waiting)

    def __len__(self) -> int:
        """How many records have been submitted and not been taken out yet."""
        return len(self._waiting)

    def take(self, most_left: int = _MOST_WAITING) -> Iterator[Record]:
        """Wait for the oldest records and yield them, until at most so many are left.

        Raises:
          Exception: any error that the work raised.
        """
        while len(self._waiting) > most_left:
            yield self._waiting.popleft()[1].result()

    def close(self) -> None:
        """Wait until everything that was submitted has been written, and end the thread."""
        if self._thread is not None:
            self._thread.shutdown()
