"""`python -m jfewshot.simclr.export RUN --out FOLDER --name NAME`."""

import logging

import tyro

from jfewshot.errors import run_cli
from jfewshot.simclr.export.run import ExportConfig, export


def main() -> None:
    """Parse, export."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("absl", "jax"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    export(tyro.cli(ExportConfig))


if __name__ == "__main__":
    run_cli(main)
