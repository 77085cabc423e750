"""Pretraining's command line: `jfewshot pretrain --data.source SPEECH --out RUN`."""

from jfewshot.commandline import run_cli


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and train; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.simclr.config import TrainConfig

    config = start(TrainConfig, arguments, "pretrain")
    from jfewshot.simclr.training.loop import train  # after the options are read: --help needs no JAX

    train(config)
    return 0


if __name__ == "__main__":
    run_cli(main)
