"""The command line of domain shift: the same queries, with supports of the same speaker or site and of others."""

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from jfewshot.commandline import run_cli
from jfewshot.errors import UserError

if TYPE_CHECKING:
    from jfewshot.cells.planning import Cell
    from jfewshot.reporting.shifts import ShiftResult
    from jfewshot.shift.options import ShiftOptions
    from jfewshot.shift.planning import Asked

log = logging.getLogger("jfewshot")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run it; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.shift.options import ShiftOptions

    return run(start(ShiftOptions, arguments, "shift"))


def run(options: "ShiftOptions") -> int:
    """Evaluate what is missing, print the tables and write the files."""
    # What needs JAX comes in from here on, so that --help and mistakes need not wait for it.
    from jfewshot.evaluator.compile_cache import use_compile_cache
    from jfewshot.evaluator.devices import use_all_cores

    use_all_cores()
    use_compile_cache(options.compile_cache)
    planned = _planned(options)
    results = _evaluate(options, planned)
    _write(options, results)
    return 0


def _planned(options: "ShiftOptions") -> "list[tuple[Asked, Cell]]":
    from jfewshot.classifiers.specs import default_classifiers, parse_classifier
    from jfewshot.episodes.protocol import Protocol
    from jfewshot.run import chosen_stores
    from jfewshot.shift.planning import Domains, plan_shift

    names = options.classifiers or default_classifiers((options.shots,))
    specs = [parse_classifier(text) for text in names]
    if len(specs) != 1 or len(specs[0].strengths) != 1:
        raise UserError(
            "shift compares one classifier at one strength; give one, for instance --classifiers logistic:C=1"
        )
    if options.others < 1:
        raise UserError(f"--others is {options.others}; it must be at least 1")
    protocol = Protocol(
        n_way=options.ways,
        k_shot=options.shots,
        n_query=options.n_query,
        n_episodes=options.episodes,
        seed=options.seed,
        split=options.split,
    )
    stores = chosen_stores(options.stores, options.datasets, options.upstreams)
    planned, refused = [], {}
    for store in stores:
        for column in options.by:
            try:
                domains = Domains.of(store.clips, column, protocol, store.dataset)
            except UserError as error:
                refused[store.dataset, column] = str(error)
                continue
            planned += plan_shift(store, domains, protocol, specs[0], options.preprocessing, options.others)
    for text in refused.values():
        # Of a dataset that was asked for by name, it is a mistake; of all others, a dataset that has no such column.
        if options.datasets or not planned:
            raise UserError(text)
        log.info("left out: %s", text)
    return planned


def _evaluate(options: "ShiftOptions", planned: "list[tuple[Asked, Cell]]") -> "list[ShiftResult]":
    from jfewshot.cells.computing import evaluate_cells
    from jfewshot.commandline.progress import Progress
    from jfewshot.evaluator.evaluator import Evaluator
    from jfewshot.reporting.shifts import shift_result
    from jfewshot.results import ResultFolder

    memory_bytes = None if options.memory_gb is None else max(1, int(options.memory_gb * 2**30))
    folder = ResultFolder(options.out)
    found: dict[tuple[str, str, str], dict[tuple[str, str, str], float]] = {}
    domains: dict[tuple[str, str, str], tuple[str, ...]] = {}
    titles: dict[str, str] = {}
    total = sum(cell.protocol.n_episodes for _, cell in planned)
    try:
        with Progress("evaluating", total, "episodes") as progress:
            cells = [cell for _, cell in planned]
            records = evaluate_cells(cells, Evaluator(None, memory_bytes), folder, progress.advance)
            by_key = {record["key"]: record for record, _ in records}
    finally:
        folder.close()
    for asked, cell in planned:
        record: dict[str, Any] = by_key[cell.key(cell.spec.strengths[0])]
        name = cell.store.dataset, cell.store.upstream, asked.column
        titles |= {
            store["name"]: store.get("title") or store["name"] for store in (record["dataset"], record["upstream"])
        }
        found.setdefault(name, {})[asked.condition, asked.query, asked.support] = record["accuracy"]["mean"]
        domains[name] = asked.domains
    return [
        shift_result(titles[dataset], titles[upstream], column, domains[dataset, upstream, column], of_one)
        for (dataset, upstream, column), of_one in found.items()
    ]


def _write(options: "ShiftOptions", results: "list[ShiftResult]") -> None:
    import numpy as np
    import rich.console

    from jfewshot.classifiers.specs import default_classifiers
    from jfewshot.reporting.figures.shifts import shift_bars
    from jfewshot.reporting.grid import to_rich
    from jfewshot.reporting.shifts import headings, shift_grid, shift_json
    from jfewshot.reporting.writer import Writer

    classifier = (options.classifiers or default_classifiers((options.shots,)))[0]
    how = f"{options.ways}-way {options.shots}-shot, {options.n_query} queries, {classifier}, {options.preprocessing}"
    groups: dict[tuple[str, str], list[ShiftResult]] = {}
    for one in results:
        groups.setdefault((one.dataset, one.column), []).append(one)
    writer, console = Writer(options.out, options.formats), rich.console.Console()
    for number, some in enumerate(groups.values()):
        table = writer.table(f"shift-{number + 1}", shift_grid(some, how))
        console.print(to_rich(table, console.width))
        console.print()
    ordered = [sorted(some, key=lambda one: -one.shift.mean[1]) for some in groups.values()]
    figure = shift_bars(
        [f"{dataset}, by {column}" for dataset, column in groups],
        [[one.upstream for one in some] for some in ordered],
        [np.stack([one.shift.mean for one in some]) for some in ordered],
        [
            None if some[0].shift.half_width is None else np.stack([np.asarray(one.shift.half_width) for one in some])
            for some in ordered
        ],
        [headings(column) for _, column in groups],
        1 / options.ways,
        how,
    )
    writer.figure("shift", figure, "Accuracy with supports of the same domain as the queries and of others")
    writer.text("shift.json", json.dumps(shift_json(results), indent=1, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    log.info("tables, figures/shift.* and shift.json are in %s", options.out)


if __name__ == "__main__":
    run_cli(main)
