"""How far an extraction is: a bar on terminals, a plain log line every so often elsewhere."""

import dataclasses
import logging
import sys
import time

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)

_LINE_EVERY_S = 30.0


@dataclasses.dataclass
class Tally:
    """What was done in this run.

    Attributes:
      clips, audio_s: recordings read and their length, once however many encoders saw them.
      encoding_s: seconds in encoders; the rest of the wall time they waited for audio or disk.
      wall_s: seconds since the run began.
      processes: how many processes encoded.
      left_out: clips that could not be used, with the reason, once for each encoder.
    """

    clips: int = 0
    audio_s: float = 0.0
    encoding_s: float = 0.0
    wall_s: float = 0.0
    processes: int = 1
    left_out: list[str] = dataclasses.field(default_factory=list)

    @property
    def encoders_share(self) -> float:
        """Of the processes' time, what their encoders worked."""
        return self.encoding_s / max(self.wall_s * self.processes, 1e-9)

    def describe(self) -> str:
        """Rates and the encoders' share of the time, in a line."""
        wall = max(self.wall_s, 1e-9)
        return (
            f"{self.clips} clips in {wall:.1f} s: {self.clips / wall:.1f} clips/s, "
            f"{self.audio_s / wall:.1f} s of audio per second, "
            f"encoders busy {100 * self.encoders_share:.0f}% of the time"
        )


class Reporter:
    """Shows progress through a known number of clips; use as a context manager."""

    def __init__(self, title: str, n_clips: int, processes: int = 1):
        self._title, self._n_clips = title, n_clips
        self.tally = Tally(processes=processes)
        self._started = self._last_line = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} clips, {task.fields[rates]}"),
                TimeRemainingColumn(),
            )
            self._task = self._bar.add_task(title, total=n_clips, rates="")

    def __enter__(self) -> "Reporter":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._now()
        if self._bar is not None:
            self._bar.stop()

    def advance(self, done: Tally) -> None:
        """Count a finished block, and name the clips that it left out."""
        self.tally.clips += done.clips
        self.tally.audio_s += done.audio_s
        self.tally.encoding_s += done.encoding_s
        self.tally.left_out += done.left_out
        for message in done.left_out:
            logger.warning("left out %s", message)
        now = self._now()
        rate = self.tally.clips / max(self.tally.wall_s, 1e-9)
        audio_rate = self.tally.audio_s / max(self.tally.wall_s, 1e-9)
        rates = f"{rate:.1f} clips/s, {audio_rate:.0f} s of audio per second"
        if self._bar is not None:
            self._bar.update(self._task, completed=self.tally.clips, rates=rates)
        elif now - self._last_line > _LINE_EVERY_S:
            self._last_line = now
            left_s = (self._n_clips - self.tally.clips) / max(rate, 1e-9)
            logger.info("%s: %d/%d clips, %s, %.0f s left", self._title, self.tally.clips, self._n_clips, rates, left_s)

    def _now(self) -> float:
        now = time.monotonic()
        self.tally.wall_s = now - self._started
        return now
