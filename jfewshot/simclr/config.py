"""Everything about a pretraining run: the command line's flags and what is written beside its checkpoints.

docs/speech_simclr_choices.md lists each choice that the paper leaves open, our default and why.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jfewshot.errors import UserError
from jfewshot.simclr.augmentation import AugmentationConfig
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.features import FbankSettings
from jfewshot.training.config import OptimiserConfig

Profile = Literal["speech_simclr", "speech_simclr_recon", "tera"]

# (weight of the contrast, weight of the reconstruction)
PROFILES: dict[str, tuple[float, float]] = {
    "speech_simclr": (1.0, 0.0),
    "speech_simclr_recon": (1.0, 1.0),
    "tera": (0.0, 1.0),
}


@dataclass(frozen=True)
class DataConfig:
    """What is learnt from."""

    source: Path
    """A folder of audio, a manifest (.csv or .jsonl with path, and if known speaker and duration_s), or LibriSpeech's
    folder."""
    crop_s: float = 12.0
    """Longer utterances are cut to a random piece of this many seconds, another one every time."""
    shortest_s: float = 0.2
    """Shorter utterances are left out, and named."""
    buckets: int = 4
    """Utterances of like length share a batch; each bucket is a padded size and one compilation."""
    speakers_per_batch: int | None = None
    """Fill each batch from this many speakers, so that many negatives share the utterance's voice and recording and what is
    said has to tell them apart; None: from all speakers alike, as in the paper."""
    normalisation: Literal["global", "speaker"] = "global"
    """Statistics of the features: the training set's, which exported encoders use too; or each speaker's, as in the
    paper."""
    statistics_utterances: int = 2000
    """How many utterances the global statistics are computed from (drawn by the seed); all, where there are fewer."""
    validation_share: float = 0.0
    """Share of the speakers held out for the validation loss; of the utterances, where speakers are not known."""
    workers: int = 0
    """Loading processes (grain); 0 loads on threads, which is as fast while decoding is the work."""
    threads: int = 4
    """Batches loaded at a time, on threads, per process."""
    cache_gb: float = 1.0
    """Decoded utterances kept in memory, so that what fits (9 h of 16-bit speech) is decoded once and not once an
    epoch; 0: none."""


@dataclass(frozen=True)
class TrainConfig:
    """Pretrain a speech encoder: `python -m jfewshot.simclr.train --data.source SPEECH --out RUN`.

    The defaults are the paper's where it says, so 70,300 steps of 600 utterances, for a GPU. A run that
    two CPU cores finish in minutes is in docs/pretraining.md. Stop it whenever you like; the same command continues it.
    """

    data: DataConfig
    out: Path
    """Folder of the run: checkpoints, metrics.jsonl, config.json."""
    profile: Profile = "speech_simclr_recon"
    """speech_simclr: contrast alone; speech_simclr_recon: contrast and reconstruction; tera: reconstruction alone, of
    one clean view."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The transformer."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Two views of one utterance."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """How it learns."""
    fbank: FbankSettings = field(default_factory=FbankSettings)
    """What it hears through."""
    projection_hidden: int = 768
    """Width between W1 and W2."""
    projection_out: int = 256
    """Width of z."""
    temperature: float = 0.1
    """Of NT-Xent."""
    contrast_weight: float | None = None
    """Overrides the profile's."""
    reconstruction_weight: float | None = None
    """Overrides the profile's."""
    batch: int = 600
    """Utterances per step, over all devices; the contrast is between all of them."""
    chunks: int = 1
    """The batch goes through the encoder in this many parts, with the exact gradient of the whole: memory for a batch
    / chunks."""
    tile_rows: int | None = None
    """Rows of NT-Xent's logits at a time, on one device; None: all (23 MB at batch 1,200)."""
    steps: int = 70_300
    """Optimiser steps; 150 epochs of LibriSpeech 960 h at batch 600."""
    seed: int = 0
    """Of initialisation, batches, crops, views and dropout."""
    log_every: int = 20
    """Steps between lines."""
    checkpoint_every: int = 1000
    """Steps between checkpoints (there is one at step 0, the untrained encoder, and one at the end)."""
    keep: int = 3
    """Checkpoints kept, the latest."""
    keep_best: int = 5
    """Checkpoints kept besides, those with the lowest validation loss, for averaging."""
    tensorboard: bool = False
    """Also write metrics for TensorBoard (needs the package tensorboardX)."""
    devices: int | None = None
    """Use this many devices; None: all there are."""
    coordinator: str | None = None
    """With several processes (one per host, say): address:port of the first; all get the same."""
    processes: int = 1
    """With a coordinator: how many there are."""
    process: int = 0
    """With a coordinator: which one this is, from 0."""

    def __post_init__(self) -> None:
        if self.batch < 2 and self.weights[0] > 0:
            raise UserError(f"--batch {self.batch}: contrast needs at least 2 utterances; give more, or --profile tera")
        if self.batch < 1 or self.chunks < 1 or self.batch % self.chunks:
            raise UserError(f"--batch {self.batch} does not divide into --chunks {self.chunks}")
        if self.data.cache_gb < 0:
            raise UserError(f"--data.cache-gb {self.data.cache_gb}: needs 0 or more")
        if not any(self.weights):
            raise UserError("both losses have weight 0: nothing to learn from")
        if self.encoder.n_mels != self.fbank.n_mels:
            raise UserError(f"--encoder.n-mels {self.encoder.n_mels} is not --fbank.n-mels {self.fbank.n_mels}")
        if self.data.crop_s < self.data.shortest_s:
            raise UserError(
                f"--data.crop-s {self.data.crop_s} is shorter than --data.shortest-s {self.data.shortest_s}"
            )
        if self.steps < 1 or self.log_every < 1 or self.checkpoint_every < 1:
            raise UserError("--steps, --log-every and --checkpoint-every must be at least 1")

    @property
    def weights(self) -> tuple[float, float]:
        """Of contrast and reconstruction."""
        contrast, reconstruction = PROFILES[self.profile]
        return (
            contrast if self.contrast_weight is None else self.contrast_weight,
            reconstruction if self.reconstruction_weight is None else self.reconstruction_weight,
        )

    @property
    def n_views(self) -> int:
        """Views of each utterance: two to contrast, one to reconstruct alone."""
        return 2 if self.weights[0] > 0 else 1


# What may change between two starts of one run without changing what it computes (but for rounding).
FREE: tuple[str, ...] = (
    "out",
    "chunks",
    "tile_rows",
    "log_every",
    "checkpoint_every",
    "keep",
    "keep_best",
    "tensorboard",
)
FREE += (
    "devices",
    "coordinator",
    "processes",
    "process",
    "data.source",
    "data.workers",
    "data.threads",
    "data.cache_gb",
    "encoder.remat",
    "encoder.attention",
    "augmentation.noise_folder",
)


def from_record(record: dict[str, Any]) -> TrainConfig:
    """The inverse of `jfewshot.training.config.as_record`, for a run's config.json."""
    augmentation = dict(record["augmentation"])
    alteration = type(AugmentationConfig().alteration)(**augmentation.pop("alteration"))
    noise_folder = augmentation.pop("noise_folder")
    parts = {
        "data": DataConfig(**{**record["data"], "source": Path(record["data"]["source"])}),
        "encoder": EncoderConfig(**record["encoder"]),
        "augmentation": AugmentationConfig(
            **augmentation, alteration=alteration, noise_folder=Path(noise_folder) if noise_folder else None
        ),
        "optimiser": OptimiserConfig(**record["optimiser"]),
        "fbank": FbankSettings(**record["fbank"]),
        "out": Path(record["out"]),
    }
    return TrainConfig(**{**record, **parts})
