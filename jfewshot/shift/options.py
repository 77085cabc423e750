"""The options of `jfewshot shift`."""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import arg


@dataclasses.dataclass(frozen=True)
class ShiftOptions:
    """Compare accuracy with support clips of the same speaker or site as the query clips and of others.

    The query clips come from one speaker (site, microphone) at a time. For the same query clips, the support clips come from the
    same speaker, from another speaker, from all others together, and from all speakers. Prints a table for each dataset and draws
    one figure.
    """

    EXAMPLES: ClassVar = (
        "jfewshot shift --datasets fsdd_digits --shots 5",
        "jfewshot shift --stores stores --by group site --shots 5 --out results/shift",
    )
    HEADINGS: ClassVar = {
        "stores": "Which embeddings",
        "by": "What is compared",
        "ways": "Episodes",
        "classifiers": "Classifier and preprocessing",
        "out": "Output",
        "memory_gb": "Machine",
    }

    stores: tuple[Path, ...] = ()
    """Folders of stores, or folders that contain such folders at any depth. Without this option, the sample stores."""
    datasets: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Evaluate only the stores of these datasets. Without this option, all datasets whose clips have the columns."""
    upstreams: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Evaluate only the stores of these upstreams (encoders). Without this option, all upstreams."""
    by: Annotated[tuple[str, ...], arg(metavar="COLUMN [COLUMN ...]")] = ("group",)
    """Columns of the clip table whose values are compared: group, or a further column such as site. Each column makes a table."""
    others: int = 5
    """From how many other values, at most, support clips come one value at a time, for each value of the query clips."""
    ways: int = 5
    """Number of classes per episode."""
    shots: int = 5
    """Number of support clips per class."""
    n_query: int = 5
    """Number of query clips per class."""
    episodes: int = 1000
    """Number of episodes for each pair of values."""
    seed: int = 42
    """Number that determines the drawn episodes."""
    split: Annotated[str | None, arg(metavar="NAME")] = None
    """Draw clips from this split of the dataset only. Without this option, from all clips."""
    classifiers: Annotated[tuple[str, ...] | None, arg(metavar="NAME[:SETTING=VALUE] [...]")] = None
    """Classifier to train on the support clips, with one value of its strength. Without this option, logistic at one shot and
    ridge:alpha=auto at more."""
    preprocessing: Literal["none", "l2"] = "l2"
    """Change the embeddings before classification: l2 scales each to length 1."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("results/shift")
    """Folder for the results, the tables, shift.json and the figure. Results that are there already are not computed again."""
    formats: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")
    """File formats of the figure."""
    memory_gb: float | None = None
    """Memory for embeddings and episodes, in GB. Without this option, as for `jfewshot run`."""
    compile_cache: bool = True
    """Keep compiled code in the user's cache folder, so that the next run starts faster."""
