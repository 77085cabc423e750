"""The options of the evaluator's command line: what they are, what they mean, and how they are read."""

import contextlib
import dataclasses
import difflib
import io
import itertools
import json
import re
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True)
class Run:
    """Evaluate stored embeddings on few-shot episodes and print a table of upstreams x datasets.

    Without arguments, the sample stores that come with jfewshot: real encoders on real recordings.

    Examples:
      python -m jfewshot.run
      python -m jfewshot.run --stores stores --shots 1 5 --classifiers logistic:C=0.1,1,10 centroid
      python -m jfewshot.run --stores stores --protocol paper --split test --out results/paper
    """

    stores: tuple[Path, ...] = ()
    """Folders of stores, or folders above them; none for the sample stores."""
    datasets: tuple[str, ...] = ()
    """Only the stores of these datasets."""
    upstreams: tuple[str, ...] = ()
    """Only the stores of these upstreams."""
    views: tuple[str, ...] = ()
    """Which arrays, as <layer>.<pooling>; none for last.mean (or a store's first)."""
    protocol: Literal["default", "paper"] = "default"
    """"paper" is that of Heggan et al. (2024): sgd with 100 epochs, L2-normalised, 5-way 1-shot, 1 query, majority vote over a
    query's segments. Options given beside it change it."""
    ways: Annotated[tuple[int, ...] | None, tyro.conf.arg(help_behavior_hint="(default: 5)")] = None
    """Classes per episode; several make several tables."""
    shots: Annotated[tuple[int, ...] | None, tyro.conf.arg(help_behavior_hint="(default: 1)")] = None
    """Support clips per class; several make several tables, on nested supports with the same queries."""
    n_query: Annotated[int | None, tyro.conf.arg(help_behavior_hint="(default: 15; paper: 1)")] = None
    """Query clips per class."""
    episodes: int = 10_000
    """Episodes per cell."""
    seed: int = 42
    """Names the sequence of episodes; equal seeds mean equal clips, whatever the upstream and classifier."""
    split: str | None = None
    """Draw from the clips of this split only."""
    min_clips: int | None = None
    """Leave out classes with fewer clips (they are listed)."""
    group_aware: bool = False
    """No query shares a group (speaker, recording, site) with a support clip."""
    query_segments: Literal["vote", "mean", "one"] = "vote"
    """How a query of several segments is decided: majority, mean score, or one segment drawn at random."""
    classifiers: Annotated[tuple[str, ...] | None, tyro.conf.arg(help_behavior_hint="(default: logistic)")] = None
    """name[:setting=value]...: sgd, logistic, ridge, centroid, knn, svm; for instance logistic:C=0.1,1,10 (a cell for each C),
    sgd:epochs=20, centroid:metric=cosine, knn:k=3."""
    preprocessing: Literal["none", "l2", "center", "center_l2", "standardize"] = "l2"
    """What is done to the embeddings first. The centred ones need a training split, --center-from or --transductive."""
    center_from: Path | None = None
    """Take the mean (and deviation) from this store instead."""
    transductive: bool = False
    """Take them from the evaluated clips themselves; the results say so."""
    clips: Literal["same", "intersection"] = "same"
    """Where stores of one dataset hold different clips: refuse, or use those they share."""
    out: Path = Path("results")
    """The folder for records; what is there already is not computed again."""
    shard: str | None = None
    """i/n: compute share i (0 to n-1) of the cells only, as one of a cluster's array of jobs."""
    interval: Literal["ci95", "pool_ci95", "both"] = "ci95"
    """Which interval the table shows: the papers', the one that admits the finite pool, or both."""
    markdown: Path | None = None
    """Write the tables as Markdown too."""
    latex: Path | None = None
    """Write them as LaTeX."""
    csv: Path | None = None
    """Write them as CSV."""
    memory_gb: float | None = None
    """Memory for embeddings and chunks of episodes; by default a quarter of the machine's (at most 4) or half a GPU's."""
    devices: int | None = None
    """Use only so many devices (CPU cores, GPUs); all by default."""
    coordinator: str | None = None
    """Share the cells among processes (docs/clusters.md): "auto" under SLURM, Open MPI, Kubernetes or on a TPU slice, else
    HOST:PORT of process 0, with --processes and --process. Process 0 writes the records and prints."""
    processes: int | None = None
    """How many processes there are."""
    process: int | None = None
    """Which of them this is, from 0."""
    compile_cache: bool = True
    """Keep compiled code in the user's cache folder (or JAX_COMPILATION_CACHE_DIR), so that the next run starts at once."""
    profile: Path | None = None
    """Print where the time went, and write JAX's trace and the table to this folder. Slows the run a little."""
    quiet: bool = False
    """Print the tables alone."""


def parse(arguments: list[str]) -> Run:
    """Read a command line.

    Raises:
      UserError: on an option that is not there or a value that does not fit it, in one line.
      SystemExit: after printing what `--help` asks for.
    """
    refused = io.StringIO()
    arguments = _with_config(arguments)
    try:
        with contextlib.redirect_stderr(refused):
            options, unknown = tyro.cli(Run, prog="python -m jfewshot.run", args=arguments, return_unknown_args=True)
    except SystemExit as error:
        if error.code in (0, None):
            raise
        raise UserError(_in_a_line(refused.getvalue(), arguments)) from error
    if unknown and not unknown[0].startswith("-"):
        raise UserError(f"'{unknown[0]}' belongs to no option; see --help")
    if unknown:
        known = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Run)]
        near = difflib.get_close_matches(unknown[0], known, 1)
        raise UserError(f"there is no option '{unknown[0]}'; {f'did you mean {near[0]}? ' if near else ''}See --help")
    return options


def _in_a_line(box: str, arguments: list[str]) -> str:
    """What tyro says in a box, in our words; where it says something unforeseen, in its own, out of the box."""
    # The title, a rule, what is wrong, a rule, help; drawn with letters where the terminal knows no lines.
    parts = re.split(r"[─-]{5,}", box)
    text = " ".join(re.sub(r"[│|╭╮╰╯+]|Argument helptext.*", " ", parts[min(1, len(parts) - 1)]).split())
    named = re.search(r"--[a-z0-9-]+", text)
    field = named and named[0].lstrip("-").replace("-", "_")
    if not named or field not in _FIELDS:
        return f"{text}; see --help"
    if "Missing value" in text:
        return f"{named[0]} needs a value; see --help"
    hint = typing.get_type_hints(Run)[field]
    choices = re.findall(r"'([^' ]+)'", text.partition("Expected one of")[2])
    what = f"choose {', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else _KINDS.get(hint, "")
    given = " ".join(_values_of(named[0], arguments))
    return f"{named[0]} is '{given}'; {what or text}. See --help"


def _values_of(option: str, arguments: list[str]) -> list[str]:
    """What was given for an option, the last time it was."""
    at = max(
        (i for i, argument in enumerate(arguments) if argument.split("=")[0].replace("_", "-") == option), default=-1
    )
    if at < 0:
        return []
    if "=" in arguments[at]:
        return [arguments[at].partition("=")[2]]
    return list(itertools.takewhile(lambda argument: not argument.startswith("--"), arguments[at + 1 :]))


_FIELDS = {field.name for field in dataclasses.fields(Run)}
_KINDS = {
    int: "it must be a whole number",
    int | None: "it must be a whole number",
    float | None: "it must be a number",
    tuple[int, ...] | None: "it must be whole numbers",
}


def _with_config(arguments: list[str]) -> list[str]:
    """Put the options of `--config FILE` before those of the command line, which win.

    The file is JSON, option names as on the command line ("n-query" or "n_query"), lists where an option takes several values.
    """
    if "--config" not in arguments:
        return arguments
    at = arguments.index("--config")
    if at + 1 >= len(arguments):
        raise UserError("--config needs a file")
    path = Path(arguments[at + 1])
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"--config {path} does not exist") from error
    except ValueError as error:
        raise UserError(f"--config {path} is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise UserError(f"--config {path} should hold an object of option names and values")
    fields = {field.name for field in dataclasses.fields(Run)}
    options: list[str] = []
    rest = arguments[:at] + arguments[at + 2 :]
    given = {argument.split("=")[0].lstrip("-").replace("-", "_") for argument in rest if argument.startswith("--")}
    for name, value in settings.items():
        name = name.replace("-", "_")
        if name not in fields:
            raise UserError(f"--config {path}: there is no option '{name}'; see --help")
        if name not in given:
            options += _as_arguments(name.replace("_", "-"), value)
    return options + rest


def _as_arguments(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if value is None:
        return []
    return [f"--{name}", *(map(str, value) if isinstance(value, list) else [str(value)])]
