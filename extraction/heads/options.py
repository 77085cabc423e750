"""The options of `jfewshot fit` and `jfewshot apply`. Loads neither NumPy nor JAX, so that `--help` is quick."""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import OmitArgPrefixes, arg

from extraction.datasets.base import Columns
from extraction.options import LoadingOptions


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """Fit a classifier on all labelled clips, and say how accurate it will be on new ones.

    Writes a folder, the head, that `jfewshot apply` labels recordings with. Encoder and classifier are those that `jfewshot try`
    recommended; without a try, `fit` makes one first. Needs no torch: pip install 'jfewshot[audio]'.
    """

    EXAMPLES: ClassVar = (
        "jfewshot fit birds --from try-birds --out birds-head",
        "jfewshot fit birds",
        "jfewshot fit stores/birds/hubert_base --classifier ridge:alpha=auto --out birds-head",
    )
    HEADINGS: ClassVar = {
        "from_try": "What is fitted",
        "also": "Clips, groups and classes",
        "out": "Output",
        "columns": "Columns of tables",
    }

    source: Annotated[Path, tyro.conf.Positional]
    """A folder with one folder per class, a table with the columns path and label, or a store of embeddings."""
    from_try: Annotated[Path | None, arg(name="from", metavar="TRY_FOLDER")] = None
    """Folder that `jfewshot try` wrote. Its best encoder, its classifier and its view are taken. Without this option, a folder or
    table is tried first, in the folder try-NAME; of a store, the views are evaluated with ridge, centroid and knn."""
    classifier: Annotated[str | None, arg(metavar="NAME[:SETTING=VALUE]")] = None
    """Classifier to fit: ridge, logistic, svm, centroid or knn, with one strength or auto. Without this option, the recommended
    one."""
    view: str | None = None
    """Array of the store to fit on, <layer>.<pooling>. Without this option, the recommended one."""
    preprocessing: Literal["l2", "none"] = "l2"
    """What is done to embeddings first: l2 divides each one by its length, as the evaluation does."""
    upstream: Annotated[str | None, arg(metavar="UPSTREAM")] = None
    """How the encoder of a store is loaded, as `jfewshot upstreams list` has it; for a store of hf:ID, for instance. Without this
    option, by the name that the store has for the encoder."""
    quick: bool = False
    """Where a try is made first, make it as with `jfewshot try --quick`."""
    also: Annotated[tuple[Path, ...], arg(metavar="FOLDER [FOLDER ...]")] = ()
    """More folders with a folder per class, merged with SOURCE. Without this option, those of the try."""
    root: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder that the paths of a table are relative to. Without this option, the table's own folder."""
    group_from: Annotated[str | None, arg(metavar="N|PATTERN")] = None
    """Make groups from file names, as `jfewshot try --group-from`. Without this option, as the try did."""
    min_clips: int | None = None
    """Leave out classes with fewer clips than this number, 2 at least. Without this option, a class with one clip is an error."""
    keep: float = 0.9
    """Share of the labelled clips that keep their class when the threshold for unknown sounds is applied."""
    new_clips: Annotated[tuple[int, ...], arg(metavar="NUMBER [NUMBER ...]")] = (20, 50, 100)
    """Numbers of new clips to say the expected accuracy for."""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder for the head. Without this option, head-NAME in the current folder."""
    replace: bool = False
    """Replace a head that stands in the --out folder. A folder that holds any other file is never replaced."""
    workers: int | None = None
    """Processes that decode audio ahead of the encoder; 0 decodes in the main process. Without this option, one for each core
    but one, at most 16."""
    columns: Annotated[Columns, arg(name="column")] = dataclasses.field(default_factory=Columns)


@dataclasses.dataclass(frozen=True)
class ApplyOptions:
    """Label recordings with a head that `jfewshot fit` wrote: each window gets its class with a score, or is unknown.

    A window is the encoder's segment (5 s mostly), so a short clip is one window. Finished parts are kept: after an interruption,
    the same command continues. A head is no detector: docs/heads_in_use.md says what to expect of it.
    """

    EXAMPLES: ClassVar = (
        "jfewshot apply birds-head recordings --out labels",
        "jfewshot apply birds-head dawn.wav --hop-s 2.5 --merge --formats csv raven audacity --out labels",
    )
    HEADINGS: ClassVar = {
        "per": "What is labelled",
        "threshold": "Labels",
        "out": "Output",
        "upstream": "How the encoder is loaded",
    }

    head: Annotated[Path, tyro.conf.Positional]
    """Folder that `jfewshot fit` wrote."""
    recordings: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Audio files, and folders with audio files in them or below."""
    per: Literal["window", "clip"] = "window"
    """What gets a label: each window, or each file as a whole. Of a file, the mean embedding of its segments is scored."""
    window_s: Annotated[float | None, arg(metavar="SECONDS")] = None
    """Length of a window. Without this option, the segment that the head was fitted on. A shorter window is repeated to that
    length, as short clips are; a longer one is cut into segments, and their mean embedding is scored."""
    hop_s: Annotated[float | None, arg(metavar="SECONDS")] = None
    """Time from the beginning of one window to that of the next. Without this option, the length of a window."""
    threshold: Annotated[str, arg(metavar="head|none|NUMBER")] = "head"
    """Windows whose highest score exceeds the second highest by less than this are called unknown. head takes the threshold that
    the fit chose, none gives every window a class. A window whose samples are all the same (silence) is always unknown."""
    merge: bool = False
    """Write neighbouring windows of one class as one stretch. Each window then stands for the hop around its middle."""
    all_scores: bool = False
    """Write the score of every class to the CSV, a column for each."""
    formats: tuple[Literal["csv", "raven", "audacity"], ...] = ("csv",)
    """What to write: csv for one table of all windows; raven and audacity for a file of each recording, without its unknown
    windows."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do about a file that cannot be read: stop ends the run, skip leaves it out and lists it with the reason."""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder for the labels. Without this option, labels-HEAD in the current folder."""
    replace: bool = False
    """Replace labels that were made with another head, other recordings or other options."""
    workers: int | None = None
    """Processes that decode audio ahead of the encoder; 0 decodes in the main process. Without this option, one for each core
    but one, at most 16."""
    upstream: Annotated[str | None, arg(metavar="UPSTREAM")] = None
    """How the encoder is loaded, such as simclr:FOLDER where its folder has moved. Without this option, as it was when the head
    was fitted."""
    options: OmitArgPrefixes[LoadingOptions] = dataclasses.field(default_factory=LoadingOptions)
