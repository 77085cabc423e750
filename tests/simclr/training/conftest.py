"""A tiny run: two seconds of compilation, milliseconds a step."""

import jax
import pytest

from jfewshot.simclr.augmentation import AugmentationConfig
from jfewshot.simclr.config import DataConfig, OptimiserConfig, TrainConfig
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.settings import MonitorConfig


@pytest.fixture(scope="session")
def speech_folder(tmp_path_factory, voice):
    """48 pieces of a voice, 0.25 to 0.48 s."""
    import soundfile

    folder = tmp_path_factory.mktemp("speech")
    for k in range(48):
        soundfile.write(folder / f"{k:02d}.wav", voice[500 * k : 500 * k + 4000 + 80 * k], 16_000)
    return folder


@pytest.fixture
def tiny(speech_folder, tmp_path):
    """Settings; change them by `dataclasses.replace`."""
    return TrainConfig(
        data=DataConfig(speech_folder, crop_s=0.4, buckets=1, threads=1),
        out=tmp_path / "run",
        encoder=EncoderConfig(
            n_layers=1, d_model=16, d_ff=32, n_heads=2, prenet="conv1d", prenet_channels=8, dropout=0.1
        ),
        augmentation=AugmentationConfig(speed=False, pitch=False, reverb=False),
        optimiser=OptimiserConfig("cosine", rate=1e-3, warmup_steps=2),
        projection_hidden=16,
        projection_out=8,
        batch=16,
        steps=6,
        log_every=1,
        checkpoint_every=2,
        monitor=MonitorConfig(every=0),
        devices=1,
    )


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax's Adam divides by `1 - b1 ** count` with an integer count, which strict promotion forbids."""
    with jax.numpy_dtype_promotion("standard"):
        yield
