"""The command line of suites: list, run, validate, init, build and export."""

import logging
import shlex
import sys
from typing import TYPE_CHECKING

from jfewshot.commandline import EXIT_CHECK_FAILED, run_cli

if TYPE_CHECKING:
    from jfewshot.suite.options import (
        SuiteBuildOptions,
        SuiteExportOptions,
        SuiteInitOptions,
        SuiteListOptions,
        SuiteRunOptions,
        SuiteValidateOptions,
    )

log = logging.getLogger("jfewshot.suite")


def main(arguments: list[str] | None = None) -> int:
    """Run the subcommand that the arguments begin with; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.suite.options import (
        SuiteBuildOptions,
        SuiteExportOptions,
        SuiteInitOptions,
        SuiteListOptions,
        SuiteRunOptions,
        SuiteValidateOptions,
    )

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    subcommand, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if subcommand == "list":
        return list_(start(SuiteListOptions, rest, "suite list"))
    if subcommand == "run":
        return run(start(SuiteRunOptions, rest, "suite run"))
    if subcommand == "validate":
        return validate(start(SuiteValidateOptions, rest, "suite validate"))
    if subcommand == "init":
        return init(start(SuiteInitOptions, rest, "suite init"))
    if subcommand == "build":
        return build(start(SuiteBuildOptions, rest, "suite build"))
    if subcommand == "export":
        return export(start(SuiteExportOptions, rest, "suite export"))
    from jfewshot.commandline.front_door import main as front_door

    return front_door(["suite", *arguments]) or 0


def list_(options: "SuiteListOptions") -> int:
    """List the suites, or the tasks of one."""
    from jfewshot.printable import printable
    from jfewshot.suite.definition import load_suite, shipped_suites
    from jfewshot.suite.listing import suite_line, tasks_text

    if options.suite is None:
        text = "\n".join(suite_line(load_suite(name)) for name in shipped_suites()) + "\n"
    else:
        text = tasks_text(load_suite(options.suite))
    sys.stdout.write(printable(text))
    return 0


def run(options: "SuiteRunOptions") -> int:
    """Evaluate encoders on a suite, print the tables and write the contributions."""
    from jfewshot.suite.definition import load_suite

    suite = load_suite(options.suite)
    # What needs JAX comes in from here on, so that --help and mistakes need not wait for it.
    from jfewshot.evaluator.compile_cache import use_compile_cache
    from jfewshot.evaluator.devices import use_all_cores
    from jfewshot.suite.printing import print_run
    from jfewshot.suite.running import run_suite

    use_all_cores()
    use_compile_cache(options.compile_cache)
    found = run_suite(suite, options)
    if found is None:
        return 0
    print_run(suite, found, options.out)
    for path in found.paths:
        log.info("wrote %s", path)
    if found.paths:
        log.info("next: jfewshot suite validate %s", " ".join(shlex.quote(str(path)) for path in found.paths[:3]))
    return 0


def validate(options: "SuiteValidateOptions") -> int:
    """Check contributed files; the exit status says whether all are in order."""
    from jfewshot.printable import in_a_line
    from jfewshot.suite.checking import check_files
    from jfewshot.suite.definition import load_suite

    if options.evaluate:
        from jfewshot.evaluator.devices import use_all_cores

        use_all_cores()
    asked = None if options.suite is None else load_suite(options.suite)
    found = check_files(options.files, asked, options.stores, options.evaluate)
    for path, (said, one) in found.items():
        lines = [f"{'BROKEN' if one.errors else 'ok'}  {path}{said}"]
        lines += [f"  error: {line}" for line in one.errors]
        lines += [f"  unverified: {line}" for line in one.unverified]
        lines += [f"  checked: {line}" for line in one.checked]
        # The name of an encoder is foreign text: a line feed in it must not look like a line on another file.
        sys.stdout.write("\n".join(map(in_a_line, lines)) + "\n")
    if not found:
        log.info("there are no contributions in %s", ", ".join(map(str, options.files)))
    return EXIT_CHECK_FAILED if any(one.errors for _, one in found.values()) else 0


def init(options: "SuiteInitOptions") -> int:
    """Make the folder of a leaderboard."""
    from jfewshot.suite.definition import load_suite
    from jfewshot.suite.leaderboard import make_leaderboard

    written = make_leaderboard(options.folder, load_suite(options.suite))
    log.info("wrote %d files; next: jfewshot suite build %s", len(written), shlex.quote(str(options.folder)))
    return 0


def build(options: "SuiteBuildOptions") -> int:
    """Write the page of a leaderboard, if all of its contributions are in order."""
    from jfewshot.printable import printable
    from jfewshot.suite.leaderboard import build_leaderboard, read_leaderboard, stale_files

    board = read_leaderboard(options.folder, options.stores)
    if board.problems:
        sys.stdout.write(printable("\n".join(f"error: {line}" for line in board.problems)) + "\n")
        return EXIT_CHECK_FAILED
    if options.check:
        stale = stale_files(board)
        for path in stale:
            sys.stdout.write(
                printable(f"error: {path} is not what the contributions give; build the leaderboard again") + "\n"
            )
        return EXIT_CHECK_FAILED if stale else 0
    paths = build_leaderboard(board)
    log.info("%d contributions; wrote %s", len(board.files), ", ".join(map(str, paths)))
    return 0


def export(options: "SuiteExportOptions") -> int:
    """Write contributions in other people's formats."""
    from jfewshot.errors import UserError
    from jfewshot.reporting.hub import check_dataset_id
    from jfewshot.suite.checking import suite_of
    from jfewshot.suite.contribution import read_contribution
    from jfewshot.suite.exporting import export_contributions
    from jfewshot.suite.filling import known_digests
    from jfewshot.suite.validating import validate as validate_one

    hub_dataset = None if options.hub_dataset is None else check_dataset_id(options.hub_dataset)
    contributions = {path: read_contribution(path) for path in options.files}
    suite = suite_of(options.files[0], contributions[options.files[0]], options.suite)
    for path, one in contributions.items():
        errors = validate_one(one, suite, known_digests(suite, ())).errors
        if errors:
            raise UserError(f"{path}: {errors[0]}")
    by_encoder = {one.encoder.name: one for one in contributions.values()}
    if len(by_encoder) < len(contributions):
        raise UserError("two files are of one encoder; give one file for each encoder")
    paths = export_contributions(suite, list(by_encoder.values()), options.out, hub_dataset)
    log.info("wrote %d files to %s", len(paths), options.out)
    return 0


if __name__ == "__main__":
    run_cli(main)
