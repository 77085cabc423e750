"""Print the results of a run: tables of encoders and of classifiers, the answer, warnings, and how long the run took."""

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rich.console

from jfewshot.classifiers.rounding import IMPRECISE
from jfewshot.files import atomic_write
from jfewshot.printable import counted
from jfewshot.reporting.grid import to_rich
from jfewshot.reporting.labels import UpstreamNames
from jfewshot.reporting.leaderboard import each_leaderboard, leaderboards
from jfewshot.reporting.strengths import strength_advice
from jfewshot.reporting.tables import Format, csv_of_boards, render, rich_table
from jfewshot.results import Results

log = logging.getLogger("jfewshot")
# Rows of tables that are printed; a grid of 100,000 cells has some 10,000.
_MOST_ROWS = 400
# With more results than this, a run does not print the answer in sentences; `jfewshot report` does for any number.
_MOST_ANSWERED = 5000


def print_tables(
    records: Sequence[dict[str, Any]], interval: str | tuple[str, str], files: Mapping[Format, Path | None]
) -> None:
    """Print the first tables of some records, and write all tables to files.

    Args:
      records: the records of the run.
      interval: see `leaderboard`.
      files: by format, the file for all tables; None for no file.
    """
    n_boards, each = each_leaderboard(records, interval)
    # Files contain every table; without files, only the tables that are printed are made.
    boards = list(each) if any(files.values()) else []
    console = rich.console.Console()
    shown = n_rows = 0
    for board in boards or each:
        n_rows += len(board.upstreams)
        if shown and n_rows > _MOST_ROWS:
            break
        if console.is_terminal:
            console.print(rich_table(board, console.width))
        else:
            sys.stdout.write(render(board, "terminal", width=160) + "\n")
        shown += 1
    if shown < n_boards:
        log.info("%d of %d tables are shown; `jfewshot report` and --csv write all of them", shown, n_boards)
    for form, path in files.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path, "w") as file:
                file.write(
                    csv_of_boards(boards) if form == "csv" else "\n".join(render(board, form) for board in boards)
                )


def print_classifiers(records: Sequence[dict[str, Any]]) -> None:
    """Print a table with a row for each classifier, if two or more classifiers were evaluated on the same cells.

    Of several settings (ways, preprocessings, splits), the first one is printed, and of transductive classifiers
    another table.

    Args:
      records: the records of the run.
    """
    conditions = [{name: record["identity"].get(name) for name in ("classifier", "strength")} for record in records]
    if len(records) > _MOST_ANSWERED or all(one == conditions[0] for one in conditions):
        return
    # Imported here, since most runs have one classifier.
    from jfewshot.reporting.classifier_rows import compare_classifiers
    from jfewshot.reporting.classifier_tables import classifier_grid

    compared = compare_classifiers(records)
    shown = [next((one for one in compared if one.transductive == apart), None) for apart in (False, True)]
    console = rich.console.Console()
    for one in shown:
        if one is not None:
            console.print(to_rich(classifier_grid(one, short=True), console.width))
            console.print()
    left = len(compared) - sum(one is not None for one in shown)
    if left:
        log.info("%s of classifiers under other settings: `jfewshot report` shows them", counted(left, "comparison"))


def print_answer_of(records: Sequence[dict[str, Any]], folder: Path) -> None:
    """Print which encoder is best and how certain this is, if there is more than one encoder.

    Args:
      records: the records of the run.
      folder: the result folder.
    """
    names = UpstreamNames(records)
    if len(records) > _MOST_ANSWERED or len({names.of(record) for record in records}) < 2:
        return
    # Imported here, since most runs have one encoder, and comparing encoders needs more modules.
    from jfewshot.reporting.answer import answer_of
    from jfewshot.reporting.printing import print_answer

    results = Results(folder, tuple(records), ())
    print_answer(rich.console.Console(), answer_of(results, leaderboards(records)))


def summarise(
    records: Sequence[dict[str, Any]], computed: Sequence[dict[str, Any]], folder: Path, elapsed_s: float
) -> None:
    """Log warnings about the records of a run, its speed, and the next command.

    Args:
      records: all records of the run.
      computed: the records that were computed now.
      folder: the result folder.
      elapsed_s: duration of the run, in seconds.
    """
    for record in records:
        solver = record.get("solver")
        if solver and solver.get("not_converged"):
            log.warning(
                "%s on %s: %d of %d episodes of %s did not converge (largest residual %.1e)",
                record["upstream"]["name"],
                record["dataset"]["name"],
                solver["not_converged"],
                record["identity"]["protocol"]["n_episodes"],
                record["identity"]["classifier"]["name"],
                solver.get("residual_max", float("nan")),
            )
        if solver and solver.get("imprecise"):
            log.warning(
                "%s on %s: in %d of %d episodes of %s the scores of the classes differ by less than %.0f times their rounding "
                "error, so that predictions may be arbitrary. Take another strength, or --preprocessing center_l2",
                record["upstream"]["name"],
                record["dataset"]["name"],
                solver["imprecise"],
                record["identity"]["protocol"]["n_episodes"],
                record["identity"]["classifier"]["name"],
                1 / IMPRECISE,
            )
        scored = record.get("mteb")
        if scored and scored.get("stopped"):
            log.warning(
                "%s on %s: scikit-learn stopped after %d iterations, before it converged, in %d of %d experiments: accuracy "
                "%.1f, and %.1f converged; %.1f%% of the predictions are equal",
                record["upstream"]["name"],
                record["dataset"]["name"],
                scored["iteration_limit"],
                scored["stopped"],
                record["identity"]["protocol"]["n_episodes"],
                100 * record["accuracy"]["mean"],
                100 * scored["converged_accuracy"],
                100 * scored["equal_predictions"],
            )
    for sentence in strength_advice(records):
        log.warning("%s", sentence)
    for name, left_out in {
        r["dataset"]["name"]: (r.get("counts") or {}).get("classes_left_out") for r in records
    }.items():
        if left_out:
            some = ", ".join(f"{item['class']} ({item['clips']})" for item in left_out[:8])
            more = f" and {len(left_out) - 8} more" if len(left_out) > 8 else ""
            classes = counted(len(left_out), "class", "classes")
            log.warning("%s: %s left out, too few clips: %s%s", name, classes, some, more)
    if computed:
        episodes = sum(record["identity"]["protocol"]["n_episodes"] for record in computed)
        solving = sum(record["timing"]["wall_s"] for record in computed)
        compiling = sum(record["timing"]["compile_s"] for record in computed)
        log.info(
            "%s episodes at %s/s (compiling took %.1f s); %.1f s in all; each cell took %.1f ms of other work",
            f"{episodes:,}",
            f"{episodes / max(solving, 1e-9):,.0f}",
            compiling,
            elapsed_s,
            1000 * max(elapsed_s - solving - compiling, 0.0) / len(computed),
        )
    found = len(records) - len(computed)
    if found:
        log.info("%d of %d cells were there already", found, len(records))
    log.info("records in %s; next, tables and figures: jfewshot report %s", folder, shlex.quote(str(folder)))
