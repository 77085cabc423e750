"""An experiment's settings: the command line's flags."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jfewshot.downstream.asr.beam import BeamConfig
from jfewshot.downstream.asr.decoder import DecoderConfig
from jfewshot.downstream.asr.recurrent import RecurrentConfig
from jfewshot.downstream.asr.units import Kind, TextForm
from jfewshot.errors import UserError
from jfewshot.simclr.augmentation import AugmentationConfig
from jfewshot.simclr.encoder import PAPER_ASR, EncoderConfig
from jfewshot.training.config import OptimiserConfig

# Speed and noise, as in pretraining; pitch and reverberation are switched on by option.
AUGMENTATION = AugmentationConfig(pitch=False, reverb=False)
RECIPE = OptimiserConfig("noam", 1.0, 8000, weight_decay=0.0)


@dataclass(frozen=True)
class AsrConfig:
    """Speech recognition on an encoder: attention-CTC that starts from it, or recurrent CTC on its frozen frames.

    Examples:
      python -m jfewshot.downstream.asr --root LibriSpeech --features simclr:ENCODER --out asr
      python -m jfewshot.downstream.asr --dataset timit --root TIMIT --features simclr:ENCODER --model recurrent --out phones
      python -m jfewshot.downstream.asr --dataset table:mine.csv --root audio --features simclr:ENCODER --out mine

    A random encoder of the first one's shape runs beside. Kill it whenever you like; the same command continues it.
    Report: OUT/report/index.html. docs/asr.md walks from a checkpoint to the table.
    """

    root: Path
    """The dataset's folder as published; for table:PATH, the folder that its paths are below."""
    features: tuple[str, ...] = ("random",)
    """simclr:FOLDER (an exported encoder; @2 for its layer 2), random:FOLDER (its shape, freshly drawn), random (the
    shape of --encoder), fbank, store:FOLDER (any other upstream's frames)."""
    dataset: str = "librispeech"
    """librispeech, timit (48 phones, scored as 39), timit_words, or table:PATH (a CSV with path and text, and if known
    speaker and split: train, dev, test)."""
    out: Path = Path("asr")
    """Folder of the experiment: models, records, report. Another start with more features or seeds adds to it."""
    model: Literal["attention_ctc", "recurrent"] = "attention_ctc"
    """attention_ctc: the encoder, CTC and a transformer decoder, trained jointly. recurrent: bidirectional layers under
    CTC on frozen frames; not comparable with the paper's Table 2, whose hybrid needs Kaldi."""
    finetune: bool = True
    """attention_ctc: train the encoder too. Off (and always for store: and fbank): on its frozen frames."""
    controls: bool = True
    """A random encoder of the first simclr encoder's shape beside; where frames are frozen, raw FBANK too."""
    seeds: int = 3
    """Runs of everything, with seeds 0, 1, ...; at least 3 tell a difference from luck."""
    units: Kind | None = None
    """characters, words (a small vocabulary), phones, or pieces (sentencepiece's). None: phones for timit, else
    characters."""
    n_pieces: int = 1000
    """How many sentencepiece should find in the training transcripts."""
    sentencepiece: Path | None = None
    """Instead: a sentencepiece .model file."""
    text: TextForm = "as_is"
    """Transcripts as_is, in small letters (lower), or small letters, digits and apostrophes alone (plain)."""
    characters: str = ""
    """Characters that are known beside those of the training transcripts."""
    train_parts: tuple[str, ...] = ()
    """LibriSpeech: train-clean-100 by default."""
    dev_parts: tuple[str, ...] = ()
    """LibriSpeech: dev-clean by default."""
    test_parts: tuple[str, ...] = ()
    """LibriSpeech: test-clean by default; each part has its own row in the report."""
    n_folds: int | None = None
    """A table without split: folds of whole speakers; None: one each for up to 10, else 5."""
    folds: Path | None = None
    """Instead: a CSV with the columns group (speaker) and fold."""
    only_folds: tuple[int, ...] = ()
    """Run only these folds, counted from 0; none for all."""
    train_share: float = 1.0
    """Train on this share of the training utterances, drawn anew for every seed: for curves over amounts of data."""
    longest_s: float = 25.0
    """Longer utterances are not trained on."""
    encoder: EncoderConfig = field(default_factory=lambda: PAPER_ASR)
    """Shape of `random`; the paper's variant for recognition."""
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """Of attention_ctc."""
    recurrent: RecurrentConfig = field(default_factory=RecurrentConfig)
    """Of recurrent."""
    stack: int | None = None
    """Frozen frames that are joined to one; None: to at most 40 a second."""
    ctc_weight: float = 0.3
    """Of CTC in the loss, beside attention."""
    label_smoothing: float = 0.1
    """Share of the attention's target that is spread over all units."""
    augmentation: AugmentationConfig = field(default_factory=lambda: AUGMENTATION)
    """Of training utterances: speed, noise, pitch, reverberation (where an encoder learns), SpecAugment's masks. The
    alteration is pretraining's and not used."""
    n_masks: int = 2
    """Of each kind. Widths are in 10-ms frames and mel channels; on frozen frames time alone is masked."""
    optimiser: OptimiserConfig = field(default_factory=lambda: RECIPE)
    """How it learns. Noam's width is the decoder's."""
    batch: int = 32
    """Utterances per step."""
    epochs: int = 50
    """Passes through the training utterances."""
    evaluate_every: int = 1
    """Epochs between development scores, each with a checkpoint."""
    average_best: int = 5
    """Checkpoints with the best development scores that are averaged."""
    choose_by: Literal["error", "loss"] = "error"
    """Development number that chooses checkpoints: error rate of greedy CTC, or the loss."""
    buckets: int = 6
    """Utterances of like length share a batch; each bucket is a padded size and one compilation."""
    decode: Literal["beam", "greedy"] = "beam"
    """Of the test utterances: joint beam search, or greedy CTC alone (which is reported beside either way)."""
    beam: BeamConfig = field(default_factory=BeamConfig)
    """The search."""
    lm: Path | None = None
    """An n-gram model of units (ARPA or KenLM's binary), for shallow fusion in the beam."""
    write_lm_text: Path | None = None
    """Only write the training transcripts as units, a line each, for KenLM's lmplz."""
    leave_out: tuple[str, ...] = ()
    """Names of utterances that are not used."""
    on_error: Literal["stop", "skip"] = "stop"
    """An utterance that cannot be used (unreadable, too short for its transcript, an unknown character) ends the run,
    or is skipped and named."""
    threads: int = 4
    """Batches loaded at a time."""
    devices: int | None = None
    """Use this many devices; None: all there are."""
    keep_checkpoints: bool = False
    """Keep those of finished runs; the model that was tested is kept either way (OUT/models)."""
    formats: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")
    """Of the report's figures."""
    baseline: str | None = None
    """Features that the report compares all others with, by their name in its table; None: a random encoder."""
    report_only: bool = False
    """Report what is there, train nothing."""

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
            raise UserError("--lm is for the beam search; greedy CTC uses none")

    @property
    def unit_kind(self) -> Kind:
        """What is recognised."""
        if self.sentencepiece is not None:
            return "pieces"
        return self.units or ("phones" if self.dataset == "timit" else "characters")


# What may change between two starts in one folder: it adds runs, or changes nothing that is trained.
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
)
DECODING: tuple[str, ...] = ("decode", "lm")
"""These, and `beam.*`, concern a trained model: another choice decodes again and trains nothing."""
