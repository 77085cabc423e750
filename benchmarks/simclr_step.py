"""How fast is a training step beside the same model in plain PyTorch, and how much memory do chunks save?

    python benchmarks/simclr_step.py [--batch 16] [--frames 400] [--json simclr_step.json]

Encoder forward and backward with a reconstruction loss on given features (no augmentation on either side), same
sizes, float32, AdamW, the fastest of a few steps. Then the peak temporary memory that XLA plans for the whole SimCLR
step, by number of chunks.
"""

import dataclasses
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx

from jfewshot.simclr.augmentation import AugmentationConfig, make_banks
from jfewshot.simclr.config import DataConfig, TrainConfig
from jfewshot.simclr.data import Batch
from jfewshot.simclr.encoder import Encoder, EncoderConfig, SpectrogramHead
from jfewshot.simclr.training.loop import initial_state
from jfewshot.simclr.training.step import Fixed, loss_function


@dataclass(frozen=True)
class Settings:
    """What is measured."""

    batch: int = 8
    """Utterances per step."""
    frames: int = 400
    """Frames per utterance."""
    rounds: int = 3
    """The fastest step counts."""
    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(dropout=0.0))
    """The paper's by default."""
    chunks: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of chunks whose memory is compared."""
    json: Path | None = None
    """Write the numbers here."""


def jax_step_s(settings: Settings) -> float:
    """Seconds per step, ours."""
    rngs = nnx.Rngs(0)
    modules = nnx.Dict(encoder=Encoder(settings.encoder, rngs=rngs), head=SpectrogramHead(settings.encoder, rngs=rngs))
    graph, params = nnx.split(modules)
    optimise = optax.adamw(1e-4)
    features = jax.random.normal(jax.random.key(0), (settings.batch, settings.frames, settings.encoder.n_mels))
    n_frames = jnp.full(settings.batch, settings.frames, jnp.int32)

    def loss(params):
        model = nnx.merge(graph, params)
        states, _ = model["encoder"](features, n_frames)
        return jnp.mean(jnp.abs(model["head"](states[-1], settings.frames) - features))

    @jax.jit
    def step(params, moments):
        updates, moments = optimise.update(jax.grad(loss)(params), moments, params)
        return optax.apply_updates(params, updates), moments

    state = step(params, optimise.init(params))
    jax.block_until_ready(state)
    times = []
    for _ in range(settings.rounds):
        began = time.perf_counter()
        state = jax.block_until_ready(step(*state))
        times.append(time.perf_counter() - began)
    return min(times)


def torch_step_s(settings: Settings) -> float | None:
    """Seconds per step of PyTorch's own transformer of the same sizes; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    config = settings.encoder
    layer = torch.nn.TransformerEncoderLayer(
        config.d_model, config.n_heads, config.d_ff, dropout=0.0, activation="gelu", batch_first=True
    )
    model = torch.nn.Sequential(
        torch.nn.Linear(config.n_mels, config.d_model),
        torch.nn.LayerNorm(config.d_model),
        torch.nn.TransformerEncoder(layer, config.n_layers, enable_nested_tensor=False),
        torch.nn.Linear(config.d_model, config.d_model),
        torch.nn.GELU(),
        torch.nn.LayerNorm(config.d_model),
        torch.nn.Linear(config.d_model, config.n_mels),
    )
    optimise = torch.optim.AdamW(model.parameters(), lr=1e-4)
    features = torch.randn(settings.batch, settings.frames, config.n_mels)
    times = []
    for _ in range(settings.rounds + 1):
        began = time.perf_counter()
        optimise.zero_grad()
        (model(features) - features).abs().mean().backward()
        optimise.step()
        times.append(time.perf_counter() - began)
    return min(times[1:])


def chunk_memory_mib(settings: Settings) -> dict[int, float]:
    """Planned temporary memory of loss and gradient by number of chunks, in MiB."""
    samples = 160 * settings.frames + 240
    plain = AugmentationConfig(speed=False, pitch=False, reverb=False)
    batch = Batch(
        np.zeros((settings.batch, samples), np.float32),
        np.full(settings.batch, samples, np.int32),
        np.arange(settings.batch, dtype=np.int32),
        np.zeros(settings.batch, np.int32),
    )
    found = {}
    for chunks in settings.chunks:
        if settings.batch % chunks:
            continue
        config = TrainConfig(
            DataConfig(Path()), Path(), encoder=settings.encoder, augmentation=plain, batch=settings.batch
        )
        config = dataclasses.replace(config, chunks=chunks)
        fixed = Fixed(
            make_banks(plain, samples, 16_000, 0), np.zeros((1, 80), np.float32), np.ones((1, 80), np.float32)
        )
        gradient = jax.jit(jax.grad(loss_function(config, None, True), has_aux=True))
        lowered = gradient.lower(initial_state(config).params, batch, jax.random.key(0), fixed)
        found[chunks] = lowered.compile().memory_analysis().temp_size_in_bytes / 2**20
    return found


def main() -> None:
    """Measure and print."""
    settings = tyro.cli(Settings, description=__doc__)
    numbers = {"jax_s": jax_step_s(settings), "torch_s": torch_step_s(settings), "device": jax.default_backend()}
    beside = "PyTorch is not installed" if numbers["torch_s"] is None else f"PyTorch (CPU) {numbers['torch_s']:.3f} s"
    print(
        f"step of {settings.batch} x {settings.frames} frames: JAX ({numbers['device']}) {numbers['jax_s']:.3f} s, {beside}"
    )
    numbers["memory_mib"] = chunk_memory_mib(settings)
    for chunks, mib in numbers["memory_mib"].items():
        print(f"{chunks} chunks: {mib:.0f} MiB of temporary memory")
    if settings.json:
        settings.json.write_text(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    main()
