"""The settings of a pretraining run, which are the options of `jfewshot pretrain`. A run writes these to its folder.

docs/speech_simclr_choices.md lists each choice that the paper leaves open, our default and why.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from tyro.conf import arg

from jfewshot.errors import UserError
from jfewshot.simclr.settings import AugmentationConfig, EncoderConfig, FbankSettings, MonitorConfig
from jfewshot.training.config import OptimiserConfig

Profile = Literal["speech_simclr", "speech_simclr_recon", "tera"]

# From the name of a profile to the weights of contrast and reconstruction.
PROFILES: dict[str, tuple[float, float]] = {
    "speech_simclr": (1.0, 0.0),
    "speech_simclr_recon": (1.0, 1.0),
    "tera": (0.0, 1.0),
}


@dataclass(frozen=True)
class DataConfig:
    """The speech to learn from, and how it is loaded."""

    source: Path
    """Speech to learn from: a folder of audio, LibriSpeech's folder, or a manifest (.csv or .jsonl) with a column path and,
    if they are known, speaker and duration_s."""
    crop_s: float = 12.0
    """Longest piece of an utterance, in seconds. A longer utterance is cut to a random piece of this length, a new one each
    time."""
    shortest_s: float = 0.2
    """Leave out utterances shorter than this many seconds; the log names them."""
    buckets: int = 4
    """Number of length groups. Utterances of similar length share a batch, which saves padding; each group needs a
    compilation of its own."""
    crops: Literal["same", "different"] = "same"
    """Piece of an utterance that its two views show. same: both show one random piece of --data.crop-s seconds, as in the paper.
    different: each view shows a random piece of its own, so that the views share voice and recording, and of an utterance that
    is longer than a piece not the words."""
    repeat_short: bool = False
    """Repeat an utterance that is shorter than a crop until it fills the crop, as extraction repeats short clips. Without this
    option, the rest of the crop is padding, which the encoder does not see."""
    speakers_per_batch: int | None = None
    """Fill each batch from exactly this many speakers, with equally many utterances of each, so that many negatives share voice
    and recording with an utterance and only what is said tells them apart. Without this option, batches are drawn from all
    speakers, as in the paper."""
    normalisation: Literal["global", "speaker"] = "global"
    """Mean and deviation by which features are normalised: global uses those of the training set, which an exported encoder
    needs; speaker uses those of each speaker, as in the paper."""
    statistics_utterances: int = 2000
    """Number of utterances, drawn by the seed, from which the global mean and deviation are computed. All utterances are used
    where there are fewer."""
    validation_share: float = 0.0
    """Share of the speakers (of the utterances, where speakers are unknown) that is held out for the validation loss."""
    workers: int = 0
    """Processes that load audio (needs the package grain). 0 loads on threads, which is as fast while decoding takes most of
    the time."""
    threads: int = 4
    """Number of batches that each process loads at a time."""
    cache_gb: float = 1.0
    """Memory in GB in which decoded utterances are kept, so that they are decoded once and not once an epoch. 1 GB holds 9
    hours of 16-bit speech; 0 keeps nothing."""


STEPS = 70_300  # as in the paper


@dataclass(frozen=True)
class TrainConfig:
    """Pretrain a speech encoder with Speech SimCLR.

    The defaults are the paper's where the paper states them: 70,300 steps of 600 utterances, for a GPU. --config pretrain_small
    is a run of 300 steps that two CPU cores finish in minutes. The run can be stopped at any time; the same command continues
    it.
    """

    EXAMPLES: ClassVar = (
        "jfewshot pretrain --data.source LibriSpeech --out runs/paper",
        "jfewshot pretrain --config pretrain_small --data.source speech --out runs/small --steps 1500",
    )
    HEADINGS: ClassVar = {
        "data": "Data",
        "out": "The run",
        "encoder": "Encoder",
        "augmentation": "Augmentation",
        "optimiser": "Optimiser",
        "fbank": "Filterbank",
        "monitor": "Measurements while training",
        "projection_hidden": "Loss",
        "batch": "Batches and steps",
        "log_every": "Log and checkpoints",
        "devices": "Machine",
        "coordinator": "Several machines",
    }

    data: DataConfig
    out: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of the run, for checkpoints, metrics.jsonl and config.json. The run in this folder is continued if there is
    one."""
    profile: Profile = "speech_simclr_recon"
    """What is learnt: speech_simclr learns by contrast alone, speech_simclr_recon by contrast and reconstruction, tera by
    reconstruction of one unaugmented view alone."""
    seed: int = 0
    """Number that determines the initial weights, batches, crops, views and dropout."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    fbank: FbankSettings = field(default_factory=FbankSettings)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    projection_hidden: int = 768
    """Width of the hidden layer of the projection head."""
    projection_out: int = 256
    """Width of the output of the projection head, on which the contrast is computed."""
    projection_pooling: Literal["mean", "mean_std"] = "mean"
    """How the frames of the last layer become the input of the projection head: their mean, as in the paper, or mean and
    standard deviation side by side."""
    temperature: float = 0.1
    """Softmax temperature of the NT-Xent loss."""
    contrast_weight: float | None = None
    """Weight of the contrastive loss. Without this option, the weight of the --profile: 1, or 0 for tera."""
    reconstruction_weight: float | None = None
    """Weight of the reconstruction loss. Without this option, the weight of the --profile: 1, or 0 for speech_simclr."""
    batch: int = 600
    """Utterances per step, over all devices. The contrast is between all of them."""
    chunks: int = 1
    """Number of parts in which a batch goes through the encoder. More parts need less memory; the gradient is exactly that of
    the whole batch."""
    tile_rows: int | None = None
    """Number of rows of the NT-Xent similarity matrix that are computed at a time, on one device. Without this option, all
    rows, which take 23 MB at a batch of 1,200 views."""
    steps: int = STEPS
    """Optimiser steps of the run. The default is 150 epochs of the 960 h of LibriSpeech at a batch of 600."""
    epochs: float | None = None
    """Length of the run in epochs instead of --steps: each utterance is used so many times, on the mean. Without this option,
    --steps counts."""
    log_every: int = 20
    """Steps between two lines of the log."""
    checkpoint_every: int = 1000
    """Steps between two checkpoints. There is also a checkpoint at step 0, the untrained encoder, and one at the end."""
    checkpoint_minutes: float = 10.0
    """Also make a checkpoint when so many minutes have passed since the last one, so that an interruption costs no more; 0 for
    --checkpoint-every alone. Several processes count steps only."""
    keep: int = 3
    """Number of latest checkpoints to keep."""
    keep_best: int = 5
    """Number of further checkpoints to keep for averaging: those with the lowest validation loss, or with the highest accuracy on
    --monitor.development."""
    tensorboard: bool = False
    """Also write metrics for TensorBoard (needs the package tensorboardX)."""
    devices: int | None = None
    """Use only this many devices. Without this option, all devices."""
    coordinator: Annotated[str | None, arg(metavar="HOST:PORT")] = None
    """Train in several processes, for instance one on each machine: address and port of process 0, the same for all
    processes."""
    processes: int = 1
    """Number of processes; used with --coordinator."""
    process: int = 0
    """Number of this process, from 0; used with --coordinator."""

    def __post_init__(self) -> None:
        if self.batch < 2 and self.weights[0] > 0:
            raise UserError(f"--batch {self.batch}: contrast needs at least 2 utterances; give more, or --profile tera")
        if self.batch < 1 or self.chunks < 1 or self.batch % self.chunks:
            raise UserError(f"--batch {self.batch} does not divide into --chunks {self.chunks}")
        if self.data.crops == "different" and self.n_views < 2:
            raise UserError("--data.crops different needs two views: give a profile or weight with contrast")
        if self.data.cache_gb < 0:
            raise UserError(f"--data.cache-gb {self.data.cache_gb}: needs 0 or more")
        if not any(self.weights):
            raise UserError("both losses have weight 0, so nothing would be learnt; give one of them a weight above 0")
        if self.encoder.n_mels != self.fbank.n_mels:
            raise UserError(f"--encoder.n-mels {self.encoder.n_mels} is not --fbank.n-mels {self.fbank.n_mels}")
        if self.data.crop_s < self.data.shortest_s:
            raise UserError(
                f"--data.crop-s {self.data.crop_s} is shorter than --data.shortest-s {self.data.shortest_s}"
            )
        if self.steps < 1 or self.log_every < 1 or self.checkpoint_every < 1:
            raise UserError("--steps, --log-every and --checkpoint-every must be at least 1")
        if not 0 <= self.checkpoint_minutes < float("inf"):
            raise UserError(f"--checkpoint-minutes {self.checkpoint_minutes}: give 0 or more minutes")
        if self.monitor.patience is not None and self.processes > 1:
            raise UserError("--monitor.patience stops runs of one process only; leave it out, or train in one process")
        if self.epochs is not None:
            if not 0 < self.epochs < float("inf"):
                raise UserError(f"--epochs {self.epochs}: give a number above 0")
            if self.steps != STEPS:
                raise UserError(
                    f"--epochs {self.epochs:g} and --steps {self.steps} both say how long the run is; give one"
                )

    @property
    def weights(self) -> tuple[float, float]:
        """The weights of the contrastive loss and of the reconstruction loss."""
        contrast, reconstruction = PROFILES[self.profile]
        return (
            contrast if self.contrast_weight is None else self.contrast_weight,
            reconstruction if self.reconstruction_weight is None else self.reconstruction_weight,
        )

    @property
    def n_views(self) -> int:
        """Views of each utterance: two to contrast, one to reconstruct alone."""
        return 2 if self.weights[0] > 0 else 1


# Options that may change between two starts of one run, because results change by rounding at most.
FREE: tuple[str, ...] = (
    "out",
    "chunks",
    "tile_rows",
    "log_every",
    "checkpoint_every",
    "checkpoint_minutes",
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
    "augmentation.rooms_folder",
    "monitor.development",
)


def from_record(record: dict[str, Any]) -> TrainConfig:
    """Make the settings from the config.json of a run: the inverse of `jfewshot.training.config.as_record`."""
    augmentation = dict(record["augmentation"])
    alteration = type(AugmentationConfig().alteration)(**augmentation.pop("alteration"))
    folders = {name: augmentation.pop(name, None) for name in ("noise_folder", "rooms_folder")}
    parts = {
        "data": DataConfig(**{**record["data"], "source": Path(record["data"]["source"])}),
        "encoder": EncoderConfig(**record["encoder"]),
        "augmentation": AugmentationConfig(
            **augmentation,
            alteration=alteration,
            noise_folder=Path(folders["noise_folder"]) if folders["noise_folder"] else None,
            rooms_folder=Path(folders["rooms_folder"]) if folders["rooms_folder"] else None,
        ),
        "optimiser": OptimiserConfig(**record["optimiser"]),
        "fbank": FbankSettings(**record["fbank"]),
        "monitor": _monitor(record.get("monitor", {})),
        "out": Path(record["out"]),
    }
    return TrainConfig(**{**record, **parts})


def _monitor(record: dict[str, Any]) -> MonitorConfig:
    chosen = dict(record)
    if chosen.get("development") is not None:
        chosen["development"] = Path(chosen["development"])
    if "shots" in chosen:
        chosen["shots"] = tuple(chosen["shots"])
    return MonitorConfig(**chosen)
