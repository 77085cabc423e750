"""The settings of an extraction: how encoders are loaded, and how clips become rows of a store.

Imports neither NumPy nor torch, so that `--help` is fast.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from jfewshot.errors import UserError
from jfewshot.threads import cores


@dataclasses.dataclass(frozen=True)
class DeviceOptions:
    """Device and precision with which an encoder computes."""

    device: Annotated[str, arg(metavar="auto|cpu|cuda|cuda:N")] = "auto"
    """Device of the encoders. auto uses a GPU if there is one. Encoders without GPU code run on the CPU in any case."""
    autocast: Annotated[str, arg(metavar="none|bf16|fp16")] = "none"
    """Compute matrix products in half precision, which is faster on a GPU and changes the features slightly; the log says by
    how much."""
    threads: int | None = None
    """CPU threads of each encoder. Without this option, the default of the encoder's library."""
    faster: bool = True
    """On a CPU, compute the convolutions of s3prl's wav2vec, vq-wav2vec and NPC with fewer products, which changes features
    by 1e-6. Without it, everything is computed as in s3prl."""
    trust_checkpoint: bool = False
    """Also read checkpoints that hold Python objects in addition to numbers. Such a file can run any code: use this only for
    files that you trust."""


@dataclasses.dataclass(frozen=True)
class UpstreamOptions(DeviceOptions):
    """Options for loading an encoder; each factory uses those that concern it."""

    checkpoint: Path | None = None
    """File (or folder) with the weights, for machines without internet; None: the encoder's own download or cache."""
    checkpoints: tuple[tuple[str, Path], ...] = ()
    """Upstreams and their checkpoints, if upstreams have different ones."""

    def of(self, name: str) -> "UpstreamOptions":
        """The options of one upstream: its own checkpoint if `checkpoints` names one, otherwise `checkpoint`."""
        own = dict(self.checkpoints).get(name, self.checkpoint)
        return dataclasses.replace(self, checkpoint=own, checkpoints=())


@dataclasses.dataclass(frozen=True)
class ExtractionSettings:
    """Settings that determine how clips become rows of a store."""

    layers: Annotated[tuple[str, ...], arg(metavar="LAYER [LAYER ...]")] = ("last",)
    """Layers (hidden states) to keep: last, which the papers use, a layer's name or number, or all."""
    pooling: Annotated[tuple[str, ...], arg(metavar="mean|min|max|std|mean_std|frames [...]")] = ("mean",)
    """Poolings that make one row of the frames of a segment: mean, which the papers use, min, max, std, or mean_std, which is
    mean and standard deviation side by side, twice as wide. With several poolings, each layer has a view for each. frames keeps
    a row per frame, for models that are trained on frames; it needs --segment whole."""
    default_view: Annotated[str | None, arg(metavar="LAYER.POOLING")] = None
    """View that `jfewshot run` evaluates without --views; the store's manifest names it. Without this option, the view that the
    encoder names (exported encoders may). If it names none, `jfewshot run` evaluates last.mean."""
    dtype: Literal["float32", "float16"] = "float32"
    """Number format of the stored embeddings. float16 halves the disk space and keeps about 3 digits."""
    segment: Annotated[str, arg(metavar="upstream|whole|SECONDS")] = "upstream"
    """Length of the segments into which clips are cut: upstream uses the length that the encoder declares (5 s for the papers'
    encoders), whole does not cut clips, a number is a length in seconds."""
    on_error: Literal["stop", "skip"] = "stop"
    """Reaction to a clip that cannot be used: stop ends the run, skip leaves the clip out and lists it with the reason in the
    manifest."""
    overlaps: Literal["leave-out", "keep"] = "leave-out"
    """Treatment of stretches of a recording that overlap with a stretch of another class: leave-out leaves both out and lists
    them in the manifest, keep uses both."""
    pad_s: float = 0.0
    """Seconds of the recording to add to a stretch before and after its annotation."""
    fixed_s: float | None = None
    """Replace every stretch by a window of this many seconds around its middle. A window that would leave the recording is moved
    inside. Without this option, stretches keep their lengths."""
    background: int = 0
    """Add up to this many windows without any annotation from each annotated recording, as the class background. With this class,
    detection can be evaluated: is there any sound at all? The windows are as long as the annotated clips, and the same recordings
    always give the same windows."""
    batch_size: int | None = None
    """Number of segments per forward pass. Without this option, 8 on a CPU and 128 on a GPU; the number is halved whenever the
    memory is not sufficient."""
    block_clips: int = 128
    """Number of clips in each finished part on disk. A killed run loses at most one part, and --shard, --replicas and --ray
    distribute parts."""
    workers: int | None = None
    """Processes that decode and resample audio ahead of the encoder; 0 decodes in the main process. Without this option, one
    for each core but one, at most 16."""

    @property
    def n_workers(self) -> int:
        """The number of worker processes: `workers`, or its default."""
        return max(1, min(16, cores() - 1)) if self.workers is None else self.workers

    def segment_samples(self, declared: int | None, sample_rate: int) -> int | None:
        """Samples per segment for an encoder.

        Args:
          declared: the encoder's own segment length in samples; None for whole clips.
          sample_rate: sample rate in Hz.

        Returns:
          the number of samples; None for whole clips.

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
