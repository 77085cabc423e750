"""The command line of suites: list and run."""

import logging
import shlex
import sys
from typing import TYPE_CHECKING

from jfewshot.commandline import run_cli

if TYPE_CHECKING:
    from jfewshot.suite.options import SuiteListOptions, SuiteRunOptions

log = logging.getLogger("jfewshot.suite")


def main(arguments: list[str] | None = None) -> int:
    """Run the subcommand that the arguments begin with; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.suite.options import SuiteListOptions, SuiteRunOptions

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    subcommand, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if subcommand == "list":
        return list_(start(SuiteListOptions, rest, "suite list"))
    if subcommand == "run":
        return run(start(SuiteRunOptions, rest, "suite run"))
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


if __name__ == "__main__":
    run_cli(main)
