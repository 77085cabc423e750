"""Speech for the tests: a synthetic voice everywhere, and real recordings where they are at hand."""

import os
from pathlib import Path

import jax
import jaxtyping
import numpy as np
import pytest

# Shapes in signatures are checked at every call (and every trace) of the tests.
jaxtyping.install_import_hook(["jfewshot.simclr", "jfewshot.training"], "beartype.beartype")

# Published recordings (Free Spoken Digits, Arabic Speech Commands, ESC-10), too large and not ours to commit.
RECORDINGS = Path(os.environ.get("JFEWSHOT_AUDIO", Path(__file__).parents[3] / "shared" / "audio"))


@pytest.fixture(scope="session")
def spoken_words() -> list[Path]:
    """Real recordings of single words, 16 kHz, one second each, of several speakers."""
    files = sorted(RECORDINGS.glob("arabic-speech-commands/[a-z]*/*.wav"))[::97]
    if not files:
        pytest.skip(f"no recordings in {RECORDINGS}: set JFEWSHOT_AUDIO to a folder with arabic-speech-commands/")
    return files


@pytest.fixture(scope="session")
def voice() -> np.ndarray:
    """Two seconds at 16 kHz that behave like speech: a gliding harmonic voice with formants, pauses and breath
    noise."""
    rng = np.random.default_rng(0)
    t = np.arange(32_000) / 16_000
    pitch_hz = 120 + 40 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / 16_000
    formants_hz = np.array([600, 1200, 2600]) * (1 + 0.2 * np.sin(2 * np.pi * 1.3 * t))[:, None]
    wave = np.zeros_like(t)
    for k in range(1, 40):
        gain = np.exp(-(((k * pitch_hz)[:, None] - formants_hz) ** 2) / 2e5).sum(axis=1)
        wave += gain * np.sin(k * phase) / k**0.5
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * t) + 0.3, 0, 1)
    wave = wave * syllables + 0.01 * rng.standard_normal(t.size)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.fixture
def devices():
    """The first n devices, or a reason why not: the root conftest asks for eight virtual ones."""

    def first(n: int):
        available = jax.devices()
        if len(available) < n:
            pytest.skip(f"needs {n} devices, this process was started with {len(available)}")
        return available[:n]

    return first
