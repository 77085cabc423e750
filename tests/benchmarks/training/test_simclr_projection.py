"""What a training would take: the arithmetic behind steps per second."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from benchmarks.training.simclr_projection import PEAKS, main, model_flops, projected
from jfewshot.errors import UserError
from jfewshot.simclr.config import DataConfig, TrainConfig
from jfewshot.simclr.encoder import Encoder, EncoderConfig

SMALL = EncoderConfig(n_layers=2, d_model=64, d_ff=256, n_heads=4, dropout=0.0)


def test_model_flops_are_those_that_xla_counts():
    config = TrainConfig(DataConfig(Path()), Path(), profile="tera", encoder=SMALL, batch=4)
    encoder = nnx.eval_shape(lambda: Encoder(SMALL, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(encoder)
    features, n_frames = jax.ShapeDtypeStruct((4, 100, 80), jnp.float32), jax.ShapeDtypeStruct((4,), jnp.int32)
    forward = jax.jit(lambda state, x, n: nnx.merge(graph, state)(x, n)[0][-1])
    counted = forward.lower(state, features, n_frames).compile().cost_analysis()["flops"]
    # XLA counts norms, softmax and GELU besides, a few per cent at this width.
    assert model_flops(config, 100) / 3 == pytest.approx(counted, rel=0.1)
    assert model_flops(config, 100) < 3 * counted
    # Two views of each utterance, where views are contrasted.
    both = dataclasses.replace(config, profile="speech_simclr_recon")
    assert model_flops(both, 100) == 2 * model_flops(config, 100)


def test_hours_and_utilisation_follow_from_steps_per_second():
    found = projected(per_s=50.0, flops=2e12, total_steps=1_000_000, peak=PEAKS["H100"])
    assert found["hours"] == pytest.approx(5.5556, abs=1e-4)
    assert found["model_tflop_per_s"] == 100.0
    assert found["utilisation"] == pytest.approx(1e14 / 989e12)
    assert projected(1.0, 1.0, 1, None)["utilisation"] is None


def test_without_a_gpu_it_says_so(monkeypatch):
    if jax.default_backend() == "gpu":
        pytest.skip("there is a GPU")
    monkeypatch.setattr("sys.argv", ["simclr_projection"])
    with pytest.raises(UserError, match="JAX has none here, only cpu"):
        main()
