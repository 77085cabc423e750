"""The settings of an experiment in speech recognition, which are the options of `jfewshot asr`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import arg

from jfewshot.downstream.asr.settings import BeamConfig, DecoderConfig, RecurrentConfig
from jfewshot.downstream.asr.units import Kind, TextForm
from jfewshot.errors import UserError
from jfewshot.simclr.settings import PAPER_ASR, AugmentationConfig, EncoderConfig
from jfewshot.training.config import OptimiserConfig

# Speed and noise as in pretraining. Options switch on pitch and reverberation.
AUGMENTATION = AugmentationConfig(pitch=False, reverb=False)
RECIPE = OptimiserConfig("noam", 1.0, weight_decay=0.0)


@dataclass(frozen=True)
class AsrConfig:
    """Train speech recognition on an encoder and report error rates.

    The model is attention-CTC that starts from the encoder, or recurrent CTC on the encoder's frozen frames. A random encoder
    of the same shape is trained as a control. The run can be stopped at any time; the same command continues it. The report
    is OUT/report/index.html; docs/asr.md goes from a checkpoint to the table.

    The defaults are for a GPU and 100 hours of speech. --config asr_small trains a small recogniser with one seed: with half an
    hour of speech, an encoder and its random control take about 10 minutes on two CPU cores.
    """

    EXAMPLES: ClassVar = (
        "jfewshot asr --root LibriSpeech --features simclr:ENCODER --out asr",
        "jfewshot asr --dataset timit --root TIMIT --features simclr:ENCODER --model recurrent --out phones",
        "jfewshot asr --config asr_small --dataset table:mine.csv --root audio --features simclr:ENCODER --out mine",
    )
    HEADINGS: ClassVar = {
        "root": "Data",
        "units": "What is recognised",
        "features": "Encoders",
        "model": "Model",
        "encoder": "Shape of the random encoder",
        "decoder": "Decoder of --model attention_ctc",
        "recurrent": "Layers of --model recurrent",
        "augmentation": "Augmentation",
        "optimiser": "Optimiser",
        "batch": "Training",
        "decode": "Decoding",
        "out": "Output",
    }

    root: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of the dataset as it is published. For --dataset table:PATH, the folder to which the paths of the table are
    relative."""
    dataset: Annotated[str, arg(metavar="NAME")] = "librispeech"
    """Dataset: librispeech, timit (48 phones, scored as 39), timit_words, or table:PATH (a CSV file with the columns path and
    text and, if they are known, speaker and split, which is train, dev or test)."""
    train_parts: Annotated[tuple[str, ...], arg(metavar="PART [PART ...]")] = ()
    """Parts of LibriSpeech to train on. Without this option, train-clean-100."""
    dev_parts: Annotated[tuple[str, ...], arg(metavar="PART [PART ...]")] = ()
    """Parts of LibriSpeech that choose checkpoints. Without this option, dev-clean."""
    test_parts: Annotated[tuple[str, ...], arg(metavar="PART [PART ...]")] = ()
    """Parts of LibriSpeech to test on; each has a row of its own in the report. Without this option, test-clean."""
    n_folds: int | None = None
    """Number of folds of whole speakers, for a table without the column split. Without this option, one fold for each of up
    to 10 speakers, otherwise 5."""
    folds: Annotated[Path | None, arg(metavar="FILE")] = None
    """CSV file with the columns group (speaker) and fold, which says what the folds are, instead of --n-folds."""
    only_folds: tuple[int, ...] = ()
    """Run only these folds, counted from 0. Without this option, all folds."""
    train_share: float = 1.0
    """Train on this share of the training utterances, drawn again for every seed. Several runs with different shares make a
    curve over amounts of data."""
    longest_s: float = 25.0
    """Do not train on utterances longer than this many seconds."""
    leave_out: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Names of utterances to leave out."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do about an utterance that cannot be used, because it is unreadable, too short for its transcript or has an
    unknown character: stop ends the run, skip leaves it out and names it in the log."""
    units: Kind | None = None
    """What is recognised: characters, words (for a small vocabulary), phones, or pieces (of words, found by sentencepiece).
    Without this option, phones for --dataset timit and characters otherwise."""
    n_pieces: int = 1000
    """Number of pieces that sentencepiece finds in the training transcripts; used with --units pieces."""
    sentencepiece: Annotated[Path | None, arg(metavar="FILE")] = None
    """A sentencepiece .model file whose pieces are used, instead of finding pieces in the training transcripts."""
    text: TextForm = "as_is"
    """Form of the transcripts: as_is leaves them unchanged, lower makes all letters small, plain also removes everything but
    letters, digits and apostrophes."""
    characters: str = ""
    """Further characters to know, in addition to those of the training transcripts."""
    features: Annotated[tuple[str, ...], arg(metavar="FEATURES [FEATURES ...]")] = ("random",)
    """Features to train on, one or more of: simclr:FOLDER (an exported encoder; simclr:FOLDER@2 is its layer 2),
    random:FOLDER (an encoder with the shape of an exported one and random weights), random (a random encoder with the shape
    that the --encoder options give), fbank, store:FOLDER (a store of frames of any other upstream)."""
    finetune: bool = True
    """With --model attention_ctc, also train the encoder. Switched off, and always for store: and fbank, the frames stay as
    they are."""
    controls: bool = True
    """Also train on a random encoder with the shape of the first simclr encoder and, where frames stay as they are, on raw
    FBANK."""
    model: Literal["attention_ctc", "recurrent"] = "attention_ctc"
    """Model. attention_ctc: the encoder, CTC and a transformer decoder, trained together. recurrent: bidirectional recurrent
    layers and CTC on frozen frames; its numbers cannot be compared with the paper's Table 2, whose hybrid system needs
    Kaldi."""
    stack: int | None = None
    """Number of neighbouring frozen frames that are joined to one. Without this option, as many as leave at most 40 frames a
    second."""
    ctc_weight: float = 0.3
    """Weight of the CTC loss compared with the attention loss, from 0 to 1."""
    label_smoothing: float = 0.1
    """Share of the target of the attention loss that is spread over all units."""
    encoder: EncoderConfig = field(default_factory=lambda: PAPER_ASR)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    recurrent: RecurrentConfig = field(default_factory=RecurrentConfig)
    augmentation: AugmentationConfig = field(default_factory=lambda: AUGMENTATION)
    n_masks: int = 2
    """Number of time masks and of frequency masks on each training utterance. Widths count frames of 10 ms and mel channels.
    Frozen frames get time masks only."""
    optimiser: OptimiserConfig = field(default_factory=lambda: RECIPE)
    batch: int = 32
    """Number of utterances per step."""
    epochs: int = 50
    """Passes through the training utterances."""
    seeds: int = 3
    """Number of runs of each combination, with the seeds 0, 1, and so on. At least 3 are needed to tell a difference from
    luck."""
    evaluate_every: int = 1
    """Epochs between two scores on the development utterances, each with a checkpoint."""
    average_best: int = 5
    """Number of checkpoints, the best on the development utterances, whose weights are averaged."""
    choose_by: Literal["error", "loss"] = "error"
    """Number on the development utterances that chooses checkpoints: error is the error rate of greedy CTC, loss the loss."""
    buckets: int = 6
    """Number of length groups. Utterances of similar length share a batch, which saves padding; each group needs a
    compilation of its own."""
    threads: int = 4
    """Number of batches that are loaded at a time."""
    devices: int | None = None
    """Use only this many devices. Without this option, all devices."""
    decode: Literal["beam", "greedy"] = "beam"
    """How test utterances are decoded: beam is a search with CTC and attention together, greedy is CTC alone. The report
    shows greedy CTC in either case."""
    beam: BeamConfig = field(default_factory=BeamConfig)
    lm: Annotated[Path | None, arg(metavar="FILE")] = None
    """N-gram language model of units (ARPA, or KenLM's binary format), whose scores are added in the beam search."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("asr")
    """Folder of the experiment, for models, records and the report. Another start with more features or seeds adds to it."""
    keep_checkpoints: bool = False
    """Keep the checkpoints of finished runs. The tested model is kept in OUT/models in either case."""
    baseline: Annotated[str | None, arg(metavar="NAME")] = None
    """Features that the report compares all others with, by their name in its table. Without this option, a random encoder."""
    formats: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")
    """File formats of the report's figures."""
    report_only: bool = False
    """Report the finished runs and train nothing."""
    write_lm_text: Annotated[Path | None, arg(metavar="FILE")] = None
    """Only write the training transcripts to this file and train nothing: one utterance a line, as units, for KenLM's lmplz."""

    def __post_init__(self) -> None:
        counts = ("seeds", "n_masks", "batch", "epochs", "evaluate_every", "average_best", "buckets", "n_pieces")
        for name in counts:
            if getattr(self, name) < (0 if name == "n_masks" else 1):
                raise UserError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least 1")
        if not 0.0 <= self.ctc_weight <= 1.0 or not 0.0 <= self.label_smoothing < 1.0:
            raise UserError("--ctc-weight must be from 0 to 1, --label-smoothing from 0 to under 1")
        if not 0.0 < self.train_share <= 1.0:
            raise UserError(f"--train-share is {self.train_share}; give more than 0 and at most 1")
        if self.ctc_weight == 0.0 and self.model == "attention_ctc" and self.choose_by == "error":
            raise UserError("--ctc-weight 0 leaves greedy CTC untrained: choose checkpoints with --choose-by loss")
        if self.lm is not None and self.decode == "greedy":
            raise UserError("--lm is for the beam search; greedy CTC uses no language model")

    @property
    def unit_kind(self) -> Kind:
        """Kind of the units, which --units or the dataset gives."""
        if self.sentencepiece is not None:
            return "pieces"
        return self.units or ("phones" if self.dataset == "timit" else "characters")


# Options that may change between two starts in one folder: these add runs, or do not change what a run trains.
FREE: tuple[str, ...] = (
    "root",
    "features",
    "dataset",
    "out",
    "controls",
    "seeds",
    "only_folds",
    "folds",
    "write_lm_text",
    "on_error",
    "threads",
    "devices",
    "keep_checkpoints",
    "formats",
    "baseline",
    "report_only",
    "train_share",
    "encoder.remat",
    "encoder.attention",
    "augmentation.noise_folder",
    "augmentation.rooms_folder",
)
DECODING: tuple[str, ...] = ("decode", "lm")
"""Options of decoding, like `beam.*`. If these change, trained models are decoded again and nothing is trained."""
