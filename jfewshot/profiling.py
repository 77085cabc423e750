"""Where the time of a run goes: named stages, timed only while somebody asks, and JAX's own trace of them.

Outside of `profile`, a stage costs one look at a variable and nothing is waited for. Inside, JAX's work is waited for where a
stage ends, so that each stage is charged with what it started; the run is a little slower for it.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from jfewshot.files import writable_folder

# What a run consists of, in the order of the table. Training and scoring queries are one compiled function, hence one stage.
STAGES = {
    "start-up": "Python, its packages, the devices",
    "reading": "stores: manifests, digests, embeddings, preprocessing",
    "compiling": "XLA, or loading what it compiled before",
    "sampling": "drawing episodes and the segments of their clips",
    "Gram": "inner products, and looking them up",
    "solving": "training on the supports and scoring the queries",
    "scoring": "predictions to the host, votes over a query's segments",
    "statistics": "accuracies and their intervals",
    "writing": "records, predictions, draws, tables",
    "other": "all the rest",
}

T = TypeVar("T")


class Profile:
    """Seconds by stage; a stage within a stage is charged to the inner one alone.

    Args:
      began: when, by `time.perf_counter`.
      within: the stage it began with, if any.

    Attributes:
      seconds: by name, in the order in which stages first ended.
    """

    def __init__(self, began: float, within: str | None = None):
        self.seconds: dict[str, float] = {}
        self._began = self._since = began
        self._stack = ["other", *([within] if within else [])]

    def enter(self, name: str) -> None:
        """Count the time from now on for a stage."""
        if name not in STAGES:
            raise KeyError(f"'{name}' is no stage of a run; there are {', '.join(STAGES)}")
        self._charge()
        self._stack.append(name)

    def leave(self) -> None:
        """Count the time from now on for the enclosing stage."""
        self._charge()
        self._stack.pop()

    def total(self) -> float:
        """Seconds since the beginning."""
        return self._since - self._began

    def _charge(self) -> None:
        now = time.perf_counter()
        name = self._stack[-1]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def table(self) -> str:
        """The stages with their seconds and shares, which add up to the whole, as plain text."""
        total = max(self.total(), 1e-9)
        lines = [f"{'stage':<12}{'seconds':>9}{'share':>8}"]
        for name, what in STAGES.items():
            seconds = self.seconds.get(name, 0.0)
            lines.append(f"{name:<12}{seconds:>9.3f}{seconds / total:>8.1%}   {what}")
        lines.append(f"{'all':<12}{self.total():>9.3f}{1:>8.1%}")
        return "\n".join(lines) + "\n"


_current: Profile | None = None


class _Stage:
    def __init__(self, profile: Profile, name: str):
        import jax

        self._profile, self._name = profile, name
        self._annotation = jax.profiler.TraceAnnotation(name)

    def __enter__(self) -> None:
        self._profile.enter(self._name)
        self._annotation.__enter__()

    def __exit__(self, *error) -> None:
        self._annotation.__exit__(*error)
        self._profile.leave()


_NOTHING = contextlib.nullcontext()


def stage(name: str) -> contextlib.AbstractContextManager[None]:
    """A block of a run's work, by its name in `STAGES`."""
    return _NOTHING if _current is None else _Stage(_current, name)


def is_profiling() -> bool:
    """Whether stages are being timed. They belong to one thread: others must not enter a stage meanwhile."""
    return _current is not None


def finished(x: T) -> T:
    """Wait for JAX's arrays, if somebody asks where the time goes; returns them."""
    if _current is not None:
        import jax

        jax.block_until_ready(x)
    return x


@contextlib.contextmanager
def time_stages() -> Iterator[Profile]:
    """Time the stages within, and write nothing.

    Yields:
      The seconds by stage, complete once the block is left.
    """
    global _current
    result = Profile(time.perf_counter())
    _current = result
    try:
        yield result
    finally:
        _current = None
        result.enter("other")
        result.leave()


@contextlib.contextmanager
def profile(folder: Path | str) -> Iterator[Profile]:
    """Time the stages within, counted from the start of the process, and let JAX write its trace.

    Args:
      folder: gets `stages.txt`, the table, and below `plugins/profile` what TensorBoard's and XProf's profile pages open, with a
        `perfetto_trace.json.gz` for https://ui.perfetto.dev.

    Yields:
      The seconds by stage; whole once the block is left.
    """
    global _current
    folder = writable_folder(folder, "a profile")
    result = Profile(time.perf_counter() - seconds_since_start(), "start-up")
    import jax

    options = jax.profiler.ProfileOptions()
    # Every call of every Python function would drown the rest.
    options.python_tracer_level = 0
    with jax.profiler.trace(str(folder), create_perfetto_trace=True, profiler_options=options):
        result.leave()
        _current = result
        try:
            yield result
        finally:
            _current = None
            result.enter("other")
            result.leave()


def seconds_since_start() -> float:
    """Seconds since this process began; since now where the system does not tell."""
    try:
        with open("/proc/self/stat") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        with open("/proc/uptime") as file:
            uptime = float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0
    return max(0.0, uptime - ticks / os.sysconf("SC_CLK_TCK"))
