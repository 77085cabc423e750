"""The learning rate and the optimiser of pretraining."""

import optax

from jfewshot.simclr.config import TrainConfig
from jfewshot.training import schedules


def learning_rate(config: TrainConfig) -> optax.Schedule:
    """Learning rate at the update of step n, counted from 0."""
    return schedules.learning_rate(config.optimiser, config.encoder.d_model, config.steps)


def optimiser(config: TrainConfig) -> optax.GradientTransformation:
    """Clipping by the global norm, then AdamW."""
    return schedules.optimiser(config.optimiser, learning_rate(config))
