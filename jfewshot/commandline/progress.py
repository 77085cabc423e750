"""Report the progress of a command: a bar on a terminal, a plain line every 30 s elsewhere, nothing with `--quiet`.

Every command uses this module. There may be several reports at a time, each with its own bar. A thread writes the plain
lines, so that they also appear while a single piece of work takes minutes.
"""

import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar

log = logging.getLogger("jfewshot.progress")

LINE_EVERY_S = 30.0

T = TypeVar("T")


class Progress:
    """Reports progress through some work; use as a context manager.

    Args:
      title: what is being done, such as "reading stores".
      total: pieces of work in all; None if that is not known.
      unit: what the pieces are called, such as "stores".
      done: pieces that were finished before, which do not count for the speed.
      show: whether anything is shown; None: unless `--quiet` was given.
    """

    def __init__(self, title: str, total: int | None = None, unit: str = "", done: int = 0, show: bool | None = None):
        self.title, self.total, self.unit, self.done = title, total, unit, done
        self._first, self._details = done, ""
        self._shows = log.isEnabledFor(logging.INFO) if show is None else show
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._bar: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> "Progress":
        self._started = time.monotonic()
        if not self._shows:
            return self
        if sys.stderr.isatty():
            self._bar = _bars.add(self.title, self.total, self.done)
        else:
            threading.Thread(target=self._say_regularly, args=(LINE_EVERY_S,), daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._bar is not None:
            _bars.remove(self._bar)
            self._bar = None

    def advance(self, pieces: int = 1, details: str | None = None) -> None:
        """Count finished pieces.

        Args:
          pieces: how many more are finished.
          details: a short text about the current state, such as the speed; None keeps the last text.
        """
        with self._lock:
            self.done += pieces
            if details is not None:
                self._details = details
        if self._bar is not None:
            _bars.update(self._bar, self.done, self._counted(), self._details)

    def line(self, now: float | None = None) -> str:
        """The progress of the work and the remaining time, in a line without a length limit.

        Args:
          now: time in seconds, on the clock of `time.monotonic`; None: now.
        """
        passed = (time.monotonic() if now is None else now) - self._started
        if self.total is None:
            so_far = f", {self._counted()} done" if self.done else ""
            return f"{self.title}: {duration(passed)} so far{so_far}"
        parts = [f"{self.title}: {self._counted()}", *([self._details] if self._details else [])]
        new = self.done - self._first
        if new > 0 and passed > 0:
            parts.append(f"about {duration(passed * (self.total - self.done) / new)} left")
        else:
            parts.append(f"{duration(passed)} so far")
        return ", ".join(parts)

    def _counted(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.done:,}{unit}" if self.total is None else f"{self.done:,} of {self.total:,}{unit}"

    def _say_regularly(self, every_s: float) -> None:
        while not self._ended.wait(every_s):
            log.info("%s", self.line())


def tracked(items: Sequence[T], title: str, unit: str) -> Iterator[T]:
    """Yield the items one after another, and report progress.

    Args:
      items: the pieces of work.
      title: what is being done, such as "checking stores".
      unit: what the items are called, such as "stores".

    Yields:
      each item.
    """
    with Progress(title, len(items), unit) as progress:
        for item in items:
            yield item
            progress.advance()


def duration(seconds: float) -> str:
    """Two digits or so: 18 s, 46 min, 4.2 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class _Bars:
    """All bars of this process, in one display on standard error, which exists as long as there is a bar."""

    def __init__(self) -> None:
        self._display: Any = None
        self._tasks: set[int] = set()
        self._lock = threading.Lock()

    def add(self, title: str, total: int | None, done: int) -> int:
        with self._lock:
            if self._display is None:
                self._display = _new_display()
                self._display.start()
            task = self._display.add_task(title, total=total, completed=done, counted="", details="")
            self._tasks.add(task)
            return task

    def update(self, task: int, done: int, counted: str, details: str) -> None:
        with self._lock:
            if self._display is not None:
                self._display.update(task, completed=done, counted=counted, details=details)

    def remove(self, task: int) -> None:
        with self._lock:
            self._display.remove_task(task)
            self._tasks.discard(task)
            if not self._tasks:
                self._display.stop()
                self._display = None


def _new_display() -> Any:
    # Loaded here, so that `--help` does not wait for it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column

    def folded() -> Column:
        return Column(overflow="fold")  # on several lines where the terminal is narrow, so that nothing is cut

    return Progress(
        TextColumn("{task.description}", table_column=folded()),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[counted]}", table_column=folded()),
        TextColumn("{task.fields[details]}", table_column=folded()),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # results may be redirected while progress is on a terminal
    )


_bars = _Bars()
