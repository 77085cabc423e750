"""Weights and waves by formula, on which the authors' own code for PASE+ and MT-SLVR was run once.

What it gave is in `reference/pase_plus.npz` and `reference/mt_slvr.npz`: parts of hidden states, embeddings and features, float32
on a CPU. Each tensor follows from its name and shape alone.
"""

import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "reference"
RATE = 16_000
# Three sines and two: frequency in Hz, amplitude, phase.
_LOW_VOICE = ((220.0, 0.15, 0.0), (440.0, 0.10, 0.3), (1330.0, 0.08, 0.9), (2710.0, 0.05, 1.7), (5230.0, 0.03, 2.2))
_HIGH_VOICE = ((131.0, 0.18, 0.5), (655.0, 0.09, 1.1), (1980.0, 0.06, 0.2), (3470.0, 0.05, 2.9), (6890.0, 0.02, 0.7))
_PASE_GAINS = {"blocks": 1.45, "denseskips": 0.3, "rnn": 1.5, "W": 3.0}


def reference(name: str) -> Mapping[str, np.ndarray]:
    """The arrays of `pase_plus` or `mt_slvr`."""
    return np.load(FOLDER / f"{name}.npz")


def pase_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of PASE+."""
    if name.endswith("num_batches_tracked"):
        return np.array(1000, np.int64)
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    uniform = rng.random(shape)
    kind = name.rpartition(".")[2]
    if kind in ("low_hz_", "band_hz_"):
        sign = np.where(rng.random(shape) < 0.25, -1.0, 1.0)
        hz = sign * (7700 * uniform if kind == "low_hz_" else 100 + 1400 * uniform)
        return hz.astype(np.float32)
    if kind == "running_var":
        values = (0.5 + uniform) * (0.1 if name.startswith("blocks.0.") else 1.0)
    elif kind == "running_mean" or name.endswith("norm.bias"):
        values = 0.4 * uniform - 0.2
    elif name.endswith("norm.weight"):
        values = 0.75 + 0.5 * uniform
    elif name.endswith("act.weight"):
        values = 0.6 * uniform - 0.2
    elif kind == "bias":
        values = 0.2 * uniform - 0.1
    else:
        gain = _PASE_GAINS[name.partition(".")[0]]
        values = (2 * uniform - 1) * gain * math.sqrt(3 / np.prod(shape[1:]))
    return values.astype(np.float32)


def pase_waves() -> dict[str, np.ndarray]:
    """Waves by the names that the reference has for them, each batch x samples."""

    def wave(seed: int, n_samples: int, voice) -> np.ndarray:
        time = np.arange(n_samples) / RATE
        sines = sum(size * np.sin(2 * np.pi * hz * time + phase) for hz, size, phase in voice)
        noise = np.random.Generator(np.random.PCG64(seed)).random(n_samples)
        swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)
        return (sines * swell + 0.1 * (2 * noise - 1)).astype(np.float32)

    return {
        "a": wave(1, 16_000, _LOW_VOICE)[None],
        "c": np.stack([wave(3, 8000, _LOW_VOICE), wave(4, 8000, _HIGH_VOICE)]),
        "d": wave(5, 11_797, _LOW_VOICE)[None],
        "e": wave(6, 1593, _HIGH_VOICE)[None],
    }


def mt_slvr_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of MT-SLVR."""
    if name.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    values = _mixed(zlib.crc32(name.encode()), math.prod(shape)).reshape(shape)
    kind = name.rpartition(".")[2]
    if len(shape) > 1:
        values = values * np.sqrt(3 / np.prod(shape[1:]))
    elif name == "bn1.running_mean":  # in decibels
        values = 20 * values
    elif name == "bn1.running_var":
        values = 800 * (1 + 0.5 * values)
    elif name.startswith("end_bns") and kind == "running_mean":
        values = 3 * values
    elif kind == "running_var":
        values = 1 + 0.5 * values
    elif kind in ("running_mean", "bias"):
        values = 0.2 * values
    else:
        values = 1 + 0.25 * values
    return values.astype(np.float32)


def mt_slvr_features(frames: int, number: int) -> np.ndarray:
    """Something like features, 1 x 3 x 128 x frames."""
    f, t = np.arange(128.0)[:, None], np.arange(float(frames))[None]
    power = -25 - 0.12 * f + 22 * np.sin(0.11 * f + 0.07 * t + number) + 9 * np.cos(0.31 * t - 0.02 * f)
    magnitude = 2 - 0.05 * f + 9 * np.sin(0.23 * f - 0.05 * t + 2 * number) + 4 * np.cos(0.41 * t + 0.3 * f)
    phase = 3.1 * np.sin(0.9 * f + 1.7 * t + 0.013 * f * t + number)
    return np.stack([power, magnitude, phase])[None].astype(np.float32)


def mt_slvr_wave(seconds: float, number: int = 0) -> np.ndarray:
    """A rising tone in noise."""
    n_samples = round(seconds * RATE)
    time = np.arange(n_samples) / RATE
    tone = 0.30 * np.sin(2 * np.pi * (220 * (number + 1) * time + 150 * time**2))
    return (tone + 0.15 * _mixed(1000 + number, n_samples)).astype(np.float32)


def _mixed(seed: int, count: int) -> np.ndarray:
    """Uniform in [-1, 1): splitmix64 of seed * 2^32 + position, its upper 53 bits."""
    z = (np.uint64(seed) << np.uint64(32)) + np.arange(1, count + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1
