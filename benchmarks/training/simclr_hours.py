"""Estimates how long Speech SimCLR at the paper's size takes on some machines, from the count of operations."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from benchmarks.training.simclr_projection import SIMCLR_STEPS, model_flops
from jfewshot.simclr.config import DataConfig, TrainConfig

# The defaults of the configuration are the paper's settings.
PAPER = TrainConfig(DataConfig(Path()), Path())


@dataclass(frozen=True)
class Machine:
    """A machine to train on.

    Attributes:
      title: its usual name.
      devices: number of devices.
      peak: bfloat16 operations (without sparsity) a second of one device, from its maker's data sheet.
      flags: options with which 600 utterances should fit into the memory. They were not tried on this machine.
    """

    title: str
    devices: int
    peak: float
    flags: str


MACHINES = {
    "h200": Machine("one NVIDIA H200", 1, 989e12, "--chunks 10"),
    "tpu-v5e-8": Machine("TPU v5e-8", 8, 197e12, "--chunks 5"),
    "a100x8": Machine("eight NVIDIA A100", 8, 312e12, "--chunks 3"),
}

# Measured rate of TERA's training step on one H200, for 32 x 1,200 frames in bfloat16 (docs/benchmarks.md).
MEASURED_STEPS_PER_S = 50.8


def sustained_share() -> float:
    """The share of an H200's peak rate of operations that TERA's step reached."""
    tera = dataclasses.replace(PAPER, profile="tera", batch=32, chunks=1)
    return MEASURED_STEPS_PER_S * model_flops(tera, 1200) / MACHINES["h200"].peak


def hours(machine: Machine, steps: int = SIMCLR_STEPS) -> tuple[float, float]:
    """How long the training takes, from the count of operations.

    Args:
      machine: the machine to train on.
      steps: number of steps.

    Returns:
      two numbers of hours, both at the measured share of the peak: without repeated computation, and with `--chunks`, which
      computes each forward pass twice (4/3 of the operations). Neither counts the operations of augmentation.
    """
    frames = 1 + int((PAPER.data.crop_s * 1000 - PAPER.fbank.frame_ms) / PAPER.fbank.hop_ms)
    seconds = steps * model_flops(PAPER, frames) / (sustained_share() * machine.peak * machine.devices)
    return seconds / 3600, seconds / 3600 * 4 / 3


def needed_s_per_s(machine: Machine) -> float:
    """Seconds of speech that a training uses per second on a machine, if no forward pass is computed twice."""
    return 600 * 12.0 * SIMCLR_STEPS / (hours(machine)[0] * 3600)
