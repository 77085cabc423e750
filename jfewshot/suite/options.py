"""The options of `jfewshot suite`."""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from tyro.conf import arg


@dataclasses.dataclass(frozen=True)
class SuiteListOptions:
    """List the suites that come with jfewshot, or say which tasks a suite has."""

    EXAMPLES: ClassVar = ("jfewshot suite list", "jfewshot suite list paper10")
    HEADINGS: ClassVar = {"suite": "Which suite"}

    suite: Annotated[str | None, tyro.conf.Positional, arg(metavar="[SUITE]")] = None
    """A suite whose tasks are listed: its name, or the path of a suite's JSON file. Without it, all suites are listed."""


@dataclasses.dataclass(frozen=True)
class SuiteRunOptions:
    """Evaluate encoders on every task of a suite, and write each encoder's score with all that it is computed from.

    Stores that are missing are extracted first, where the audio is there. Finished stores and results are kept, so the same
    command continues after an interruption. The file contributions/ENCODER.json in the output folder is what a leaderboard takes.
    """

    EXAMPLES: ClassVar = (
        "jfewshot suite run samples",
        "jfewshot suite run samples --upstreams my_module:MyEncoder --root audio",
        "jfewshot suite run paper10 --upstreams hubert_base --root data --estimate",
    )
    HEADINGS: ClassVar = {
        "suite": "Which tasks",
        "upstreams": "Which encoders",
        "out": "Output",
        "checkpoint": "How encoders are loaded",
        "memory_gb": "Machine",
    }

    suite: Annotated[str, tyro.conf.Positional, arg(metavar="SUITE")]
    """Name of a suite, as `jfewshot suite list` shows it, or the path of a suite's JSON file."""
    datasets: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Evaluate these datasets of the suite only. A score is written when all datasets have been evaluated, in one run or in
    several with one --out folder. Without this option, all datasets."""
    upstreams: Annotated[tuple[str, ...], arg(metavar="UPSTREAM [UPSTREAM ...]")] = ()
    """Encoders: as stores call them, or as `jfewshot extract --upstreams` takes them where stores have to be extracted. Without
    this option, every encoder that has a store."""
    stores: Annotated[tuple[Path, ...], arg(metavar="FOLDER [FOLDER ...]")] = ()
    """Folders of stores, or folders that contain such folders at any depth. The suite samples also uses those that come with
    jfewshot. Without this option, only stores that the run extracts."""
    root: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder that contains a folder of audio for each dataset, from which missing stores are extracted. Without this option,
    nothing is extracted."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("suite")
    """Folder for extracted stores, results and contributions. What is there already is not computed again."""
    estimate: bool = False
    """Print how long extraction and evaluation take and how much disk they need, and compute nothing else. Datasets of the paper
    whose audio is not there are counted as published."""
    checkpoint: Annotated[tuple[str, ...], arg(metavar="PATH|NAME=PATH [...]")] = ()
    """Weights on this machine, as `jfewshot extract --checkpoint` takes them. Without this option, an encoder's own download or
    cache."""
    device: Annotated[str, arg(metavar="auto|cpu|cuda|cuda:N")] = "auto"
    """Device of the encoders during extraction. auto uses a GPU if there is one."""
    workers: int | None = None
    """Processes that decode audio during extraction. Without this option, one for each core but one, at most 16."""
    memory_gb: float | None = None
    """Memory for embeddings and episodes during evaluation, in GB. Without this option, as for `jfewshot run`."""
    compile_cache: bool = True
    """Keep compiled code in the user's cache folder, so that the next run starts faster."""


@dataclasses.dataclass(frozen=True)
class SuiteValidateOptions:
    """Check contributed files: fields, suite, version, completeness, digests, and every number that their histograms give.

    Where stores of the same clips are on this machine, the episodes are drawn again too. Exits with 1 if a file is not in order.
    """

    EXAMPLES: ClassVar = (
        "jfewshot suite validate suite/contributions/my_encoder.json",
        "jfewshot suite validate contributions --stores stores",
    )
    HEADINGS: ClassVar = {"files": "What is checked", "suite": "With what it is compared"}

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, arg(metavar="FILE [FILE ...]")]
    """Files that `jfewshot suite run` wrote, or folders with such files."""
    suite: Annotated[str | None, arg(metavar="SUITE")] = None
    """Suite that the files have to be contributions to: a name, or the path of a suite's JSON file. Without this option, the
    suite of the leaderboard that a file lies in, and otherwise the suite that the file names."""
    stores: Annotated[tuple[Path, ...], arg(metavar="FOLDER [FOLDER ...]")] = ()
    """Folders of stores from which episodes are drawn again. The suite samples also uses the stores that come with jfewshot.
    Without this option, only those are used."""
    evaluate: bool = False
    """Also evaluate tasks again whose embeddings, to the byte, are in these stores, and compare the accuracies."""


@dataclasses.dataclass(frozen=True)
class SuiteInitOptions:
    """Make the folder of a leaderboard that any web server can host: the suite, a README, and a recipe that validates
    contributions in continuous integration.

    Files that are there already are kept.
    """

    EXAMPLES: ClassVar = ("jfewshot suite init leaderboard --suite samples",)
    HEADINGS: ClassVar = {"folder": "What is made"}

    folder: Annotated[Path, tyro.conf.Positional, arg(metavar="FOLDER")]
    """Folder of the leaderboard."""
    suite: Annotated[str, arg(metavar="SUITE")] = "paper10"
    """Name of a suite, as `jfewshot suite list` shows it, or the path of a suite's JSON file."""


@dataclasses.dataclass(frozen=True)
class SuiteBuildOptions:
    """Validate all contributions of a leaderboard, and write its static page and tables.

    Nothing is written if a contribution is not in order: the command names each problem and exits with 1.
    """

    EXAMPLES: ClassVar = ("jfewshot suite build leaderboard", "jfewshot suite build leaderboard --check")
    HEADINGS: ClassVar = {"folder": "Which leaderboard", "stores": "With what it is compared", "check": "Output"}

    folder: Annotated[Path, tyro.conf.Positional, arg(metavar="[FOLDER]")] = Path(".")
    """Folder that `jfewshot suite init` made."""
    stores: Annotated[tuple[Path, ...], arg(metavar="FOLDER [FOLDER ...]")] = ()
    """Folders of stores from which episodes are drawn again. Without this option, only the stores that come with jfewshot, for
    the suite samples."""
    check: bool = False
    """Write nothing, and exit with 1 if the page or a table is not what the contributions give."""


@dataclasses.dataclass(frozen=True)
class SuiteExportOptions:
    """Write contributions to one suite in formats that other programs read.

    Always a table of all tasks (CSV, and Parquet where pyarrow is installed), LaTeX tables and MTEB's JSON; on request the files
    of the Hugging Face Hub.
    """

    EXAMPLES: ClassVar = (
        "jfewshot suite export suite/contributions/*.json",
        "jfewshot suite export suite/contributions/mine.json --hub-dataset me/few-shot-suite",
    )
    HEADINGS: ClassVar = {"files": "What is written", "out": "Output"}

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, arg(metavar="FILE [FILE ...]")]
    """Files that `jfewshot suite run` wrote, all of one suite. A file that is not in order is refused."""
    suite: Annotated[str | None, arg(metavar="SUITE")] = None
    """Suite that the files have to be contributions to: a name, or the path of a suite's JSON file. Without this option, the
    suite that the first file names."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("suite-exports")
    """Folder to write to."""
    hub_dataset: Annotated[str | None, arg(metavar="USER/NAME")] = None
    """Also write eval.yaml for the dataset of the Hugging Face Hub with this id, and .eval_results for each model, which name the
    dataset. Without this option, nothing is written for the Hub."""
