"""Audio made, and decoded, by other programs: tests that need one are skipped, by its name, where it is not installed."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 22_050


def signal(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """A hushed half and a loud one: their bit rates differ much."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * rate))
    return (noise * np.where(np.arange(len(noise)) < len(noise) // 2, 1e-3, 0.15)).astype(np.float32)


def written(path: Path, seconds: float = 1.0, rate: int = RATE, **how) -> Path:
    """The signal in a file, written by libsndfile."""
    soundfile.write(path, signal(seconds, rate), rate, **how)
    return path


def run(*command: object, stdin: bytes | None = None) -> bytes:
    """What a program writes to its standard output."""
    name = str(command[0])
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return subprocess.run([str(part) for part in command], input=stdin, capture_output=True, check=True).stdout


def ffmpeg(source: Path, *options: object) -> bytes:
    """What ffmpeg makes of a file, through a pipe: it cannot go back and write sizes into the header."""
    return run("ffmpeg", "-v", "error", "-i", source, *options, "-")


def decoded_by_ffmpeg(path: Path, channels: int = 1) -> np.ndarray:
    """The mean of a file's channels, as ffmpeg decodes them."""
    samples = np.frombuffer(ffmpeg(path, "-f", "f32le"), np.float32)
    return samples.reshape(-1, channels).mean(axis=1)
