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
    from jfewshot.simclr.export.run import export  # after the options are read, so that --help does not wait for JAX

    with Progress("exporting"):
        export(options)
    out = shlex.quote(str(options.out))
    upstream = {"folder": f"simclr:{out}", "onnx": f"onnx:{out}"}.get(options.format)
    if upstream:
        log.info(
            "wrote %s; next: jfewshot extract --upstreams %s --datasets DATASET --root FOLDER", options.out, upstream
        )
    elif options.format == "s3prl":
        log.info("wrote %s; next, in s3prl: run_downstream.py -u tera_local -k %s", options.out, out)
    else:
        log.info("wrote %s", options.out)
    return 0


if __name__ == "__main__":
    run_cli(main)
