"""`jfewshot export RUN --out FOLDER --name NAME`."""

import logging
import shlex

from jfewshot.commandline import run_cli

log = logging.getLogger("jfewshot.simclr")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and export; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.simclr.export.options import ExportOptions

    options = start(ExportOptions, arguments, "export")
    from jfewshot.commandline.progress import Progress
    from jfewshot.simclr.export.run import export  # after the options are read: --help needs no JAX

    with Progress("exporting"):
        export(options)
    out = shlex.quote(str(options.out))
    log.info(
        "wrote %s; next: jfewshot extract --upstreams simclr:%s --datasets DATASET --root FOLDER", options.out, out
    )
    return 0


if __name__ == "__main__":
    run_cli(main)
