"""Report the progress of an extraction: a bar on terminals, and otherwise a log line at intervals."""

import dataclasses
import logging
import time
from typing import Any

from jfewshot.commandline.progress import Progress

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class Tally:
    """Counts the work that was done in this run.

    Attributes:
      clips, audio_s: number of recordings that were read, and their duration in seconds. Each recording counts once, even if
        several encoders used it.
      encoding_s: seconds in encoders; in the rest of the wall time they waited for audio or the disk.
      wall_s: seconds since the run began.
      processes: number of processes that encoded.
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
        """The share of the processes' time during which their encoders worked."""
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
    """Shows progress through a known number of clips; use as a context manager.

    Args:
      title: title of the dataset.
      n_clips: number of clips to encode.
      processes: number of processes that encode.
      said: warnings that were given before; they are not repeated.
    """

    def __init__(self, title: str, n_clips: int, processes: int = 1, said: set[str] | None = None):
        self._progress = Progress(f"extracting {title}", n_clips, "clips")
        self._said = set() if said is None else said
        self.tally = Tally(processes=processes)
        self._started = time.monotonic()

    def __enter__(self) -> "Reporter":
        self._progress.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._now()
        self._progress.__exit__(*error)

    def advance(self, done: Tally) -> None:
        """Count a finished block, and name each clip that it left out once, however many encoders left it out."""
        self.tally.clips += done.clips
        self.tally.audio_s += done.audio_s
        self.tally.encoding_s += done.encoding_s
        self.tally.left_out += done.left_out
        for message in done.left_out:
            warn_once(f"left out {message}", self._said)
        wall = max(self._now(), 1e-9)
        rates = f"{self.tally.clips / wall:.1f} clips/s, {self.tally.audio_s / wall:.0f} s of audio per second"
        self._progress.advance(done.clips, rates)

    def _now(self) -> float:
        self.tally.wall_s = time.monotonic() - self._started
        return self.tally.wall_s


def warn_once(message: str, said: set[str]) -> None:
    """Log a warning unless it was logged before.

    Args:
      message: the warning.
      said: warnings that were logged; the message is added.
    """
    if message not in said:
        said.add(message)
        logger.warning("%s", message)
