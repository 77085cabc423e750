"""The settings of an experiment with phones, which are the options of `jfewshot phones`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import arg

from jfewshot.errors import UserError
from jfewshot.training.config import OptimiserConfig

Probe = Literal["linear", "hidden"]

_RATE, _RATE_FINETUNED = 1e-3, 1e-4


@dataclass(frozen=True)
class PhonesConfig:
    """Train phone classifiers on the frames of encoders and report frame accuracy on TIMIT's core test set.

    The classifier is a linear layer, or a network with one hidden layer, on every frame. Its target is the phone at the middle
    of the frame, from TIMIT's own segmentation. It stands for the frame classifiers of the Speech SimCLR paper's Table 4, which
    need Kaldi. Raw FBANK and a random encoder are trained as controls. The run can be stopped at any time; the same command
    continues it. The report is OUT/report/index.html; docs/phones.md explains it.
    """

    EXAMPLES: ClassVar = (
        "jfewshot phones --root TIMIT --features simclr:ENCODER",
        "jfewshot phones --root TIMIT --features simclr:ENCODER --probes hidden --finetune",
        "jfewshot phones --dataset table:mine.csv --root audio --features simclr:ENCODER --out mine",
    )
    HEADINGS: ClassVar = {
        "root": "Data",
        "dirha": "Distant microphones, tested only",
        "features": "Encoders",
        "probes": "Model",
        "seeds": "Training",
        "out": "Output",
    }

    root: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of the dataset as it is published. For --dataset table:PATH, the folder to which the paths of the table are
    relative."""
    dataset: Annotated[str, arg(metavar="NAME")] = "timit"
    """Dataset: timit (48 phones are trained, 39 scored), or table:PATH (a CSV file with the columns path and phones, a file
    with lines of begin, end and phone, and if they are known speaker and split, which is train, dev or test)."""
    n_folds: int | None = None
    """Number of folds of whole speakers, for a table without the column split. Without this option, one fold for each of up
    to 10 speakers, otherwise 5."""
    folds: Annotated[Path | None, arg(metavar="FILE")] = None
    """CSV file with the columns group (speaker) and fold, which says what the folds are, instead of --n-folds."""
    leave_out: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Names of utterances to leave out."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do about an utterance that cannot be used, because it is unreadable or shorter than a frame: stop ends the run,
    skip leaves it out and names it in the log."""
    dirha: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder of the WSJ part of DIRHA-English as it is published. Its sentences are tested in addition to the dataset's own
    test utterances; nothing is trained on them. The corpus has no phones, so --dirha-labels is needed with this option."""
    dirha_labels: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder with the phones of DIRHA's sentences, needed with --dirha. An aligner makes them: FOLDER/SPEAKER/SENTENCE.phn, with
    lines of begin, end (samples at 16,000 Hz from the beginning of the sentence) and phone."""
    dirha_microphone: Annotated[str, arg(metavar="NAME")] = "Beam_Circular_Array"
    """Microphone, or sum of microphones, of DIRHA's recordings: their file name without its ending."""
    dirha_kind: Literal["real", "sim"] = "real"
    """DIRHA's recordings: real ones, or sim, which are clean speech with the impulse responses of the rooms."""
    features: Annotated[tuple[str, ...], arg(metavar="FEATURES [FEATURES ...]")] = ("simclr:speech_simclr_small",)
    """Features to train on, one or more of: simclr:FOLDER (the last layer of an exported encoder; simclr:FOLDER@2 is its
    layer 2), store:FOLDER (a store of frames of any other upstream), random:FOLDER (an encoder with the shape of an exported
    one and random weights), fbank. The text {seed} in a FOLDER stands for the seed of the run: simclr:encoders/tera-{seed}
    uses one pretraining for each seed."""
    controls: bool = True
    """Also train on raw FBANK and on a random encoder with the shape of the first simclr encoder."""
    frame_first_ms: float | None = None
    """For features of store: the middle of the first frame in milliseconds. Without this option, what the store or the
    upstream's name says."""
    frame_hop_ms: float | None = None
    """For features of store: milliseconds from frame to frame. Without this option, what the store or the upstream's name
    says."""
    probes: tuple[Probe, ...] = ("linear", "hidden")
    """Classifiers on top of the frames, one or both of: linear (one linear layer), hidden (a hidden layer with ReLU between
    two linear layers)."""
    hidden: int = 2048
    """Width of the hidden layer."""
    context: int = 0
    """Number of frames before and behind each frame that the classifier is given too."""
    finetune: bool = False
    """Also train the encoder: from its weights for simclr:, from random weights for random:. Features of store: and fbank are
    never changed. Runs with and without this option may share one folder."""
    seeds: int = 3
    """Number of runs of each combination, with the seeds 0, 1, and so on. At least 3 are needed to tell a difference from
    luck."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning-rate schedule: cosine falls to zero at the last step, constant stays."""
    rate: float | None = None
    """Highest learning rate of AdamW. Without this option, 0.001, and 0.0001 where the encoder is trained."""
    warmup_steps: int | None = None
    """Steps during which the learning rate increases. Without this option, 1, and a tenth of all steps where the encoder is
    trained."""
    weight_decay: float = 0.01
    """Decoupled weight decay; biases and LayerNorms have none."""
    batch: int = 16
    """Utterances per step. The loss is the mean over the labelled frames of all of them."""
    epochs: int = 20
    """Passes through the training utterances."""
    average_best: int = 1
    """Number of checkpoints, the best on the development utterances, whose weights are averaged."""
    choose_by: Literal["accuracy", "loss"] = "accuracy"
    """Number on the development utterances that chooses checkpoints: frame accuracy in the scored phones, or the loss. Of equal
    ones the earlier is chosen."""
    buckets: int = 4
    """Number of length groups. Utterances of similar length share a batch, which saves padding; each group needs a
    compilation of its own."""
    devices: int | None = None
    """Use only this many devices. Without this option, all devices."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("phones")
    """Folder of the experiment, for features, records and the report. Another start with more features, probes or seeds adds to
    it."""
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
        for name in ("seeds", "hidden", "batch", "epochs", "average_best", "buckets"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least 1")
        if self.context < 0 or self.weight_decay < 0.0:
            raise UserError("--context and --weight-decay must be at least 0")
        if not self.probes or len(set(self.probes)) < len(self.probes):
            raise UserError("--probes: give linear, hidden, or both, each once")
        if (self.rate is not None and self.rate <= 0.0) or (self.warmup_steps is not None and self.warmup_steps < 1):
            raise UserError("--rate must be above 0, and --warmup-steps at least 1")
        if self.frame_hop_ms is not None and self.frame_hop_ms <= 0.0:
            raise UserError(f"--frame-hop-ms is {self.frame_hop_ms:g}; it must be above 0")
        if self.dirha is None and self.dirha_labels is not None:
            raise UserError("--dirha-labels is used with --dirha FOLDER, the corpus that the labels belong to")

    def optimiser(self, learns: bool, steps: int) -> OptimiserConfig:
        """The optimiser and its schedule.

        Args:
          learns: whether the encoder is trained too.
          steps: number of steps of the whole run.

        Returns:
          settings of AdamW, with defaults for options that are not given.
        """
        rate = (_RATE_FINETUNED if learns else _RATE) if self.rate is None else self.rate
        warmup = (max(steps // 10, 1) if learns else 1) if self.warmup_steps is None else self.warmup_steps
        return OptimiserConfig(self.schedule, rate, warmup, self.weight_decay, b2=0.999)


# Options that may change between two starts in one folder: these add runs, or do not change what a run computes.
FREE: tuple[str, ...] = (
    "root",
    "dataset",
    "folds",
    "features",
    "out",
    "controls",
    "probes",
    "finetune",
    "seeds",
    "on_error",
    "write_table",
    "devices",
    "keep_checkpoints",
)
FREE += ("baseline", "formats", "report_only", "frame_first_ms", "frame_hop_ms", "dirha", "dirha_labels")
"""The identity of a run has the probe, `finetune` and the times of frames; the digest of the data covers DIRHA's sentences."""
