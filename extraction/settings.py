"""What a user decides about an extraction, beside which encoder and which dataset."""

import dataclasses
from typing import Literal

from jfewshot.errors import UserError
from jfewshot.threads import cores


@dataclasses.dataclass(frozen=True)
class ExtractionSettings:
    """How clips become rows of a store."""

    layers: tuple[str, ...] = ("last",)
    """Hidden states to keep: `last` (the papers'), names or numbers of layers, or `all`."""
    pooling: tuple[str, ...] = ("mean",)
    """Over time: mean (the papers'), min, max, std; each gives a view of every layer. Or `frames`: no pooling, a row per
    frame, for models trained on frames (with --segment whole)."""
    dtype: Literal["float32", "float16"] = "float32"
    """Of the stored numbers; float16 halves the disk space and keeps about 3 digits."""
    segment: str = "upstream"
    """`upstream`: what the encoder declares (5 s for the papers'); `whole`: clips are not cut; or seconds."""
    on_error: Literal["stop", "skip"] = "stop"
    """A clip that cannot be used ends the run, or is skipped and listed in the manifest with the reason."""
    batch_size: int | None = None
    """Segments per forward pass; None: 8 on a CPU, 128 on a GPU, halved whenever the memory does not suffice."""
    block_clips: int = 128
    """Clips per finished part on disk: what a killed run loses at most, and the unit that shards share out."""
    workers: int | None = None
    """Processes that decode and resample ahead of the encoder; None: one per core but one, at most 16; 0: no others."""

    @property
    def n_workers(self) -> int:
        """`workers`, with None made a number."""
        return max(1, min(16, cores() - 1)) if self.workers is None else self.workers

    def segment_samples(self, declared: int | None, sample_rate: int) -> int | None:
        """Samples per segment for an encoder that declares a length (None: whole clips) at a rate in Hz.

        Raises:
          UserError: if `segment` is neither of the words nor a positive number.
        """
        if self.segment == "upstream":
            return declared
        if self.segment == "whole":
            return None
        try:
            seconds = float(self.segment)
        except ValueError:
            seconds = 0.0
        if not seconds > 0:
            raise UserError(f"segment '{self.segment}' is neither 'upstream', 'whole' nor a number of seconds above 0")
        return round(seconds * sample_rate)
