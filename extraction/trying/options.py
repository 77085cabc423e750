"""The options of `jfewshot try`. Imports neither NumPy nor JAX, so that `--help` is fast."""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from tyro.conf import arg

from extraction.datasets.base import Columns


@dataclasses.dataclass(frozen=True)
class TryOptions:
    """Find out which encoder suits your recordings, how sure that is, and how many labels are enough.

    Checks the recordings, computes embeddings with every installed encoder that needs no download, evaluates them with few
    labels per class, and shows the answer here and on one page. Needs no torch: pip install 'jfewshot[audio]'. Finished steps
    are kept in the --out folder, so the same command continues after an interruption.
    """

    EXAMPLES: ClassVar = (
        "jfewshot try birds",
        "jfewshot try birds --quick",
        "jfewshot try birds-2024 --also birds-2025 --out try-birds",
        "jfewshot try clips.csv --root recordings --group-from 1",
    )
    HEADINGS: ClassVar = {
        "also": "What is tried",
        "group_from": "Groups and classes",
        "out": "Output",
        "columns": "Columns of tables",
    }

    folder: Annotated[Path, tyro.conf.Positional]
    """A folder with one folder per class (FOLDER/CLASS/CLIP.wav), or a CSV, TSV or Parquet table with the columns path and
    label."""
    also: Annotated[tuple[Path, ...], arg(metavar="FOLDER [FOLDER ...]")] = ()
    """More folders with a folder per class, merged with FOLDER: folders with the same name are one class. Without this option,
    only FOLDER is used."""
    root: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder that the paths of a table are relative to. Without this option, the table's own folder."""
    upstreams: Annotated[tuple[str, ...], arg(metavar="UPSTREAM [UPSTREAM ...]")] = ()
    """Encoders to try, as `jfewshot upstreams list` names them. Without this option, every installed encoder that needs no
    download: FBANK, MFCC, the encoder that ships with jfewshot, and those of the extra samples."""
    hub: bool = False
    """Also try three encoders of the Hugging Face hub, HuBERT Base, WavLM Base Plus and Whisper Base, which are downloaded into
    its cache (about 1 GB). Needs pip install 'jfewshot[huggingface]'. Encoders that cannot be downloaded are named and left
    out."""
    quick: bool = False
    """Evaluate fewer episodes, only at 1, 5 and 10 labels. The intervals are wider."""
    segment: Annotated[str, arg(metavar="upstream|whole|SECONDS")] = "upstream"
    """Length of the pieces into which clips are cut. upstream is the encoder's own length (5 s), to which shorter clips are
    repeated; whole takes each clip as one piece of its own length."""
    classifiers: Annotated[tuple[str, ...], arg(metavar="NAME[:SETTING=VALUE] [...]")] = ("ridge:alpha=auto",)
    """Classifiers to train on the labelled clips, as in `jfewshot run`. With several, the page shows all of them."""
    group_from: Annotated[str | None, arg(metavar="N|PATTERN")] = None
    """Make groups (speakers, sites, recordings) from file names, and never test on a clip whose group was trained on. A number N
    takes the N-th part of the file name, where parts are runs of letters or of digits. Anything else is a regular expression
    with one pair of parentheses around the group, searched for in the path below FOLDER. Without this option, groups are the
    subfolders of the class folders, or a table's column group."""
    group_aware: bool | None = None
    """Keep groups apart in every episode. Without this option, groups are kept apart if there are any and the classes allow
    it."""
    min_clips: int | None = None
    """Leave out classes with fewer clips than this number. Without this option, 10, or fewer if 10 would leave fewer than 5
    classes."""
    drop_copies: bool = False
    """Leave out recordings that are identical to another one: all but the first, or all of them if they are in different
    classes."""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder for the page, the embeddings and the results. Without this option, try-NAME in the current folder, where NAME is
    the name of FOLDER."""
    episodes: int | None = None
    """Number of episodes for each encoder and number of labels. Without this option, 600, or 300 with --quick."""
    workers: int | None = None
    """Processes that decode audio ahead of the encoders; 0 decodes in the main process. Without this option, one for each core
    but one, at most 16."""
    columns: Annotated[Columns, arg(name="column")] = dataclasses.field(default_factory=Columns)
