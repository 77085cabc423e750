"""From encoders to contributions: missing stores and results are made, and existing ones are kept."""

import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jfewshot.errors import UserError
from jfewshot.printable import counted
from jfewshot.suite.contribution import (
    Contribution,
    Encoder,
    TaskResult,
    contribution_of,
    read_contribution,
    task_result,
    write_contribution,
)
from jfewshot.suite.definition import Suite
from jfewshot.suite.embeddings import Found, find_embeddings
from jfewshot.suite.extracting import Extraction, estimate_extraction, extract, plan_extraction
from jfewshot.suite.places import RESULTS, contribution_path

if TYPE_CHECKING:
    from jfewshot.results import Results
    from jfewshot.suite.options import SuiteRunOptions
    from jfewshot.suite.planning import Planned

log = logging.getLogger("jfewshot.suite")


@dataclasses.dataclass(frozen=True)
class SuiteRun:
    """The results of a run.

    Attributes:
      contributions: one for each encoder that has every task of the suite.
      paths: their files.
      incomplete: for the other encoders, the tasks that they lack.
      accuracy: by encoder and task, the accuracies of this run (0-1), of incomplete encoders too.
    """

    contributions: list[Contribution]
    paths: list[Path]
    incomplete: dict[str, list[str]]
    accuracy: dict[str, dict[str, TaskResult]]


def chosen_datasets(suite: Suite, wanted: Sequence[str]) -> list[str]:
    """Names of the datasets that a run evaluates, in the suite's order.

    Args:
      suite: which datasets there are.
      wanted: the names that the user gave; none for all.

    Raises:
      UserError: for a name that is not of the suite.
    """
    known = [dataset.name for dataset in suite.datasets]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UserError(f"suite '{suite.name}' has no dataset '{unknown[0]}'; it has {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted]


def run_suite(suite: Suite, options: "SuiteRunOptions") -> SuiteRun | None:
    """Extract and evaluate what the options ask for, and write the contributions.

    Args:
      suite: what to evaluate.
      options: with which encoders, on what, into which folder.

    Returns:
      the contributions; None after an estimate.

    Raises:
      UserError: on anything the user can mend.
    """
    datasets = chosen_datasets(suite, options.datasets)
    found = find_embeddings(suite, datasets, options.upstreams, options.stores, options.out)
    calls = plan_extraction(suite, found.missing, options.root, options.out, options.estimate)
    loading = _loading(options)
    _say_plan(suite, found, calls, datasets)
    if calls:
        sys.stdout.flush()
        estimate_extraction(calls, loading)
    from jfewshot.suite.estimating import estimate_evaluation

    estimate = estimate_evaluation(suite, found, datasets, options.out)
    if options.estimate:
        sys.stdout.write(estimate)
        return None
    for line in estimate.splitlines():
        log.info("%s", line)
    if calls:
        workers = [] if options.workers is None else ["--workers", str(options.workers)]
        extract(calls, [*loading, *workers])
        found = find_embeddings(suite, datasets, options.upstreams, options.stores, options.out)
    return _evaluate(suite, found, datasets, options)


def _loading(options: "SuiteRunOptions") -> list[str]:
    checkpoint = ["--checkpoint", *options.checkpoint] if options.checkpoint else []
    return [*checkpoint, "--device", options.device]


def _say_plan(suite: Suite, found: Found, calls: Sequence[Extraction], datasets: Sequence[str]) -> None:
    n_stores = sum(len(stores) for stores in found.stores.values())
    n_missing = sum(len(names) for names in found.missing.values())
    log.info(
        "suite %s, version %d: %s on %s; %s there, %s to be extracted",
        suite.name,
        suite.version,
        counted(sum(task.dataset in datasets for task in suite.tasks), "task"),
        counted(len(datasets), "dataset"),
        counted(n_stores, "store is", "stores are"),
        counted(n_missing if calls else 0, "has", "have"),
    )


def _evaluate(suite: Suite, found: Found, datasets: Sequence[str], options: "SuiteRunOptions") -> SuiteRun:
    from jfewshot.cells.computing import evaluate_cells
    from jfewshot.commandline.progress import Progress
    from jfewshot.evaluator.evaluator import Evaluator
    from jfewshot.results import ResultFolder, read_results
    from jfewshot.suite.planning import plan_tasks

    planned = plan_tasks(suite, found.stores, datasets)
    cells = [one.cell for one in planned]
    memory_bytes = None if options.memory_gb is None else max(1, int(options.memory_gb * 2**30))
    total = sum(cell.protocol.n_episodes for cell in cells)
    records: dict[str, dict[str, Any]] = {}
    with ResultFolder(options.out / RESULTS) as folder:
        with Progress("evaluating", total, "episodes") as progress:
            for record, _ in evaluate_cells(cells, Evaluator(None, memory_bytes), folder, progress.advance):
                records[record["key"]] = record
        # Of datasets that were evaluated by an earlier run with this folder.
        for one in _others(suite, found.stores, datasets, options):
            earlier = folder.find(one.key)
            if earlier is not None:
                planned.append(one)
                records[one.key] = earlier
    return _contribute(suite, planned, records, read_results(options.out / RESULTS), options.out)


def _others(
    suite: Suite, encoders: Mapping[str, Any], datasets: Sequence[str], options: "SuiteRunOptions"
) -> "list[Planned]":
    """The tasks of datasets that this run does not evaluate, where its encoders have stores of them."""
    from jfewshot.suite.planning import plan_tasks

    rest = [dataset.name for dataset in suite.datasets if dataset.name not in datasets]
    stores = find_embeddings(suite, rest, options.upstreams, options.stores, options.out).stores if rest else {}
    return [
        one
        for name in encoders
        for one in plan_tasks(
            suite, {name: stores.get(name, {})}, [dataset for dataset in rest if dataset in stores.get(name, {})]
        )
    ]


def _contribute(
    suite: Suite, planned: "Sequence[Planned]", records: Mapping[str, Any], results: "Results", out: Path
) -> SuiteRun:
    found: dict[str, dict[str, TaskResult]] = {}
    newest: dict[str, Mapping[str, Any]] = {}
    for one in planned:
        record = records[one.key]
        found.setdefault(one.encoder, {})[one.task.name] = result_of(suite, one, record, results)
        newest[one.encoder] = record
    contributions, paths, incomplete = [], [], {}
    for name, tasks in found.items():
        lacking = [task.name for task in suite.tasks if task.name not in tasks]
        if lacking:
            incomplete[name] = lacking
            continue
        upstream, made_with = newest[name]["upstream"], newest[name]["made_with"]
        encoder = Encoder(
            upstream["name"], upstream.get("title"), upstream.get("revision"), upstream.get("n_parameters")
        )
        versions = {what: str(made_with[what]) for what in ("jfewshot", "jax", "numpy") if what in made_with}
        contribution = contribution_of(suite, encoder, versions, tasks)
        path = _own_path(out, name)
        write_contribution(contribution, path)
        contributions.append(contribution)
        paths.append(path)
    return SuiteRun(contributions, paths, incomplete, found)


def _own_path(out: Path, name: str) -> Path:
    """The file of an encoder's contribution, unless it is taken by an encoder whose name makes the same file name."""
    path = contribution_path(out, name)
    if path.exists():
        try:
            other = read_contribution(path).encoder.name
        except UserError:
            return path  # it is damaged, or of an earlier format, and is written again
        if other != name:
            raise UserError(
                f"{path} is of encoder '{other}', and '{name}' has the same file; give another --out folder"
            )
    return path


def result_of(suite: Suite, one: "Planned", record: Mapping[str, Any], results: "Results") -> TaskResult:
    """The contributed result of a task.

    Args:
      suite: of the task.
      one: the task and its cell.
      record: of the cell.
      results: the folder that holds the record's predictions and draws.

    Returns:
      the task's digests, counts, histogram and accuracy.

    Raises:
      UserError: if predictions or draws cannot be read, or the draws are not the suite's.
    """
    from jfewshot.results.draws import digest_of_draws
    from jfewshot.suite.histogram import histogram_of

    drawn = record.get("draws_sha256") or digest_of_draws(results.draws(record))
    known = suite.digests[one.task.name].draws
    if known and drawn != known:
        raise UserError(
            f"suite '{suite.name}', task '{one.task.name}': the drawn episodes are not the suite's (digest {drawn[:12]}…, "
            f"expected {known[:12]}…); use a version of jfewshot that draws as the suite's does"
        )
    protocol, counts = one.cell.protocol, record["counts"]
    histogram = histogram_of(results.right_of_slot(record).sum(axis=1), protocol.n_queries)
    facts = {
        "clip_table": record["identity"]["clip_table"],
        "classes": one.classes,
        "draws": drawn,
        "embeddings": record["identity"]["embeddings"],
        "numerics": record["identity"]["numerics"],
        "n_classes": counts["classes"],
        "n_clips": counts["clips"],
        "n_segments": counts["segments"],
    }
    return task_result(facts, histogram)
