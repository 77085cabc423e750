"""Pretraining's command line: `jfewshot pretrain --data.source SPEECH --out RUN`."""

import logging
import shlex

from jfewshot.commandline import run_cli

log = logging.getLogger("jfewshot.simclr")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and train; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.simclr.config import TrainConfig

    config = start(TrainConfig, arguments, "pretrain")
    from jfewshot.simclr.training.loop import train  # after the options are read, so that --help does not wait for JAX

    train(config)
    folder = shlex.quote(str(config.out))
    log.info("wrote %s; next: jfewshot export %s --out ENCODER --name NAME", config.out, folder)
    return 0


if __name__ == "__main__":
    run_cli(main)
