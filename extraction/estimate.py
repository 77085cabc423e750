"""Estimate the duration of an extraction on this machine, and the disk space of its stores: `jfewshot estimate`."""

import logging
import sys

from jfewshot.commandline import run_cli

log = logging.getLogger("extraction")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and print two tables: times, and disk space; returns the exit status."""
    from extraction.options import EstimateOptions
    from jfewshot.commandline.parsing import start

    options = start(EstimateOptions, arguments, "estimate")
    from extraction.estimating import (
        estimate,
    )  # imported after parsing the options: --help needs neither NumPy nor torch

    sys.stdout.write(estimate(options))
    log.info(
        "next: jfewshot extract --datasets %s --upstreams %s", " ".join(options.datasets), " ".join(options.upstreams)
    )
    return 0


if __name__ == "__main__":
    run_cli(main)
