"""An experiment's settings: the command line's flags."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jfewshot.downstream.folds import Development
from jfewshot.errors import UserError
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.training.config import OptimiserConfig

PAPER_HEAD = EncoderConfig(n_layers=12, d_model=256, d_ff=2048, n_heads=4)
"""Speech SimCLR, section 4.2; what it does not say (dropout 0.1, post-LayerNorm) is as in its encoder."""


@dataclass(frozen=True)
class Recipe:
    """How a head is trained."""

    optimiser: OptimiserConfig
    batch: int
    epochs: int
    average_best: int


RECIPES = {
    # Adam with Noam, k 0.5, warm-up 8,000; batch 64; 25 epochs; the mean of the 5 best development checkpoints.
    "paper": Recipe(OptimiserConfig("noam", 0.5, 8000, weight_decay=0.0), 64, 25, 5),
    # Ours: a linear model on standardised means, which a few hundred steps of Adam fit.
    "light": Recipe(OptimiserConfig("constant", 1e-3, 1, weight_decay=0.0, b2=0.999), 32, 40, 5),
}


@dataclass(frozen=True)
class EmotionConfig:
    """Emotion recognition on frames of encoders, folds by speaker or session, raw FBANK and a random encoder beside.

    Examples:
      python -m jfewshot.downstream.emotion --dataset iemocap --root IEMOCAP_full_release --features simclr:ENCODER
      python -m jfewshot.downstream.emotion --dataset emodb --root emodb --features simclr:ENCODER --head light

    Kill it whenever you like; the same command continues it. Report: OUT/report/index.html.
    """

    root: Path
    """The dataset's folder as published; for table:PATH, the folder that its paths are below."""
    features: tuple[str, ...] = ("simclr:speech_simclr_small",)
    """simclr:FOLDER (an exported encoder, its last layer; @2 for its layer 2), store:FOLDER (any other upstream's
    frames), random:FOLDER, fbank. `{seed}` in a FOLDER is the run's seed: simclr:encoders/tera-{seed}, a pretraining
    for each."""
    dataset: str = "iemocap"
    """iemocap, iemocap_improvised, crema_d, emodb, folder:NAME (ROOT/<emotion>/<group>/), or table:PATH (a CSV with
    path, label, group)."""
    out: Path = Path("emotion")
    """Folder of the experiment: features, records, report. Another start with more features or seeds adds to it."""
    head: Literal["paper", "light"] = "paper"
    """paper: transformer encoder, average pooling, linear. light: projection, average pooling, linear."""
    finetune: bool = False
    """Train the encoder too, from its weights (simclr) or from the start (random); store: and fbank stay as they are."""
    controls: bool = True
    """Raw FBANK, and a random encoder of the first simclr encoder's shape, beside."""
    seeds: int = 3
    """Runs of everything, with seeds 0, 1, ...; at least 3 tell a difference from luck."""
    n_folds: int | None = None
    """Folds of whole groups; None: the dataset's usual (IEMOCAP 5 sessions, EmoDB 10 speakers, CREMA-D 5)."""
    folds: Path | None = None
    """Instead: a CSV with the columns group and fold."""
    development: Development = "group"
    """Who chooses checkpoints: `group`, the next fold's groups; `random20`, a fifth of the rest at random, as s3prl
    does (its speakers are trained on). The test fold never does."""
    choose_by: Literal["uar", "loss"] = "uar"
    """Development number that chooses checkpoints; of equal ones the earlier wins."""
    transformer: EncoderConfig = field(default_factory=lambda: PAPER_HEAD)
    """Of the paper's head."""
    width: int = 256
    """Of the light head's projection."""
    rate: float | None = None
    """Learning rate (noam: its factor k); None: paper 0.5, light 0.001."""
    warmup_steps: int | None = None
    """None: paper 8,000, light none."""
    batch: int | None = None
    """Utterances per step; None: paper 64, light 32."""
    epochs: int | None = None
    """None: paper 25, light 40."""
    average_best: int | None = None
    """Checkpoints that are averaged; None: 5."""
    buckets: int = 4
    """Utterances of like length share a batch; each bucket is a padded size and one compilation."""
    longest: int = 1500
    """Frames; longer utterances are cut (15 s of FBANK; 60 s of an encoder that makes one frame of four)."""
    leave_out: tuple[str, ...] = ()
    """Names of utterances that are not used."""
    on_error: Literal["stop", "skip"] = "stop"
    """An utterance that cannot be used (unreadable, shorter than a frame) ends the run, or is skipped and named."""
    write_table: Path | None = None
    """Only write the dataset as a CSV, for `python -m extraction.run --datasets table:PATH --pooling frames`."""
    devices: int | None = None
    """Use this many devices; None: all there are."""
    keep_checkpoints: bool = False
    """Keep those of finished runs."""
    baseline: str | None = None
    """Name of features that the others are compared with in the report, beside the controls."""
    formats: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")
    """Of the report's figures."""
    report_only: bool = False
    """Report what is there, train nothing."""

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.longest < 1 or self.buckets < 1 or self.width < 1:
            raise UserError("--seeds, --longest, --buckets and --width must be at least 1")
        if self.recipe.batch < 1 or self.recipe.epochs < 1 or self.recipe.average_best < 1:
            raise UserError("--batch, --epochs and --average-best must be at least 1")

    @property
    def recipe(self) -> Recipe:
        """How the head is trained, flags applied."""
        usual = RECIPES[self.head]
        chosen = usual.optimiser
        return Recipe(
            dataclasses.replace(
                chosen,
                rate=chosen.rate if self.rate is None else self.rate,
                warmup_steps=chosen.warmup_steps if self.warmup_steps is None else self.warmup_steps,
            ),
            usual.batch if self.batch is None else self.batch,
            usual.epochs if self.epochs is None else self.epochs,
            usual.average_best if self.average_best is None else self.average_best,
        )


# What may change between two starts in one folder: it adds runs, or changes nothing that is computed.
FREE: tuple[str, ...] = (
    "root",
    "features",
    "out",
    "controls",
    "seeds",
    "on_error",
    "write_table",
    "devices",
    "keep_checkpoints",
)
FREE += ("baseline", "formats", "report_only", "dataset", "folds", "transformer.remat", "transformer.attention")
