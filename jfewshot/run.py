"""The evaluator's command line: which stores, which episodes, which classifiers -> results."""

import dataclasses
import difflib
import importlib.resources
import json
import logging
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import tyro

from jfewshot.errors import UserError, run_cli

log = logging.getLogger("jfewshot")


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
    quiet: bool = False
    """Print the tables alone."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run it; returns the exit status."""
    options, unknown = tyro.cli(
        Run,
        prog="python -m jfewshot.run",
        args=_with_config(sys.argv[1:] if arguments is None else arguments),
        return_unknown_args=True,
    )
    if unknown:
        known = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Run)]
        near = difflib.get_close_matches(unknown[0], known, 1)
        raise UserError(f"there is no option '{unknown[0]}'; {f'did you mean {near[0]}? ' if near else ''}See --help")
    logging.basicConfig(
        level=logging.WARNING if options.quiet else logging.INFO, format="%(message)s", stream=sys.stderr
    )
    logging.getLogger("jax").setLevel(logging.WARNING)
    return run(options)


def run(options: Run) -> int:
    """Do what the options say: evaluate what is missing, then print the tables."""
    started = time.perf_counter()
    _prepare_jax()
    from jfewshot.cells import evaluate_cells
    from jfewshot.evaluator import Evaluator
    from jfewshot.progress import episode_progress
    from jfewshot.results import ResultFolder

    cells = _cells(options)
    if options.shard is not None:
        number, of = _shard(options.shard)
        cells = cells[number::of]
        if not cells:
            log.info("no cell is left for shard %s", options.shard)
            return 0
    folder = ResultFolder(options.out)
    if options.memory_gb is not None and not options.memory_gb > 0:
        raise UserError(f"--memory-gb is {options.memory_gb}; it must be more than 0")
    evaluator = Evaluator(
        _devices(options.devices), None if options.memory_gb is None else int(options.memory_gb * 2**30)
    )
    total = sum(cell.protocol.n_episodes * len(cell.spec.strengths) for cell in cells)
    log.info(
        "%d cells, %s episodes, on %d x %s",
        sum(len(cell.spec.strengths) for cell in cells),
        f"{total:,}",
        evaluator.mesh.devices.size,
        evaluator.mesh.devices.flat[0].device_kind,
    )
    records, computed = {}, []
    with episode_progress(total, quiet=options.quiet) as progress:
        for record, is_new in evaluate_cells(cells, evaluator, folder, progress):
            # What was asked for twice is shown once.
            names = (record[what]["name"] for what in ("upstream", "dataset", "view"))
            records[(record["key"], *names)] = record
            if is_new:
                computed.append(record)
    _print_tables(list(records.values()), options)
    _summarise(list(records.values()), computed, options, time.perf_counter() - started)
    return 0


def _cells(options: Run) -> list:
    from jfewshot.cells import plan_cells
    from jfewshot.classifiers.specs import parse_classifier
    from jfewshot.episodes import Protocol
    from jfewshot.store import open_store

    paper = options.protocol == "paper"
    shots = options.shots or (1,)
    protocols = [
        Protocol(
            n_way=way,
            k_shot=shot,
            n_query=(1 if paper else 15) if options.n_query is None else options.n_query,
            n_episodes=options.episodes,
            seed=options.seed,
            split=options.split,
            min_clips=options.min_clips,
            group_aware=options.group_aware,
            query_segments=options.query_segments,
            nested_shots=max(shots),
        )
        for way in dict.fromkeys(options.ways or (5,))
        for shot in dict.fromkeys(shots)
    ]
    specs = [parse_classifier(text) for text in options.classifiers or ("sgd" if paper else "logistic",)]
    return plan_cells(
        _stores(options),
        protocols,
        specs,
        preprocessing=options.preprocessing,
        views=options.views or None,
        center_from=None if options.center_from is None else open_store(options.center_from),
        transductive=options.transductive,
        intersect_clips=options.clips == "intersection",
    )


def _stores(options: Run) -> list:
    from jfewshot.store import find_stores, open_store

    stores = [open_store(path) for path in find_stores(*(options.stores or (sample_stores(),)))]
    for what, wanted in (("dataset", options.datasets), ("upstream", options.upstreams)):
        known = {getattr(store, what) for store in stores}
        missing = sorted(set(wanted) - known)
        if missing:
            raise UserError(f"no store of {what} '{missing[0]}'; there are {', '.join(sorted(known))}")
        stores = [store for store in stores if not wanted or getattr(store, what) in wanted]
    if not stores:
        raise UserError("no store is left by --datasets and --upstreams together; widen one of them")
    return stores


def sample_stores() -> Path:
    """The folder of the stores that come with the package."""
    return Path(str(importlib.resources.files("jfewshot"))) / "data" / "stores"


def _shard(text: str) -> tuple[int, int]:
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and int(number) < int(of)):
        raise UserError(f"--shard is '{text}'; write i/n with i from 0 to n-1, as in 3/8")
    return int(number), int(of)


def _devices(wanted: int | None):
    import jax

    there = jax.local_devices()
    if wanted is None:
        return None
    if not 1 <= wanted <= len(there):
        raise UserError(f"--devices is {wanted}; this machine has {len(there)}")
    return there[:wanted]


def _prepare_jax() -> None:
    from jfewshot.devices import use_all_cores

    use_all_cores()
    import jax

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(base / "jfewshot" / "compiled"))
    # Small functions too: a second run should start at once.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


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


def _print_tables(records: list[dict], options: Run) -> None:
    import rich.console

    from jfewshot.files import atomic_write
    from jfewshot.tables import Format, leaderboards, render, rich_table

    interval = ("ci95", "pool_ci95") if options.interval == "both" else options.interval
    boards = leaderboards(records, interval)
    console = rich.console.Console()
    for board in boards:
        if console.is_terminal:
            console.print(rich_table(board, console.width))
        else:
            sys.stdout.write(render(board, "terminal", width=160) + "\n")
    forms: dict[Format, Path | None] = {"markdown": options.markdown, "latex": options.latex, "csv": options.csv}
    for form, path in forms.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path, "w") as file:
                file.write("\n".join(render(board, form) for board in boards))


def _summarise(records: list[dict], computed: list[dict], options: Run, elapsed_s: float) -> None:
    for record in records:
        solver = record["solver"]
        if solver and solver["not_converged"]:
            log.warning(
                "%s on %s: %d of %d episodes of %s did not converge (largest residual %.1e)",
                record["upstream"]["name"],
                record["dataset"]["name"],
                solver["not_converged"],
                record["identity"]["protocol"]["n_episodes"],
                record["identity"]["classifier"]["name"],
                solver["residual_max"],
            )
    for name, left_out in {r["dataset"]["name"]: r["counts"]["classes_left_out"] for r in records}.items():
        if left_out:
            some = ", ".join(f"{item['class']} ({item['clips']})" for item in left_out[:8])
            more = f" and {len(left_out) - 8} more" if len(left_out) > 8 else ""
            log.warning("%s: %d classes left out, too few clips: %s%s", name, len(left_out), some, more)
    if computed:
        episodes = sum(record["identity"]["protocol"]["n_episodes"] for record in computed)
        solving = sum(record["timing"]["wall_s"] for record in computed)
        compiling = sum(record["timing"]["compile_s"] for record in computed)
        log.info(
            "%s episodes at %s/s (compiling took %.1f s); %.1f s in all",
            f"{episodes:,}",
            f"{episodes / max(solving, 1e-9):,.0f}",
            compiling,
            elapsed_s,
        )
    found = len(records) - len(computed)
    if found:
        log.info("%d of %d cells were there already", found, len(records))
    log.info(
        "records in %s; tables and figures: python -m jfewshot.report %s", options.out, shlex.quote(str(options.out))
    )


def console() -> NoReturn:
    """The command `jfewshot`."""
    run_cli(main)


if __name__ == "__main__":
    console()
