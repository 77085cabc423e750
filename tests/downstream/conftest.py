"""Emotional speech for the tests: generated, in EmoDB's layout."""

import jax
import jaxtyping
import numpy as np
import pytest

# Shapes in signatures are checked at every call (and every trace) of the tests.
jaxtyping.install_import_hook(["jfewshot.downstream", "jfewshot.training"], "beartype.beartype")

EMOTION_HZ = {"W": 600.0, "T": 220.0, "N": 350.0}


@pytest.fixture(scope="session")
def speech(tmp_path_factory):
    """Four speakers, three emotions (told by pitch), six clips each, 0.2 to 0.5 s."""
    import soundfile

    root = tmp_path_factory.mktemp("emodb")
    (root / "wav").mkdir()
    rng = np.random.default_rng(0)
    for speaker in ("03", "08", "09", "10"):
        for letter, pitch_hz in EMOTION_HZ.items():
            for text in range(6):
                t = np.arange(int(16_000 * rng.uniform(0.2, 0.5))) / 16_000
                wave = 0.3 * np.sin(2 * np.pi * pitch_hz * rng.uniform(0.9, 1.1) * t) + 0.01 * rng.standard_normal(
                    t.size
                )
                soundfile.write(root / "wav" / f"{speaker}a{text:02d}{letter}a.wav", wave, 16_000)
    return root


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax's Adam divides by `1 - b1 ** count` with an integer count, which strict promotion forbids."""
    with jax.numpy_dtype_promotion("standard"):
        yield
