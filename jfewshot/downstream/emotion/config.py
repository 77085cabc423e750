"""The settings of an experiment in emotion recognition, which are the options of `jfewshot emotion`."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import arg

from jfewshot.downstream.settings import Development
from jfewshot.errors import UserError
from jfewshot.simclr.settings import EncoderConfig
from jfewshot.training.config import OptimiserConfig

PAPER_HEAD = EncoderConfig(n_layers=12, d_model=256, d_ff=2048, n_heads=4)
"""Speech SimCLR, section 4.2. Where the paper is silent (dropout 0.1, post-LayerNorm), as in its encoder."""


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
    # Our own choice: a linear model on standardised means, which a few hundred steps of Adam fit.
    "light": Recipe(OptimiserConfig("constant", 1e-3, 1, weight_decay=0.0, b2=0.999), 32, 40, 5),
}


@dataclass(frozen=True)
class EmotionConfig:
    """Train an emotion classifier on the frames of encoders and test it on speakers or sessions that it was not trained on.

    Raw FBANK and a random encoder are trained as controls. The run can be stopped at any time; the same command continues it.
    The report is OUT/report/index.html; docs/emotion.md explains it.
    """

    EXAMPLES: ClassVar = (
        "jfewshot emotion --dataset iemocap --root IEMOCAP_full_release --features simclr:ENCODER",
        "jfewshot emotion --dataset emodb --root emodb --features simclr:ENCODER --head light",
    )
    HEADINGS: ClassVar = {
        "root": "Data",
        "features": "Encoders",
        "n_folds": "Folds",
        "head": "Model",
        "transformer": "Transformer of the paper's head",
        "width": "Training",
        "out": "Output",
    }

    root: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of the dataset as it is published. For --dataset table:PATH, the folder to which the paths of the table are
    relative."""
    dataset: Annotated[str, arg(metavar="NAME")] = "iemocap"
    """Dataset: iemocap, iemocap_improvised, crema_d, emodb, folder:NAME (audio in ROOT/EMOTION/GROUP/), or table:PATH (a CSV
    file with the columns path, label and group)."""
    longest: int = 1500
    """Longest utterance in frames; longer utterances are cut. 1500 frames are 15 s of FBANK, or 60 s of an encoder that makes
    one frame of four."""
    leave_out: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Names of utterances to leave out."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do about an utterance that cannot be used, because it is unreadable or shorter than a frame: stop ends the run,
    skip leaves it out and names it in the log."""
    features: Annotated[tuple[str, ...], arg(metavar="FEATURES [FEATURES ...]")] = ("simclr:speech_simclr_small",)
    """Features to train on, one or more of: simclr:FOLDER (the last layer of an exported encoder; simclr:FOLDER@2 is its
    layer 2), store:FOLDER (a store of frames of any other upstream), random:FOLDER (an encoder with the shape of an exported
    one and random weights), fbank. The text {seed} in a FOLDER stands for the seed of the run: simclr:encoders/tera-{seed}
    uses one pretraining for each seed."""
    controls: bool = True
    """Also train on raw FBANK and on a random encoder with the shape of the first simclr encoder."""
    finetune: bool = False
    """Also train the encoder: from its weights for simclr:, from random weights for random:. Features of store: and fbank are
    never changed."""
    n_folds: int | None = None
    """Number of folds; a group (speaker, session) is never divided. Without this option, what is usual for the dataset: 5
    sessions of IEMOCAP, 10 speakers of EmoDB, 5 folds of CREMA-D."""
    folds: Annotated[Path | None, arg(metavar="FILE")] = None
    """CSV file with the columns group and fold, which says what the folds are, instead of --n-folds."""
    development: Development = "group"
    """Utterances that choose checkpoints: group uses the groups of the next fold; random20 uses a fifth of the training
    utterances at random, as s3prl does, so that its speakers are trained on. The test fold never chooses."""
    head: Literal["paper", "light"] = "paper"
    """Model on top of the frames. paper: a transformer, average pooling and a linear layer. light: a linear projection,
    average pooling and a linear layer."""
    transformer: EncoderConfig = field(default_factory=lambda: PAPER_HEAD)
    width: int = 256
    """Width of the projection of --head light."""
    seeds: int = 3
    """Number of runs of each combination, with the seeds 0, 1, and so on. At least 3 are needed to tell a difference from
    luck."""
    rate: float | None = None
    """Learning rate; for --head paper, the factor of the Noam schedule. Without this option, 0.5 for --head paper and 0.001 for
    --head light."""
    warmup_steps: int | None = None
    """Steps during which the learning rate increases. Without this option, 8,000 for --head paper and 1 for --head light."""
    batch: int | None = None
    """Utterances per step. Without this option, 64 for --head paper and 32 for --head light."""
    epochs: int | None = None
    """Passes through the training utterances. Without this option, 25 for --head paper and 40 for --head light."""
    average_best: int | None = None
    """Number of checkpoints, the best on the development utterances, whose weights are averaged. Without this option, 5."""
    choose_by: Literal["uar", "loss"] = "uar"
    """Number on the development utterances that chooses checkpoints: uar is the unweighted average recall, loss the loss. Of
    equal ones the earlier is chosen."""
    buckets: int = 4
    """Number of length groups. Utterances of similar length share a batch, which saves padding; each group needs a
    compilation of its own."""
    devices: int | None = None
    """Use only this many devices. Without this option, all devices."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("emotion")
    """Folder of the experiment, for features, records and the report. Another start with more features or seeds adds to it."""
    keep_checkpoints: bool = False
    """Keep the checkpoints of finished runs."""
    baseline: Annotated[str | None, arg(metavar="NAME")] = None
    """Features that the report compares all others with, in addition to the controls, by their name in its table."""
    formats: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")
    """File formats of the report's figures."""
    report_only: bool = False
    """Report the finished runs and train nothing."""
    write_table: Annotated[Path | None, arg(metavar="FILE")] = None
    """Only write the dataset to this CSV file and train nothing. `jfewshot extract --datasets table:FILE --pooling frames`
    turns it into a store of frames of any upstream."""

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.longest < 1 or self.buckets < 1 or self.width < 1:
            raise UserError("--seeds, --longest, --buckets and --width must be at least 1")
        if self.recipe.batch < 1 or self.recipe.epochs < 1 or self.recipe.average_best < 1:
            raise UserError("--batch, --epochs and --average-best must be at least 1")

    @property
    def recipe(self) -> Recipe:
        """How the head is trained: its recipe, changed by the options that are given."""
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


# Options that may change between two starts in one folder: these add runs, or do not change what a run computes.
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
