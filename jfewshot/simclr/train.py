"""Pretraining's command line: `python -m jfewshot.simclr.train --data.source SPEECH --out RUN`."""

import tyro

from jfewshot.commandline import log_plainly, run_cli
from jfewshot.simclr.config import TrainConfig


def main() -> None:
    """Parse, train."""
    config = tyro.cli(TrainConfig)
    log_plainly()
    from jfewshot.simclr.training.loop import train  # after the flags are read: --help needs no JAX

    train(config)


if __name__ == "__main__":
    run_cli(main)
