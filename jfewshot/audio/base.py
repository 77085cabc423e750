"""The error for a recording that cannot be used, the limits of one file, and the constants that all readers share."""

from pathlib import Path

from jfewshot.errors import UserError

# One analysis frame of nearly every encoder. Shorter clips, and shorter tails after a full segment, carry no information.
# A file may also be shorter than its header states by this much, since codecs round to whole blocks.
MIN_DURATION_S = 0.025

# The reason for a recording, or a stretch, without any sound.
SILENT = "silent: every sample is the same"

# Sample rates in Hz. Lower rates are headers with a wrong unit (16 for 16,000), whose resampling would take gigabytes.
# Recorders for bats go up to 500 kHz, and those for infrasound down to 100 Hz.
RATES = (100, 2_000_000)

MOST_CHANNELS = 64  # ambisonics of order 7

# Samples of one channel, before and after resampling: six hours at 48 kHz, and 4 GiB as float32.
MOST_SAMPLES = 2**30

# Samples of all channels together, which are decoded at once: 8 GiB as float32.
MOST_VALUES = 2**31

MOST_DURATION_S = 12 * 3600

# A file whose lengths have to be corrected is read into memory.
MOST_BYTES = 2**32


class AudioError(UserError):
    """A recording that cannot be used; `reason` is a short phrase for lists."""

    def __init__(self, path: Path | str, reason: str):
        super().__init__(f"{path}: {reason}")
        self.reason = reason


class Unusable(ValueError):
    """The reason why a file cannot be used, raised by readers that do not know its name."""


def cut_short(promised_s: float, held_s: float) -> Unusable:
    """The reason for a file that lacks a part of its audio.

    Args:
      promised_s: duration in the header, in seconds.
      held_s: duration of the file, in seconds.
    """
    return Unusable(
        f"cut short: its header promises {promised_s:,.2f} s, the file holds {held_s:,.2f} s; copy, download or encode it again"
    )
