"""The command line of active labels: next, compare."""

import json
import logging
import sys
from typing import TYPE_CHECKING

from jfewshot.commandline import run_cli

if TYPE_CHECKING:
    from jfewshot.labelling.comparing import Comparison
    from jfewshot.labelling.options import LabelCompareOptions, LabelNextOptions

log = logging.getLogger("jfewshot")


def main(arguments: list[str] | None = None) -> int:
    """Run the subcommand that the arguments begin with; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.labelling.options import LabelCompareOptions, LabelNextOptions

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    subcommand, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if subcommand == "next":
        return next_clips(start(LabelNextOptions, rest, "label next"))
    if subcommand == "compare":
        return compare(start(LabelCompareOptions, rest, "label compare"))
    from jfewshot.commandline.front_door import main as front_door

    return front_door(["label", *arguments]) or 0


def next_clips(options: "LabelNextOptions") -> int:
    """Choose clips to label and write their list."""
    from jfewshot.errors import UserError
    from jfewshot.files import atomic_write
    from jfewshot.store import open_store

    if options.out.exists() and not options.replace:
        raise UserError(f"{options.out} is there already; name another --out, or give --replace to replace it")
    store = open_store(options.store)
    # What needs JAX comes in from here on, so that --help and mistakes need not wait for it.
    from jfewshot.labelling.proposing import proposals_csv, propose, read_labels

    found = propose(
        store,
        options.budget,
        options.by,
        labels=read_labels(options.labels) if options.labels else None,
        view=options.view,
        preprocessing=options.preprocessing,
        seed=options.seed,
    )
    with atomic_write(options.out, "w") as file:
        file.write(proposals_csv(found))
    log.info(
        "wrote %d clips to %s; next: label them in a column class, and give the file as --labels",
        len(found),
        options.out,
    )
    return 0


def compare(options: "LabelCompareOptions") -> int:
    """Evaluate, print the tables and write the files."""
    from jfewshot.commandline.progress import Progress
    from jfewshot.evaluator.compile_cache import use_compile_cache
    from jfewshot.evaluator.devices import use_all_cores
    from jfewshot.run import chosen_stores

    use_all_cores()
    use_compile_cache(options.compile_cache)
    from jfewshot.labelling.comparing import Protocol, compare_store

    protocol = Protocol(
        budgets=tuple(options.budgets),
        methods=("random", *options.by),
        repeats=options.repeats,
        held_out=options.held_out,
        group_aware=options.group_aware,
        batch=options.batch,
        preprocessing=options.preprocessing,
        seed=options.seed,
    )
    protocol.check()
    stores = chosen_stores(options.stores, options.datasets, options.upstreams)
    with Progress("labelling", len(stores) * options.repeats, "repetitions") as progress:
        found = [compare_store(store, protocol, progress.advance) for store in stores]
    _write(options, found)
    return 0


def _write(options: "LabelCompareOptions", found: "list[Comparison]") -> None:
    import rich.console

    from jfewshot.labelling.comparing import comparison_grid, comparison_json, comparison_panels
    from jfewshot.reporting.figures.curves import curve_panels
    from jfewshot.reporting.grid import to_rich
    from jfewshot.reporting.writer import Writer

    writer, console = Writer(options.out, options.formats), rich.console.Console()
    for number, name in enumerate(dict.fromkeys(one.names[0] for one in found)):
        own = [one for one in found if one.names[0] == name]
        table = writer.table(f"label-compare-{number + 1}", comparison_grid(own))
        console.print(to_rich(table, console.width))
        console.print()
    encoders = len({one.names[1] for one in found})
    over = f", on average over {encoders} encoders" if encoders > 1 else f", {found[0].upstream}"
    figure = curve_panels(
        comparison_panels(found),
        "labels, of all classes together",
        {float(budget): str(budget) for budget in options.budgets},
        True,
        title=f"On clips that are held out throughout{over}; band: 95% interval over {options.repeats} repetitions",
    )
    writer.figure("label_compare", figure, "Accuracy over the number of labels for each way of choosing the clips")
    writer.text("label_compare.json", json.dumps(comparison_json(found), indent=1, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    log.info("tables, figures/label_compare.* and label_compare.json are in %s", options.out)


if __name__ == "__main__":
    run_cli(main)
