"""Measures training steps per second on this machine's GPU, and estimates how long the published trainings would take.

    python -m benchmarks.training.simclr_projection [--json simclr_projection.json]          # on a GPU; minutes
    python -m benchmarks.training.simclr_projection --trial --scale 0.02 --steps 2           # tests this script on a CPU

The command stops with an error if there is no GPU, because a CPU's time says nothing about the published trainings.

A step computes everything from waveform to update. The waves are random and exist before the measurement. Two trainings are
measured, both with utterances of 12 s: TERA with a batch of 32 (1 M steps, as in s3prl), and Speech SimCLR with reconstruction
with the paper's batch of 600 (70,300 steps, 150 epochs of 960 h). Model FLOPs are the matrix products of the encoder: the forward
pass, and twice as many for the backward pass. Augmentation and repeated forward passes are not counted.
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import tyro

from benchmarks.tools.measuring import write_json
from jfewshot.commandline import run_cli
from jfewshot.errors import UserError
from jfewshot.simclr.augmentation import make_banks
from jfewshot.simclr.config import DataConfig, TrainConfig
from jfewshot.simclr.data import Batch
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.features import FbankSettings, n_frames
from jfewshot.simclr.training.loop import initial_state
from jfewshot.simclr.training.step import Fixed, train_step

# Peak rate of dense bfloat16 operations in FLOP/s, from the maker's data sheet. The key is a part of JAX's name of the device.
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40": 181e12, "T4": 65e12, "V100": 125e12}
TERA_STEPS, SIMCLR_STEPS = 1_000_000, 70_300


@dataclass(frozen=True)
class ProjectionBenchmark:
    """Settings of the measurement."""

    scale: float = 1.0
    """Factor for both batch sizes."""
    crop_s: float = 12.0
    """Length of each utterance in seconds."""
    chunks: int = 10
    """Number of chunks of the batch of 600."""
    steps: int = 20
    """Number of timed steps, after one step that compiles."""
    compute_dtype: str = "bfloat16"
    """Number format of the matrix products."""
    peak: float | None = None
    """Peak rate of the device in that format, in FLOP/s. Without this option, a known device has its published peak, and for an
    unknown device no utilisation is reported."""
    trial: bool = False
    """Run also without a GPU, to test this script."""
    json: Path | None = None
    """File for the measured numbers."""


def model_flops(config: TrainConfig, frames: int) -> float:
    """FLOPs of the encoder's matrix products in one step, forward and backward."""
    encoder = config.encoder
    out = encoder.n_frames(frames)
    a_layer = 2 * out * (4 * encoder.d_model**2 + 2 * encoder.d_model * encoder.d_ff) + 4 * out**2 * encoder.d_model
    forward = encoder.n_layers * a_layer + 2 * frames * encoder.n_mels * encoder.d_model
    return 3.0 * config.batch * config.n_views * forward


def measured(config: TrainConfig, steps: int, total_steps: int, peak: float | None) -> dict[str, float | None]:
    """Measure steps per second, and compute the projected numbers."""
    samples = int(config.data.crop_s * config.fbank.sample_rate)
    rng = np.random.default_rng(0)
    batch = Batch(
        *jax.device_put(
            (
                0.1 * rng.standard_normal((config.batch, samples)).astype(np.float32),
                np.full(config.batch, samples, np.int32),
                np.arange(config.batch, dtype=np.int32),
                np.zeros(config.batch, np.int32),
            )
        )
    )
    banks = make_banks(config.augmentation, samples, config.fbank.sample_rate, 0)
    fixed = jax.device_put(Fixed(banks, np.full((1, 80), -6, np.float32), np.full((1, 80), 3, np.float32)))
    step, state, key = train_step(config), initial_state(config), jax.random.key(0)
    state, _ = jax.block_until_ready(step(state, batch, key, fixed))
    began = time.perf_counter()
    for _ in range(steps):
        state, metrics = step(state, batch, key, fixed)
    jax.block_until_ready(state)
    per_s = steps / (time.perf_counter() - began)
    flops = model_flops(config, n_frames(samples, FbankSettings()))
    return {"batch": config.batch, "loss": float(metrics["loss"]), **projected(per_s, flops, total_steps, peak)}


def projected(per_s: float, flops: float, total_steps: int, peak: float | None) -> dict[str, float | None]:
    """Rate of operations, utilisation of the device, and hours of the published training, from the steps per second.

    Args:
      per_s: steps per second.
      flops: FLOPs of the model in one step.
      total_steps: number of steps of the published training.
      peak: peak rate of the device in FLOP/s; None if unknown.
    """
    return {
        "steps_per_s": per_s,
        "model_tflop_per_s": per_s * flops / 1e12,
        "utilisation": per_s * flops / peak if peak else None,
        "hours": total_steps / per_s / 3600,
    }


def main() -> None:
    """Measure, print, and write the JSON."""
    settings = tyro.cli(ProjectionBenchmark, description=__doc__)
    if jax.default_backend() != "gpu" and not settings.trial:
        raise UserError(
            f"this measures a GPU and JAX has none here, only {jax.default_backend()} (pip install 'jfewshot[cuda]' for "
            "NVIDIA's). To try the script itself: --trial --scale 0.02 --steps 2"
        )
    kind = jax.devices()[0].device_kind
    peak = settings.peak or next((value for name, value in PEAKS.items() if name in kind), None)
    encoder = EncoderConfig(compute_dtype=settings.compute_dtype)  # type: ignore[arg-type]
    base = TrainConfig(DataConfig(Path(), crop_s=settings.crop_s), Path(), encoder=encoder)
    chunks = settings.chunks if settings.scale == 1.0 else 1
    runs = {
        "tera": (dataclasses.replace(base, profile="tera", batch=max(round(32 * settings.scale), 1)), TERA_STEPS),
        "speech_simclr_recon": (
            dataclasses.replace(base, batch=max(round(600 * settings.scale), 2), chunks=chunks),
            SIMCLR_STEPS,
        ),
    }
    rows = {}
    for name, (config, total) in runs.items():
        row = rows[name] = measured(config, settings.steps, total, peak)
        share = "unknown" if row["utilisation"] is None else f"{row['utilisation']:.1%}"
        print(
            f"{name}: batch {config.batch} x {settings.crop_s:g} s: {row['steps_per_s']:.3f} steps/s, "
            f"{row['model_tflop_per_s']:.2f} model TFLOP/s, utilisation {share}; "
            f"{total:,} steps take {row['hours']:.1f} h ({kind})"
        )
    if settings.json:
        write_json(settings.json, {"device": kind, "peak_flop_per_s": peak, "rows": rows})


if __name__ == "__main__":
    run_cli(main)
