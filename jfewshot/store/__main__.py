"""The store's command line: create, import, export, fuse, statistics, inspect, verify."""

import json
import logging
import shlex
import sys
from typing import TYPE_CHECKING

from jfewshot.commandline import EXIT_CHECK_FAILED, run_cli
from jfewshot.printable import printable

if TYPE_CHECKING:
    from jfewshot.store.options import (
        CreateOptions,
        ExportOptions,
        FuseOptions,
        ImportOptions,
        InspectOptions,
        StatisticsOptions,
        VerifyOptions,
    )
    from jfewshot.store.reading import Store

log = logging.getLogger("jfewshot.store")
_MOST_VALUES = 6  # values of a column that the description of a store lists


def main(arguments: list[str] | None = None) -> int:
    """Run the subcommand that the arguments begin with; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.store.options import (
        CreateOptions,
        ExportOptions,
        FuseOptions,
        ImportOptions,
        InspectOptions,
        StatisticsOptions,
        VerifyOptions,
    )

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    subcommand, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if subcommand == "create":
        return create(start(CreateOptions, rest, "store create"))
    if subcommand == "import":
        return import_(start(ImportOptions, rest, "store import"))
    if subcommand == "export":
        return export(start(ExportOptions, rest, "store export"))
    if subcommand == "fuse":
        return fuse(start(FuseOptions, rest, "store fuse"))
    if subcommand == "statistics":
        return statistics(start(StatisticsOptions, rest, "store statistics"))
    if subcommand == "inspect":
        return inspect(start(InspectOptions, rest, "store inspect"))
    if subcommand == "verify":
        return verify(start(VerifyOptions, rest, "store verify"))
    from jfewshot.commandline.front_door import main as front_door

    return front_door(["store", *arguments]) or 0


def create(options: "CreateOptions") -> int:
    """Make a store from the user's own files."""
    from jfewshot.store.creating import create_from_files

    facts = {"name": options.dataset, "licence": options.licence, "source": options.source}
    store = create_from_files(
        options.out,
        options.embeddings,
        options.labels,
        dataset={key: value for key, value in facts.items() if value},
        upstream=options.upstream,
        view=options.view,
        replace=options.replace,
        unlabelled=options.unlabelled,
        columns=options.columns,
    )
    sys.stdout.write(printable(describe(store)) + "\n")
    log.info("wrote %s; next: jfewshot run --stores %s", options.out, shlex.quote(str(options.out)))
    return 0


def import_(options: "ImportOptions") -> int:
    """Make a store from the files of another program."""
    from jfewshot.commandline.progress import Progress
    from jfewshot.store.containers.annotating import annotate_with
    from jfewshot.store.containers.taking import Taking
    from jfewshot.store.importing import import_store

    kind, container = options.kind_and_path
    with Progress(f"reading {container}"):
        store = import_store(
            options.out,
            container,
            dataset=options.dataset or None,
            upstream=options.upstream or None,
            kind=kind,
            embeddings=options.embeddings,
            columns=options.columns,
            taking=Taking(
                clips=options.clips,
                several=options.several,
                min_overlap_s=options.min_overlap_s,
                provenance=options.provenance,
                window_s=options.window_s,
            ),
            annotations=annotate_with(options.annotations, options.annotation_columns),
            unlabelled=options.unlabelled,
            replace=options.replace,
        )
    sys.stdout.write(printable(describe(store)) + "\n")
    log.info("wrote %s; next: jfewshot run --stores %s", options.out, shlex.quote(str(options.out)))
    return 0


def export(options: "ExportOptions") -> int:
    """Write a store in a form that other programs read."""
    from jfewshot.commandline.progress import Progress
    from jfewshot.store.exporting import export_store
    from jfewshot.store.reading import open_store

    kind, folder = options.kind_and_store
    store = open_store(folder)
    with Progress(f"writing {options.out}"):
        path = export_store(store, options.out, options.views, kind=kind, replace=options.replace)
    if kind is None and path.suffix.lower() == ".json":
        log.info("wrote %s, which describes %s in Croissant", path, store.path)
        return 0
    size = sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size
    log.info("wrote %s, %.1f MB; `jfewshot store import` makes a store of it again", path, size / 1e6)
    return 0


def fuse(options: "FuseOptions") -> int:
    """Make stores of several encoders' embeddings."""
    from jfewshot.commandline.progress import Progress
    from jfewshot.errors import UserError
    from jfewshot.store.fusing import fuse_pairs, fuse_stores
    from jfewshot.store.reading import find_stores, open_store

    if options.pairs and (options.views or options.weights):
        raise UserError("--pairs takes neither --views nor --weights; fuse single pairs with them")
    if options.pairs:
        stores = [open_store(path) for path in find_stores(*options.stores)]
        with Progress("fusing pairs"):
            made = fuse_pairs(options.out, stores, replace=options.replace)
        log.info("wrote %d stores; next: jfewshot run --stores %s", len(made), shlex.quote(str(options.out)))
        return 0
    parts = [open_store(path) for path in options.stores]
    with Progress(f"fusing {len(parts)} parts"):
        store = fuse_stores(options.out, parts, options.views, options.weights, replace=options.replace)
    sys.stdout.write(printable(describe(store)) + "\n")
    log.info("wrote %s; next: jfewshot run --stores %s", options.out, shlex.quote(str(options.out)))
    return 0


def statistics(options: "StatisticsOptions") -> int:
    """Write mean and covariance of a view."""
    from jfewshot.commandline.progress import Progress
    from jfewshot.store.moments import moments_of
    from jfewshot.store.moments_file import check_moments_place, write_moments
    from jfewshot.store.reading import find_stores, open_store

    check_moments_place(options.out, options.replace)
    stores = [open_store(path) for path in find_stores(*options.stores)]
    names = sorted({store.dataset for store in stores})
    known = stores[0].manifest["dataset"] if len(names) == 1 else {}
    given = {"name": options.corpus or "+".join(names), "licence": options.licence, "source": options.source}
    facts = {name: known.get(name) for name in ("title", "licence", "source")} | {k: v for k, v in given.items() if v}
    with Progress("reading embeddings"):
        moments = moments_of(stores, options.view, {name: value for name, value in facts.items() if value})
        path = write_moments(options.out, moments, options.replace)
    log.info(
        "wrote %s, %.2f MB: %s, view %s, %d clips of %s; next: jfewshot run --preprocessing whiten_l2 --statistics-from %s",
        path,
        path.stat().st_size / 1e6,
        moments.upstream,
        options.view,
        moments.about["clips"],
        moments.corpus,
        shlex.quote(str(path)),
    )
    return 0


def inspect(options: "InspectOptions") -> int:
    """Describe the contents of stores."""
    from jfewshot.commandline.progress import Progress, tracked
    from jfewshot.errors import UserError
    from jfewshot.store.diagnostics.describing import describe_diagnosis
    from jfewshot.store.diagnostics.diagnosing import diagnose_stores
    from jfewshot.store.reading import find_stores, open_store

    if options.views and not options.diagnose:
        raise UserError("--views is used with --diagnose: add it, or leave out --views")
    if options.sample < 2:
        raise UserError(
            f"--sample is {options.sample}; it needs 2 clips or more, and 1,000 for numbers that can be trusted"
        )
    opened = [open_store(path) for path in tracked(find_stores(*options.stores), "reading stores", "stores")]
    diagnoses = []
    if options.diagnose:
        with Progress("diagnosing embeddings", len(opened) * max(len(options.views), 1), "views") as progress:
            diagnoses = diagnose_stores(opened, options.views, options.sample, progress.advance)
    manifests = [dict(store.manifest) for store in opened]
    if options.json:
        found = {"stores": manifests, "diagnostics": [one.as_json() for one in diagnoses]}
        sys.stdout.write(json.dumps(found if options.diagnose else manifests, indent=2, ensure_ascii=False) + "\n")
    else:
        texts = [*(describe(store) for store in opened), *(describe_diagnosis(one) for one in diagnoses)]
        sys.stdout.write(printable("\n\n".join(texts)) + "\n")
    return 0


def verify(options: "VerifyOptions") -> int:
    """Check stores; the exit status is 0 if all stores are sound."""
    from jfewshot.commandline.progress import tracked
    from jfewshot.store.reading import find_stores
    from jfewshot.store.verifying import verify_store

    status, lines = 0, []
    for path in tracked(find_stores(*options.stores), "checking stores", "stores"):
        report = verify_store(path)
        lines.append(f"{'BROKEN' if report.errors else 'ok'}  {path}\n")
        lines += [f"  error: {line}\n" for line in report.errors]
        lines += [f"  warning: {line}\n" for line in report.warnings]
        status = EXIT_CHECK_FAILED if report.errors else status
    sys.stdout.writelines(map(printable, lines))
    return status


def describe(store: "Store") -> str:
    """A few lines about a store, for people."""
    import numpy as np

    manifest, clips = store.manifest, store.clips
    labelled = clips.class_name != ""
    sizes = np.unique(clips.class_name[labelled], return_counts=True)[1]
    of_classes = f"in {len(sizes)} classes of {sizes.min()} to {sizes.max()} clips" if len(sizes) else "in no classes"
    groups = len(set(clips.group.tolist()) - {""})
    splits = sorted(set(clips.split.tolist()) - {""})
    segment = manifest.get("segment_samples")
    rate = manifest.get("sample_rate")
    lines = [
        f"{store.path}",
        f"  dataset   {store.dataset}" + _extra(manifest["dataset"], "title", "licence", "source"),
        f"  upstream  {store.upstream}" + _extra(manifest["upstream"], "title", "revision", "licence"),
        f"  clips     {len(clips)} {of_classes}"
        + (f", {(~labelled).sum()} without a class (unlabelled)" if not labelled.all() else "")
        + (f", {groups} groups" if groups else ", no groups")
        + (f", splits {', '.join(splits)}" if splits else ""),
        *(
            f"  column    {name}: {_values(sorted(set(column.tolist()) - {''}))}"
            for name, column in sorted(clips.further.items())
        ),
        f"  segments  {int(clips.n_segments.sum())}, at most {clips.n_segments.max()} a clip"
        + (f", {segment / rate:g} s at {rate} Hz" if segment and rate else ""),
        *(
            f"  view      {name}: {view.get('dim')}-d {view.get('dtype')}"
            for name, view in sorted(manifest["views"].items())
        ),
        f"  digests   store {store.digest[:16]}, clip table {clips.digest[:16]}",
    ]
    left_out = manifest.get("left_out", [])
    if left_out:
        lines.append(
            f"  left out  {len(left_out)} recordings, first '{left_out[0]['clip_id']}': {left_out[0]['reason']}"
        )
    return "\n".join(lines)


def _values(values: list[str]) -> str:
    shown = ", ".join(values[:_MOST_VALUES])
    return f"{len(values)} values, {shown}" + (", ..." if len(values) > _MOST_VALUES else "")


def _extra(facts: dict, *names: str) -> str:
    known = [str(facts[name]) for name in names if facts.get(name)]
    return f" ({'; '.join(known)})" if known else ""


if __name__ == "__main__":
    run_cli(main)
