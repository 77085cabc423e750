"""`jfewshot export RUN --out FOLDER --name NAME`."""

from jfewshot.commandline import run_cli


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and export; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.simclr.export.options import ExportOptions

    options = start(ExportOptions, arguments, "export")
    from jfewshot.simclr.export.run import export  # after the options are read: --help needs no JAX

    export(options)
    return 0


if __name__ == "__main__":
    run_cli(main)
