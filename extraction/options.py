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
    """Options for loading encoders, in the form of the command line."""

    checkpoint: Annotated[tuple[str, ...], arg(metavar="PATH|NAME=PATH [...]")] = ()
    """Weights on this machine, for machines without internet. NAME=PATH is the file (or folder) of the upstream NAME; several
    can be given. PATH alone is the file of the only upstream, or a folder in which each file has the name of its upstream
    (hubert_base.pt). Without this option, an upstream's own download or cache."""

    def for_upstreams(self, names: Sequence[str]) -> UpstreamOptions:
        """Make the options that `load_upstream` needs for these upstreams.

        Raises:
          UserError: if a checkpoint is for an upstream that is not among the names, or if one file is for several upstreams.
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
    audformat:FOLDER for files of these speech toolkits, module:factory for a dataset of your own, or paper for the ten datasets
    of the few-shot paper."""
    upstreams: Annotated[tuple[str, ...], arg(metavar="UPSTREAM [UPSTREAM ...]")] = ()
    """Encoders, separated by spaces or commas: names that `jfewshot upstreams list` shows, a name in a family such as s3prl:NAME
    or hf:ID, module:Class for an encoder of your own, or paper for the 13 encoders of the few-shot paper."""
    root: Annotated[Path, arg(metavar="FOLDER")] = Path("data")
    """Folder that contains a folder for each dataset; with a single dataset, this can also be the dataset's own folder."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("stores")
    """Folder for the stores."""
    settings: OmitArgPrefixes[ExtractionSettings] = dataclasses.field(default_factory=ExtractionSettings)
    alter: Annotated[tuple[str, ...], arg(metavar="clean|noise:DB|reverb:PERCENT|band:HZ [...]")] = ()
    """Make altered copies of the datasets, each as a separate dataset with a name such as DATASET@noise_10: noise at a
    signal-to-noise ratio in dB, a room of a scale from 0 to 100, or a band up to a frequency; clean is the dataset itself.
    `jfewshot run --support-from` can then draw clean support clips for noisy query clips. Without this option, datasets are not
    altered."""
    noise_from: Annotated[Path | None, arg(metavar="FOLDER|FILE")] = None
    """Recordings of noise for --alter noise:DB: a folder, searched at any depth, or a text file with a path per line. Each clip
    gets a piece that depends on its id. The datasets are then named DATASET@noise_FOLDER_10. Without this option, the noise is
    white, pink and brown."""
    replace: bool = False
    """Replace stores in the --out folder that were made of other clips or with other settings. A folder that holds any other
    file is never replaced."""
    options: OmitArgPrefixes[LoadingOptions] = dataclasses.field(default_factory=LoadingOptions)
    columns: Annotated[Columns, arg(name="column")] = dataclasses.field(default_factory=Columns)
    at_once: int = 0
    """Number of encoders in memory at a time; each clip is decoded once for all of them. 0 means as many as fit in the memory."""
    shard: Annotated[str | None, arg(metavar="I/N")] = None
    """Make only share I (from 0 to N-1) of N shares of the parts, for instance 0/4 as one job of a cluster's array of jobs. A
    last command with --merge makes the stores from all parts."""
    merge: bool = False
    """Make stores from the parts that jobs with --shard left in the --out folder. Needs neither audio nor encoders, and reports
    missing parts."""
    replicas: int | None = None
    """Number of processes. Each loads the encoders and uses its share of the cores. With --ray, the number in the whole cluster.
    Without this option, one process; with --ray, one per GPU, or without GPUs one per CPU (per --threads CPUs)."""
    ray: bool = False
    """Divide the parts among the machines of a Ray cluster, which have a common disk. If a machine fails, other machines make its
    parts."""


@dataclasses.dataclass(frozen=True)
class EstimateOptions:
    """Estimate how long an extraction takes on this machine with each encoder, and how large the stores become.

    Each encoder is loaded and timed for a few seconds. Segments are counted from the headers of some of the audio files if
    the dataset's folder exists, and otherwise taken from published counts. Decoding is not counted: it runs at the same time
    as the encoder.
    """

    EXAMPLES: ClassVar = (
        "jfewshot estimate --datasets esc50 --upstreams hubert_base --root data",
        "jfewshot estimate --tflops 7.8",
    )
    HEADINGS: ClassVar = {"datasets": "What would be extracted", "options": "How encoders are loaded"}

    datasets: Annotated[tuple[str, ...], arg(metavar="DATASET [DATASET ...]")] = ("paper",)
    """Datasets, separated by spaces or commas; `jfewshot extract --help` lists the kinds. paper means the ten datasets of the
    few-shot paper."""
    upstreams: Annotated[tuple[str, ...], arg(metavar="UPSTREAM [UPSTREAM ...]")] = ("paper",)
    """Encoders, separated by spaces or commas; `jfewshot upstreams list` shows the names. paper means the 13 encoders of the
    few-shot paper."""
    root: Annotated[Path, arg(metavar="FOLDER")] = Path("data")
    """Folder that contains a folder for each dataset. For datasets of the paper without a folder, published counts are used."""
    tflops: float | None = None
    """Compute the times from the numbers of operations of the paper's encoders, and this rate in 10^12 float32 operations per
    second. This needs neither weights nor audio. Without this option, each encoder is timed."""
    dtype: Literal["float32", "float16"] = "float16"
    """Number format of the stored embeddings, which determines the size of the stores."""
    seconds: float = 3.0
    """Duration for which each encoder is timed, in seconds."""
    options: OmitArgPrefixes[LoadingOptions] = dataclasses.field(default_factory=LoadingOptions)


@dataclasses.dataclass(frozen=True)
class ListOptions:
    """List the names of encoders, each with a description, or search them by words."""

    EXAMPLES: ClassVar = ("jfewshot upstreams list", "jfewshot upstreams list hubert large")
    HEADINGS: ClassVar = {"words": "What is searched"}

    words: Annotated[tuple[str, ...], tyro.conf.Positional, arg(metavar="[WORD ...]")] = ()
    """Words that an encoder's name or description must contain; upper and lower case are equal. With words, the encoders of all
    installed packages are searched too: s3prl, mteb, perch-hoplite, avex and packages with HEAR's API. Without words, the list
    has all names except these."""


@dataclasses.dataclass(frozen=True)
class CheckOptions:
    """Load encoders and run a second of sound through each. This checks that their files exist and that the interface works.

    Missing weights are downloaded into the cache, so this also prepares machines without internet. The exit status is 1 if an
    encoder fails.
    """

    EXAMPLES: ClassVar = (
        "jfewshot upstreams check hubert_base tera_960hr",
        "jfewshot upstreams check paper --checkpoint weights",
    )
    HEADINGS: ClassVar = {"options": "How encoders are loaded"}

    names: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Encoders, as `jfewshot upstreams list` names them. paper means the 13 encoders of the few-shot paper, and, if its file is
    given, MT-SLVR, with which the paper compares them."""
    options: OmitArgPrefixes[LoadingOptions] = dataclasses.field(default_factory=LoadingOptions)
