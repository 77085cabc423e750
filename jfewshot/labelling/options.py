"""The options of `jfewshot label next` and `jfewshot label compare`."""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import arg


@dataclasses.dataclass(frozen=True)
class LabelNextOptions:
    """Choose which clips to label next, and write them as a CSV file with the columns path, order and reason.

    The clips without a class in the store are candidates (`jfewshot store create --unlabelled` keeps such clips). Clips that have
    a class already, in the store or in --labels, are taken into account: new clips are not chosen next to them.
    """

    EXAMPLES: ClassVar = (
        "jfewshot label next stores/birds/yamnet --budget 20 --out next.csv",
        "jfewshot label next stores/birds/yamnet --budget 20 --labels labels.csv --by margin --out next.csv",
    )
    HEADINGS: ClassVar = {"store": "Which clips", "by": "How they are chosen", "out": "Output"}

    store: Annotated[Path, tyro.conf.Positional]
    """Folder of the store."""
    budget: int = 20
    """Number of clips to choose."""
    labels: Annotated[Path | None, arg(metavar="FILE")] = None
    """CSV file with the columns path (or clip_id) and class (or label): labels that the store does not have yet, for instance
    the file of the last call with a column class added. Rows without a class are left out. Without this option, the labels of
    the store alone."""
    view: Annotated[str | None, arg(metavar="LAYER.POOLING")] = None
    """Which array of the store. Without this option, last.mean, or a store's only view."""
    by: Literal["kmedoids", "kcentre", "margin", "random"] = "kmedoids"
    """Way of choosing: kmedoids takes clips that lie in the middle of many others; kcentre takes the clips that are farthest from
    all labelled ones; margin takes the clips about which a classifier trained on the labelled clips is least sure; random draws
    clips."""
    preprocessing: Literal["none", "l2"] = "l2"
    """Change the embeddings first: l2 scales each to length 1."""
    seed: int = 42
    """Number that determines the draw of --by random."""
    out: Annotated[Path, arg(metavar="FILE")] = Path("label_next.csv")
    """CSV file to write."""
    replace: bool = False
    """Replace the file if it is there."""


@dataclasses.dataclass(frozen=True)
class LabelCompareOptions:
    """Measure what a choice of the clips to label gains over labelling clips at random.

    In each repetition some clips, whole groups of them, are held out throughout. The others are labelled up to each budget in the
    order in which a method chooses them, a ridge classifier is trained on them, and all clips that are held out are asked. A
    class that has no label yet is always an error. Prints a table for each dataset and draws one figure.
    """

    EXAMPLES: ClassVar = (
        "jfewshot label compare --datasets esc10 --upstreams yamnet",
        "jfewshot label compare --stores stores --budgets 10 20 40 80 --repeats 1000",
    )
    HEADINGS: ClassVar = {
        "stores": "Which embeddings",
        "by": "What is compared",
        "repeats": "Repetitions",
        "out": "Output",
    }

    stores: tuple[Path, ...] = ()
    """Folders of stores, or folders that contain such folders at any depth. Without this option, the sample stores."""
    datasets: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Evaluate only the stores of these datasets. Without this option, all datasets."""
    upstreams: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Evaluate only the stores of these upstreams (encoders). Without this option, all upstreams."""
    by: tuple[Literal["kmedoids", "kcentre", "margin"], ...] = ("kmedoids", "kcentre", "margin")
    """Ways of choosing to compare with random labels: see `jfewshot label next --help`."""
    budgets: tuple[int, ...] = (5, 10, 20, 50)
    """Numbers of labels, of all classes together. The first one is also what margin begins with, at random."""
    batch: int = 5
    """Number of clips that margin labels before the classifier is trained again."""
    preprocessing: Literal["none", "l2"] = "l2"
    """Change the embeddings first: l2 scales each to length 1."""
    repeats: int = 200
    """Number of repetitions, each with other clips held out. All methods and encoders get the same ones."""
    held_out: float = 0.5
    """Share of the clips that is held out."""
    group_aware: bool = True
    """Hold out whole groups (speaker, recording, site), where clips have groups."""
    seed: int = 42
    """Number that determines which clips are held out, and the random order of the others."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("results/labels")
    """Folder for the tables, label_compare.json and the figure."""
    formats: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")
    """File formats of the figure."""
    compile_cache: bool = True
    """Keep compiled code in the user's cache folder, so that the next run starts faster."""
