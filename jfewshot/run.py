"""The command `jfewshot run`: evaluate stores on episodes with classifiers, and print the results."""

import dataclasses
import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jfewshot.commandline import run_cli
from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.printable import counted
from jfewshot.profiling import profile, stage
from jfewshot.sharding import Shard

if TYPE_CHECKING:
    from jfewshot.options import RunOptions
    from jfewshot.results import ResultFolder
    from jfewshot.store import Store

log = logging.getLogger("jfewshot")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run it; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.options import RunOptions

    return run(start(RunOptions, arguments, "run"))


def run(options: "RunOptions") -> int:
    """Evaluate the cells that have no record yet, then print the tables."""
    from jfewshot.options import check_together

    check_together(options)
    # What needs JAX comes in from here on, so that --help and mistakes need not wait for it.
    from jfewshot.evaluator.compile_cache import use_compile_cache
    from jfewshot.evaluator.devices import use_all_cores

    use_all_cores()
    use_compile_cache(options.compile_cache)
    if options.profile is None:
        return _evaluate(options)
    with profile(options.profile) as stages:
        status = _evaluate(options)
    with atomic_write(options.profile / "stages.txt", "w") as file:
        file.write(stages.table())
    sys.stdout.write(f"\n{stages.table()}")
    log.info("trace in %s: xprof --logdir FOLDER, or its perfetto_trace.json.gz at ui.perfetto.dev", options.profile)
    return status


def _evaluate(options: "RunOptions") -> int:
    started = time.perf_counter()
    with stage("start-up"):
        from jfewshot.cells.computing import evaluate_cells
        from jfewshot.cells.estimating import estimate
        from jfewshot.cells.sizes import bytes_at_most, readable
        from jfewshot.commandline.progress import Progress
        from jfewshot.evaluator.evaluator import Evaluator
        from jfewshot.reporting.metrics import with_metric
        from jfewshot.results import ResultFolder

        group = None
        if options.coordinator is not None:
            from jfewshot.cells.processes import evaluate_together, join

            group = join(options.coordinator, options.processes, options.process)
        # With --ray, the devices are the workers', of which one may be on this machine.
        devices = _devices(options.devices) if options.ray is None else None
    with stage("reading"), Progress("reading stores"):
        cells = _cells(options)
    if options.shard is not None:
        shard = Shard.parse(options.shard)
        cells = [cell for number, cell in enumerate(cells) if shard.owns(number)]
        if not cells:
            log.info("there is no cell for shard %s", options.shard)
            return 0
    helper = group is not None and group.index > 0
    folder = None if helper else ResultFolder(options.out, options.keep)
    if options.estimate:
        assert folder is not None
        sys.stdout.write(estimate(cells, folder))
        return 0
    memory_bytes = None if options.memory_gb is None else max(1, int(options.memory_gb * 2**30))
    evaluator = Evaluator(devices, memory_bytes) if options.ray is None else None
    total = sum(cell.protocol.n_episodes * len(cell.spec.strengths) for cell in cells)
    if evaluator is not None:
        where = f", on {evaluator.mesh.devices.size} x {evaluator.mesh.devices.flat[0].device_kind}"
        where += f" in process {group.index} of {group.count}" if group else ""
    else:
        where = ""
    log.info(
        "%s, %s, results of at most %s%s",
        counted(sum(len(cell.spec.strengths) for cell in cells), "cell"),
        counted(total, "episode"),
        readable(bytes_at_most(cells, options.keep)),
        where,
    )
    records, computed = {}, []
    try:
        with Progress("evaluating", total, "episodes", show=False if helper else None) as progress:
            if evaluator is None:
                assert folder is not None
                found = _on_ray(cells, folder, options, memory_bytes, progress.advance)
            elif group is None:
                found = evaluate_cells(cells, evaluator, folder, progress.advance)
            else:
                found = evaluate_together(cells, evaluator, folder, group, progress.advance)
            for record, is_new in found:
                # What was asked for twice is shown once.
                names = (record[what]["name"] for what in ("upstream", "dataset", "view"))
                records[(record["key"], *names)] = record
                if is_new:
                    computed.append(record)
    except Exception:
        if records and not helper:
            _print_tables(with_metric(list(records.values()), options.metric), options)
            log.warning("an error ended the run: the table shows the %d results that are finished", len(records))
        raise
    finally:
        if folder is not None:
            folder.close()
    if helper:
        return 0
    with stage("writing"):
        from jfewshot.reporting.after_run import print_answer_of, print_classifiers, summarise

        shown = with_metric(list(records.values()), options.metric)
        _print_tables(shown, options)
        print_classifiers(shown)
        print_answer_of(shown, options.out)
    summarise(list(records.values()), computed, options.out, time.perf_counter() - started)
    return 0


def _on_ray(
    cells: list,
    folder: "ResultFolder",
    options: "RunOptions",
    memory_bytes: int | None,
    on_progress: Callable[[int], None],
) -> Iterator[tuple[dict, bool]]:
    from jfewshot.cells.on_ray import evaluate_on_ray

    # Workers start in folders of their own.
    there = dataclasses.replace(
        options,
        stores=tuple(path.absolute() for path in options.stores),
        support_from=tuple(path.absolute() for path in options.support_from),
        statistics_from=tuple(
            path if str(path) in ("train", "shipped") else path.absolute() for path in options.statistics_from
        ),
        center_from=None if options.center_from is None else options.center_from.absolute(),
    )
    return evaluate_on_ray(
        cells,
        folder,
        functools.partial(_cells, there),
        address=next(iter(options.ray or ()), None),
        keep=options.keep,
        n_devices=options.devices,
        memory_bytes=memory_bytes,
        compile_cache=options.compile_cache,
        on_progress=on_progress,
        on_start=log.info,
    )


def _cells(options: "RunOptions") -> list:
    if options.protocol.startswith("mteb"):
        return _cells_of_mteb(options)
    from jfewshot.cells.fusions import fusions
    from jfewshot.cells.planning import plan_cells
    from jfewshot.classifiers.specs import default_classifiers, parse_classifier
    from jfewshot.episodes.protocol import protocols
    from jfewshot.episodes.sides import Side
    from jfewshot.store import find_stores, open_store

    paper = options.protocol == "paper"
    shots = options.shots or (1,)
    names = options.classifiers or (("sgd",) if paper else default_classifiers(shots))
    specs = [parse_classifier(text) for text in names]
    stores = chosen_stores(options.stores, options.datasets, options.upstreams)
    fused = fusions(stores, options.fuse, options.fuse_weights, options.mix == "layers", options.views)
    return plan_cells(
        [*stores, *fused],
        protocols(
            options.ways or (5,),
            shots,
            options.small_classes,
            bool(options.support_from),
            n_query=(1 if paper else 15) if options.n_query is None else options.n_query,
            query_balance=options.query_balance,
            unknown_ways=options.unknown_ways,
            n_episodes=10_000 if options.episodes is None else options.episodes,
            seed=options.seed,
            split=options.split,
            min_clips=options.min_clips,
            group_aware=options.group_aware,
            query_segments=options.query_segments,
            support=Side.of(options.support_split, options.support_where, "--support-where"),
            query=Side.of(options.query_split, options.query_where, "--query-where"),
        ),
        specs,
        preprocessing=options.preprocessing or "l2",
        views=options.views or None,
        center_from=_statistics_from(options),
        transductive=options.transductive,
        shrinkage=options.shrinkage,
        intersect_clips=options.clips == "intersection",
        support_from=[open_store(path) for path in find_stores(*options.support_from)],
        stop_curves=options.small_classes == "stop",
        keep_scores=options.keep == "scores",
    )


def _cells_of_mteb(options: "RunOptions") -> list:
    from jfewshot.cells.planning_mteb import plan_mteb
    from jfewshot.episodes.sides import Side

    return plan_mteb(
        chosen_stores(options.stores, options.datasets, options.upstreams),
        options.protocol == "mteb_faithful",
        n_episodes=options.episodes,
        seed=options.seed,
        split=options.split,
        support=Side.of(options.support_split, (), "--support-where"),
        query=Side.of(options.query_split, (), "--query-where"),
        views=options.views or None,
        intersect_clips=options.clips == "intersection",
        keep_scores=options.keep == "scores",
    )


def _statistics_from(options: "RunOptions") -> list | None:
    from jfewshot.evaluator.backgrounds import opened_backgrounds

    if options.center_from is not None and options.statistics_from:
        raise UserError("--center-from is the old name of --statistics-from; give one of the two")
    return opened_backgrounds(
        options.statistics_from or (() if options.center_from is None else (options.center_from,))
    )


def chosen_stores(folders: Sequence[Path], datasets: Sequence[str], upstreams: Sequence[str]) -> "list[Store]":
    """The stores that a command evaluates.

    Args:
      folders: of stores, or with stores below them; none for the sample stores.
      datasets: names of datasets; none for all.
      upstreams: names of upstreams; none for all.

    Returns:
      the stores, opened.

    Raises:
      UserError: if there is no store, or none of a dataset or upstream.
    """
    from jfewshot.store import find_stores, open_store
    from jfewshot.store.reading import sample_stores

    stores = [open_store(path) for path in find_stores(*(folders or (sample_stores(),)))]
    for what, wanted in (("dataset", datasets), ("upstream", upstreams)):
        known = {getattr(store, what) for store in stores}
        missing = sorted(set(wanted) - known)
        if missing:
            raise UserError(f"no store of {what} '{missing[0]}'; there are {', '.join(sorted(known))}")
        stores = [store for store in stores if not wanted or getattr(store, what) in wanted]
    if not stores:
        raise UserError("no store is left by --datasets and --upstreams together; widen one of them")
    return stores


def _devices(wanted: int | None):
    import jax

    there = jax.local_devices()
    if wanted is None:
        return None
    if not 1 <= wanted <= len(there):
        raise UserError(f"--devices is {wanted}; this machine has {len(there)}")
    return there[:wanted]


def _print_tables(records: list[dict], options: "RunOptions") -> None:
    # Imported here, since a run that has nothing to print does not need it.
    from jfewshot.reporting.after_run import print_tables

    interval = ("ci95", "pool_ci95") if options.interval == "both" else options.interval
    print_tables(records, interval, {"markdown": options.markdown, "latex": options.latex, "csv": options.csv})


if __name__ == "__main__":
    run_cli(main)
