"""Measures pretraining steps: the whole Speech SimCLR step from waves, and TERA's step on given features, ours and PyTorch's."""

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from benchmarks.training.simclr_step import StepBenchmark, make_given, our_step
from benchmarks.training.simclr_torch import plain_torch
from jfewshot.simclr.augmentation import make_banks
from jfewshot.simclr.config import DataConfig, TrainConfig
from jfewshot.simclr.data import Batch
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.training.loop import initial_state
from jfewshot.simclr.training.step import Fixed, train_step

_RATE = 16_000
ComputeType = Literal["float32", "bfloat16"]


def simclr(batch: int, crop_s: float, dtype: ComputeType, encoder: EncoderConfig, steps: int = 5) -> dict[str, Any]:
    """Measure our whole step: two augmented views of each wave, features, encoder, both losses, update."""
    encoder = dataclasses.replace(encoder, compute_dtype=dtype)
    config = TrainConfig(DataConfig(Path(), crop_s=crop_s), Path(), encoder=encoder, batch=batch)
    samples = int(crop_s * _RATE)
    rng = np.random.default_rng(0)
    waves = (0.1 * rng.standard_normal((batch, samples), np.float32)).astype(np.float32)
    given = Batch(waves, np.full(batch, samples, np.int32), np.arange(batch, dtype=np.int32), np.zeros(batch, np.int32))
    banks = make_banks(config.augmentation, samples, _RATE, 0)
    fixed = Fixed(banks, np.zeros((1, encoder.n_mels), np.float32), np.ones((1, encoder.n_mels), np.float32))
    given, fixed = jax.device_put((given, fixed))
    step, held, key = train_step(config), [initial_state(config)], jax.random.key(0)

    def work() -> None:
        held[0], metrics = step(held[0], given, key, fixed)
        jax.block_until_ready(metrics)

    found = _steps(work, steps)
    device = jax.local_devices()[0]
    peak = (device.memory_stats() or {}).get("peak_bytes_in_use") if device.platform != "cpu" else None
    rate = float(np.median(found["rates"]["steps"]))
    return found | {"device_peak_bytes": peak, "audio_s_per_s": rate * batch * crop_s}


def tera(
    side: str, batch: int, frames: int, dtype: ComputeType, encoder: EncoderConfig, device: str, steps: int = 5
) -> dict[str, Any]:
    """Measure the reconstruction step alone on given features, ours or PyTorch's, without dropout."""
    encoder = dataclasses.replace(encoder, compute_dtype=dtype, dropout=0.0)
    settings = StepBenchmark(batch=batch, frames=frames, encoder=encoder)
    given = make_given(settings)
    if side == "jfewshot":
        return _steps(our_step(settings, given), steps)
    import torch

    step = plain_torch(encoder, *given, device).step

    def work() -> None:
        step()
        if device == "cuda":
            torch.cuda.synchronize()

    found = _steps(work, steps)
    return found | {"device_peak_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else None}


def _steps(work, steps: int) -> dict[str, Any]:
    started = time.perf_counter()
    work()
    first_s = time.perf_counter() - started
    work()
    rates = []
    for _ in range(steps):
        started = time.perf_counter()
        work()
        rates.append(1 / (time.perf_counter() - started))
    return {"rates": {"steps": rates}, "first_call_s": first_s}
