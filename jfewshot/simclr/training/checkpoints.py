"""Decides which checkpoints of a run are the best: by accuracy on development recordings, or by the validation loss."""

from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.settings.monitor import ACCURACY
from jfewshot.training.checkpoints import Checkpoints


def run_checkpoints(config: TrainConfig, validated: bool = True) -> Checkpoints:
    """Open the checkpoints of a run. The best have the highest accuracy on development recordings, or the lowest validation loss.

    Args:
      config: settings of the run.
      validated: whether there is a validation loss.
    """
    folder = config.out / "checkpoints"
    if config.monitor.every and config.monitor.development is not None:
        return Checkpoints(folder, config.keep, config.keep_best, metric=ACCURACY, higher_is_better=True)
    return Checkpoints(folder, config.keep, config.keep_best if validated else 0)
