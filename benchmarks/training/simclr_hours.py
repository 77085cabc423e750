"""How long Speech SimCLR at the paper's size takes on some machines, from the count of operations."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from benchmarks.training.simclr_projection import SIMCLR_STEPS, model_flops
from jfewshot.simclr.config import DataConfig, TrainConfig

# The defaults are the paper's.
PAPER = TrainConfig(DataConfig(Path()), Path())


@dataclass(frozen=True)
class Machine:
    """What a training gets.

    Attributes:
      title: what people call it.
      devices: number of devices.
      peak: bfloat16 operations (without sparsity) a second of one device, from its maker's data sheet.
      flags: options by which 600 utterances should fit its memory; they were not tried on it.
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

# Of TERA's step on one H200, 32 x 1,200 frames in bfloat16: 50.8 steps a second (docs/benchmarks.md).
MEASURED_STEPS_PER_S = 50.8


def sustained_share() -> float:
    """The share of an H200's peak that TERA's step reached."""
    tera = dataclasses.replace(PAPER, profile="tera", batch=32, chunks=1)
    return MEASURED_STEPS_PER_S * model_flops(tera, 1200) / MACHINES["h200"].peak


def hours(machine: Machine, steps: int = SIMCLR_STEPS) -> tuple[float, float]:
    """How long the training takes, from the count of operations.

    Args:
      machine: what it runs on.
      steps: number of steps.

    Returns:
      hours if the device sustains the measured share of its peak and computes nothing twice; hours if `--chunks` computes each
      forward pass again (4/3 of the operations). Augmentation is not counted.
    """
    frames = 1 + int((PAPER.data.crop_s * 1000 - PAPER.fbank.frame_ms) / PAPER.fbank.hop_ms)
    seconds = steps * model_flops(PAPER, frames) / (sustained_share() * machine.peak * machine.devices)
    return seconds / 3600, seconds / 3600 * 4 / 3


def needed_s_per_s(machine: Machine) -> float:
    """Seconds of speech that a machine takes in a second, if nothing is computed twice."""
    return 600 * 12.0 * SIMCLR_STEPS / (hours(machine)[0] * 3600)
