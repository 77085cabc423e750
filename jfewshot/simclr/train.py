"""Pretraining's command line: `python -m jfewshot.simclr.train --data.source SPEECH --out RUN`."""

import logging

import tyro

from jfewshot.errors import run_cli
from jfewshot.simclr.config import TrainConfig


def main() -> None:
    """Parse, train."""
    config = tyro.cli(TrainConfig)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("absl", "jax"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    from jfewshot.simclr.training.loop import train  # after the flags are read: --help needs no JAX

    train(config)


if __name__ == "__main__":
    run_cli(main)
