"""The options of `jfewshot extract`, `estimate`, `upstreams list` and `upstreams check`."""

import dataclasses
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import OmitArgPrefixes, arg

from extraction.datasets.base import Columns
from extraction.settings import DeviceOptions, ExtractionSettings, UpstreamOptions
from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True)
class LoadingOptions(DeviceOptions):
    """How encoders are loaded, as the command line has it."""

    checkpoint: Annotated[tuple[str, ...], arg(metavar="PATH|NAME=PATH [...]")] = ()
    """Weights on this machine, for machines without internet. NAME=PATH is the file (or folder) of the upstream NAME; several
    can be given. PATH alone is the file of the only upstream, or a folder in which each file has the name of its upstream
    (hubert_base.pt). Without this option, an upstream's own download or cache."""

    def for_upstreams(self, names: Sequence[str]) -> UpstreamOptions:
        """What `load_upstream` needs to load these upstreams.

        Raises:
          UserError: a checkpoint of an upstream that is not among the names, or one file for several upstreams.
        """
        own: dict[str, Path] = {}
        shared: list[Path] = []
        for text in self.checkpoint:
            name, equals, path = text.partition("=")
            if equals and name in names:
                own[name] = Path(path)
            elif equals and not Path(text).exists():
                near = difflib.get_close_matches(name, names, n=1) or list(names[:3])
                raise UserError(
                    f"--checkpoint {text}: '{name}' is not among the upstreams of this run; did you mean {' or '.join(near)}?"
                )
            else:
                shared.append(Path(text))
        without = [name for name in names if name not in own]
        if len(shared) > 1 or (shared and len(without) > 1 and not shared[0].is_dir()):
            raise UserError(
                f"--checkpoint FILE is the weights of one upstream, and {len(without)} are named: give NAME=FILE for each, or a "
                "folder in which each file has the name of its upstream (hubert_base.pt)"
            )
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(DeviceOptions)}
        return UpstreamOptions(**fields, checkpoint=shared[0] if shared else None, checkpoints=tuple(own.items()))


@dataclasses.dataclass(frozen=True)
class ExtractOptions:
    """Run encoders over audio datasets and keep the embeddings, each in a store OUT/DATASET/UPSTREAM.

    Each clip is decoded once for all encoders. Finished parts are kept: after an interruption, the same command continues.
    docs/extraction.md explains everything else.
    """

    EXAMPLES: ClassVar = (
        "jfewshot extract --datasets esc50 --upstreams hubert_base wavlm_base --root data --out stores",
        "jfewshot extract --datasets folder:birds --upstreams fbank --root birds --out stores",
        "jfewshot extract --datasets table:clips.csv --upstreams hf:facebook/hubert-base-ls960 --root audio --out stores",
    )
    HEADINGS: ClassVar = {
        "datasets": "What to extract",
        "settings": "What the stores contain",
        "options": "How encoders are loaded",
        "columns": "Columns of tables",
        "at_once": "Machine",
        "shard": "Several processes and machines",
    }

    datasets: Annotated[tuple[str, ...], arg(metavar="DATASET [DATASET ...]")] = ()
    """Datasets, separated by spaces or commas: names such as esc50 or scv2, folder:NAME for a folder with a subfolder per
    class, table:PATH for a CSV or Parquet file, raven:FOLDER, audacity:FOLDER, textgrid:FOLDER, elan:FOLDER or csv:FOLDER for
    annotations of long recordings, hf:FOLDER for what the package datasets saved to disk, lhotse:FILE, kaldi:FOLDER or
    audformat:FOLDER for what these speech toolkits read, module:factory for a dataset of your own, or paper for the ten of the
    few-shot paper."""
    upstreams: Annotated[tuple[str, ...], arg(metavar="UPSTREAM [UPSTREAM ...]")] = ()
    """Encoders, separated by spaces or commas: names that `jfewshot upstreams list` shows, one of a family such as s3prl:NAME
    or hf:ID, module:Class for an encoder of your own, or paper for the 13 of the few-shot paper."""
    root: Annotated[Path, arg(metavar="FOLDER")] = Path("data")
    """Folder that contains a folder for each dataset; with a single dataset, this can also be the dataset's own folder."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("stores")
    """Folder to write the stores to."""
    settings: OmitArgPrefixes[ExtractionSettings] = dataclasses.field(default_factory=ExtractionSettings)
    alter: Annotated[tuple[str, ...], arg(metavar="clean|noise:DB|reverb:PERCENT|band:HZ [...]")] = ()
    """Make altered copies of the datasets, each as a dataset of its own named DATASET@noise_10: noise at a
    signal-to-noise ratio in dB, a room of a scale from 0 to 100, or a band up to a frequency; clean is the dataset itself.
    `jfewshot run --support-from` then draws clean support clips for noisy query clips. Without this option, the datasets as they
    are."""
    noise_from: Annotated[Path | None, arg(metavar="FOLDER|FILE")] = None
    """Recordings of noise for --alter noise:DB: a folder, searched at any depth, or a text file with a path per line. Each clip
    gets a piece that depends on its id; the datasets are then named DATASET@noise_FOLDER_10. Without this option, white, pink and
    brown noise."""
    replace: bool = False
    """Replace stores in the --out folder that were made of other clips or with other settings. A folder that holds any other
    file is never replaced."""
    options: OmitArgPrefixes[LoadingOptions] = dataclasses.field(default_factory=LoadingOptions)
    columns: Annotated[Columns, arg(name="column")] = dataclasses.field(default_factory=Columns)
    at_once: int = 0
    """Number of encoders that are held in memory at a time; each clip is decoded once for all of them. 0 means as many as the
    memory holds."""
    shard: Annotated[str | None, arg(metavar="I/N")] = None
    """Make only share I (from 0 to N-1) of N shares of the parts, for instance 0/4 as one job of a cluster's array of jobs. A
    last command with --merge makes stores of all parts."""
    merge: bool = False
    """Make stores of the parts that jobs with --shard left in the --out folder. Needs neither audio nor encoders, and says
    which parts are missing."""
    replicas: int | None = None
    """Number of processes that each load the encoders and get their share of the cores. With --ray, the number over the whole
    cluster. Without this option, one process; with --ray, one per GPU, or one per CPU (per --threads CPUs) where there is no
    GPU."""
    ray: bool = False
    """Share the parts out over a Ray cluster whose machines have a common disk. Other machines make the parts of a machine that
    fails."""


@dataclasses.dataclass(frozen=True)
class EstimateOptions:
    """Say how long an extraction takes on this machine with each encoder, and how large the stores become.

    Each encoder is loaded and timed for a few seconds. Segments are counted from the headers of some of the audio files where
    a dataset's folder is there, and taken from published counts otherwise. Decoding is not counted: it runs at the same time
    as the encoder.
    """

    EXAMPLES: ClassVar = (
        "jfewshot estimate --datasets esc50 --upstreams hubert_base --root data",
        "jfewshot estimate --tflops 7.8",
    )
    HEADINGS: ClassVar = {"datasets": "What would be extracted", "options": "How encoders are loaded"}

    datasets: Annotated[tuple[str, ...], arg(metavar="DATASET [DATASET ...]")] = ("paper",)
    """Datasets, separated by spaces or commas; `jfewshot extract --help` lists the kinds. paper means the ten of the few-shot
    paper."""
    upstreams: Annotated[tuple[str, ...], arg(metavar="UPSTREAM [UPSTREAM ...]")] = ("paper",)
    """Encoders, separated by spaces or commas; `jfewshot upstreams list` shows the names. paper means the 13 of the few-shot
    paper."""
    root: Annotated[Path, arg(metavar="FOLDER")] = Path("data")
    """Folder that contains a folder for each dataset. Datasets of the paper that are not there are counted as published."""
    tflops: float | None = None
    """Compute the times from the operations that the paper's encoders need and this rate, in 10^12 float32 operations a
    second. This needs neither weights nor audio. Without this option, each encoder is timed."""
    dtype: Literal["float32", "float16"] = "float16"
    """Number format of the stored embeddings, for the size of the stores."""
    seconds: float = 3.0
    """How long each encoder is timed, in seconds."""
    options: OmitArgPrefixes[LoadingOptions] = dataclasses.field(default_factory=LoadingOptions)


@dataclasses.dataclass(frozen=True)
class ListOptions:
    """List the encoders that can be named, each with what it is, or search them by words."""

    EXAMPLES: ClassVar = ("jfewshot upstreams list", "jfewshot upstreams list hubert large")
    HEADINGS: ClassVar = {"words": "What is searched"}

    words: Annotated[tuple[str, ...], tyro.conf.Positional, arg(metavar="[WORD ...]")] = ()
    """Words that an encoder's name or description must contain, in any case. With words, the encoders of all installed packages
    are searched too: s3prl, mteb, perch-hoplite, avex and packages with HEAR's API. Without words, the list has all names but
    those."""


@dataclasses.dataclass(frozen=True)
class CheckOptions:
    """Load encoders and run a second of sound through each: do its files exist, does it keep the interface's promises?

    Weights that are missing are downloaded into the cache, so this also prepares machines without internet. Exits with 1 if
    an encoder fails.
    """

    EXAMPLES: ClassVar = (
        "jfewshot upstreams check hubert_base tera_960hr",
        "jfewshot upstreams check paper --checkpoint weights",
    )
    HEADINGS: ClassVar = {"options": "How encoders are loaded"}

    names: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Encoders, as `jfewshot upstreams list` names them. paper means the 13 of the few-shot paper, and
    MT-SLVR, with which it compares them, where its file is given."""
    options: OmitArgPrefixes[LoadingOptions] = dataclasses.field(default_factory=LoadingOptions)
