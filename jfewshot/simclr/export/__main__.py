"""`python -m jfewshot.simclr.export RUN --out FOLDER --name NAME`."""

import tyro

from jfewshot.commandline import log_plainly, run_cli
from jfewshot.simclr.export.run import ExportConfig, export


def main() -> None:
    """Parse, export."""
    log_plainly()
    export(tyro.cli(ExportConfig))


if __name__ == "__main__":
    run_cli(main)
