"""Settings of the measurements of an encoder while it trains."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from jfewshot.errors import UserError

ACCURACY = "few_shot"
"""Name of the accuracy that chooses checkpoints, among a step's measured values: the mean over the numbers of shots."""


@dataclass(frozen=True)
class MonitorConfig:
    """Settings of measurements of the embeddings at regular steps, which do not change the training."""

    every: int = 250
    """Steps between two measurements; the untrained encoder and the last step are measured too. 0 measures nothing."""
    utterances: int = 256
    """Number of training utterances, drawn by the seed, from which the effective rank of the embeddings is computed. These
    also show a collapse of the embeddings."""
    development: Annotated[Path | None, arg(metavar="PATH")] = None
    """Labelled recordings on which few-shot accuracy is measured: a folder with a folder per class, or a manifest (.csv or
    .jsonl) with the columns path and class and, if known, group or speaker. No test set should contain these. The best
    checkpoints (--keep-best) are then those with the highest accuracy. Without this option, no accuracy is measured."""
    ways: int = 5
    """Classes of each episode; fewer where the development recordings have fewer."""
    shots: tuple[int, ...] = (1, 5)
    """Labelled recordings of each class in an episode; the accuracy that chooses checkpoints is the mean over these numbers."""
    n_query: int = 5
    """Recordings of each class in an episode that are classified."""
    episodes: int = 600
    """Number of episodes of each measurement, the same ones every time."""
    classifier: str = "ridge:alpha=auto"
    """Classifier of the episodes, as `jfewshot run --classifiers` names it, with one strength."""
    pooling: Literal["mean", "mean_std"] = "mean"
    """How the frames of the last layer become an embedding: their mean, or mean and standard deviation side by side."""
    longest_s: float = 5.0
    """Use only this many seconds from the beginning of each development recording."""
    patience: int | None = None
    """Stop the training when this many measurements in a row have not exceeded the highest accuracy on the development
    recordings. Without this option, all steps are trained."""

    def __post_init__(self) -> None:
        if self.every < 0 or self.utterances < 8 or self.longest_s <= 0:
            raise UserError(
                f"--monitor.every {self.every}, --monitor.utterances {self.utterances} and --monitor.longest-s "
                f"{self.longest_s:g}: needs 0 or more steps, 8 or more utterances and more than 0 seconds"
            )
        if min(self.ways, self.n_query, self.episodes, *self.shots, 99) < 1 or not self.shots or self.ways < 2:
            raise UserError(
                "--monitor.ways needs at least 2, and --monitor.shots, --monitor.n-query and --monitor.episodes at least 1"
            )
        if self.patience is not None:
            if self.patience < 1:
                raise UserError(f"--monitor.patience {self.patience}: needs at least 1 measurement")
            if self.development is None or not self.every:
                raise UserError(
                    "--monitor.patience stops by accuracy on labelled recordings: give --monitor.development and a "
                    "--monitor.every above 0"
                )
