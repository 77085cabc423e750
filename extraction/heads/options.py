"""The options of `jfewshot fit` and `jfewshot apply`. Imports neither NumPy nor JAX, so that `--help` is fast."""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import OmitArgPrefixes, arg

from extraction.datasets.base import Columns
from extraction.options import LoadingOptions


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """Fit a classifier on all labelled clips, and estimate its accuracy on new clips.

    Writes a folder, the head, with which `jfewshot apply` labels recordings. Encoder and classifier are those that `jfewshot try`
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
    """Folder that `jfewshot try` wrote. The head gets its best encoder, classifier and view. Without this option, `fit` first
    tries a folder or table, in the folder try-NAME; for a store, it evaluates the views with ridge, centroid and knn."""
    classifier: Annotated[str | None, arg(metavar="NAME[:SETTING=VALUE]")] = None
    """Classifier to fit: ridge, logistic, svm, centroid or knn, with one strength or auto. Without this option, the recommended
    classifier."""
    view: str | None = None
    """Array of the store on which to fit, <layer>.<pooling>. Without this option, the recommended array."""
    preprocessing: Literal["l2", "none"] = "l2"
    """Preprocessing of the embeddings: l2 divides each embedding by its length, as the evaluation does; none does nothing."""
    upstream: Annotated[str | None, arg(metavar="UPSTREAM")] = None
    """Name with which to load the encoder of a store, as `jfewshot upstreams list` shows it, for instance hf:ID. Without this
    option, the encoder's name in the store."""
    quick: bool = False
    """If `fit` makes a try, make it as with `jfewshot try --quick`."""
    also: Annotated[tuple[Path, ...], arg(metavar="FOLDER [FOLDER ...]")] = ()
    """More folders with a folder per class, merged with SOURCE. Without this option, the folders of the try."""
    root: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder that the paths of a table are relative to. Without this option, the table's own folder."""
    group_from: Annotated[str | None, arg(metavar="N|PATTERN")] = None
    """Make groups from file names, as `jfewshot try --group-from` does. Without this option, as in the try."""
    min_clips: int | None = None
    """Leave out classes with fewer clips than this number, which must be at least 2. Without this option, a class with one clip
    is an error."""
    keep: float = 0.9
    """Share of the labelled clips that keep their class when the threshold for unknown sounds is applied."""
    new_clips: Annotated[tuple[int, ...], arg(metavar="NUMBER [NUMBER ...]")] = (20, 50, 100)
    """Numbers of new clips for which to state the expected accuracy."""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder for the head. Without this option, head-NAME in the current folder."""
    replace: bool = False
    """Replace a head in the --out folder. A folder with any other file is never replaced."""
    workers: int | None = None
    """Processes that decode audio ahead of the encoder; 0 decodes in the main process. Without this option, one for each core
    but one, at most 16."""
    columns: Annotated[Columns, arg(name="column")] = dataclasses.field(default_factory=Columns)


@dataclasses.dataclass(frozen=True)
class ApplyOptions:
    """Label recordings with a head that `jfewshot fit` wrote: each window gets its class with a score, or is unknown.

    A window is as long as the encoder's segment (mostly 5 s), so a short clip is one window. Finished parts are kept: after an
    interruption, the same command continues. A head is no detector: docs/heads_in_use.md says what to expect of it.
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
    """Audio files, and folders that contain audio files, also in subfolders."""
    per: Literal["window", "clip"] = "window"
    """Unit that gets a label: each window, or each file as a whole. For a file, the mean embedding of its segments is scored."""
    window_s: Annotated[float | None, arg(metavar="SECONDS")] = None
    """Length of a window. Without this option, the length of the segments on which the head was fitted. A shorter window is
    repeated to that length, as short clips are. A longer window is cut into segments, and their mean embedding is scored."""
    hop_s: Annotated[float | None, arg(metavar="SECONDS")] = None
    """Time from the beginning of one window to that of the next. Without this option, the length of a window."""
    threshold: Annotated[str, arg(metavar="head|none|NUMBER")] = "head"
    """A window is called unknown if its highest score exceeds the second highest by less than this value. head takes the
    threshold that the fit chose, none gives every window a class. A window whose samples are all the same (silence) is always
    unknown."""
    merge: bool = False
    """Write neighbouring windows of one class as one stretch. Each window then labels the hop around its middle."""
    all_scores: bool = False
    """Write the scores of all classes to the CSV, one column per class."""
    formats: tuple[Literal["csv", "raven", "audacity"], ...] = ("csv",)
    """Files to write: csv for one table of all windows; raven and audacity for one file per recording, without its unknown
    windows."""
    on_error: Literal["stop", "skip"] = "stop"
    """Reaction to a file that cannot be read: stop ends the run, skip leaves the file out and lists it with the reason."""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder for the labels. Without this option, labels-HEAD in the current folder."""
    replace: bool = False
    """Replace labels that were made with another head, other recordings or other options."""
    workers: int | None = None
    """Processes that decode audio ahead of the encoder; 0 decodes in the main process. Without this option, one for each core
    but one, at most 16."""
    upstream: Annotated[str | None, arg(metavar="UPSTREAM")] = None
    """Name with which to load the encoder, for instance simclr:FOLDER after its folder has moved. Without this option, the name
    that was used when the head was fitted."""
    options: OmitArgPrefixes[LoadingOptions] = dataclasses.field(default_factory=LoadingOptions)
