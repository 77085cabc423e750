"""How fast is a training step beside the same model in plain PyTorch and beside s3prl's own TERA step, and how much memory
do chunks save?

    python -m benchmarks.simclr_step [--batch 16] [--frames 400] [--json simclr_step.json]

Forward, backward and update with a reconstruction loss on given features (no augmentation on any side), the same sizes,
float32, without dropout. Rounds alternate between the three, and the fastest of each counts. s3prl's step is its
pretraining model (s3prl/pretrain, in its wheel) with its loss over masked elements, its clipping and its BertAdam. Then the
peak temporary memory that XLA plans for the whole SimCLR step, by number of chunks.
"""

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable
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
from jfewshot.simclr.encoder.transformer import sinusoids
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


def jax_step(settings: Settings) -> Callable[[], object]:
    """One step, ours."""
    rngs = nnx.Rngs(0)
    modules = nnx.Dict(encoder=Encoder(settings.encoder, rngs=rngs), head=SpectrogramHead(settings.encoder, rngs=rngs))
    graph, params = nnx.split(modules)
    optimise = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-4))
    features = jax.random.normal(jax.random.key(0), (settings.batch, settings.frames, settings.encoder.n_mels))
    n_frames = jnp.full(settings.batch, settings.frames, jnp.int32)

    def loss(params):
        model = nnx.merge(graph, params)
        states, _ = model["encoder"](features, n_frames)
        return jnp.mean(jnp.abs(model["head"](states[-1], settings.frames) - features))

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, moments):
        updates, moments = optimise.update(jax.grad(loss)(params), moments, params)
        return optax.apply_updates(params, updates), moments

    state = [params, optimise.init(params)]

    def run():
        state[:] = jax.block_until_ready(step(*state))

    return run


def torch_step(settings: Settings) -> Callable[[], object]:
    """One step of PyTorch's own transformer of the same sizes."""
    import torch

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

    def run():
        optimise.zero_grad()
        (model(features) - features).abs().mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimise.step()

    return run


def s3prl_step(settings: Settings) -> Callable[[], object]:
    """One step of s3prl's TERA, as its runner takes it."""
    import torch

    from extraction.upstreams.s3prl.compat import prepare_torchaudio

    prepare_torchaudio()
    import s3prl

    # Its pretraining code imports itself from its own folder.
    sys.path.insert(0, str(Path(s3prl.__file__).parent))
    from optimizers import get_optimizer
    from pretrain.mockingjay.pretrain_expert import TransformerForMaskedAcousticModel
    from upstream.mockingjay.model import TransformerConfig

    config = settings.encoder
    sizes = {
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.d_ff,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": config.layer_norm_eps,
        "share_layer": False,
        "pre_layer_norm": config.norm == "pre",
    }
    chosen = TransformerConfig(sizes)
    chosen.loss = "L1"
    model = TransformerForMaskedAcousticModel(chosen, config.n_mels, config.n_mels)
    optimise = get_optimizer(
        [model], 1_000_000, {"name": "BertAdam_with_schedule", "lr": 2e-4, "warmup_proportion": 0.07}
    )
    target = torch.randn(settings.batch, settings.frames, config.n_mels)
    masked = torch.rand_like(target) < 0.15
    attention = torch.ones(settings.batch, settings.frames)
    positions = torch.from_numpy(sinusoids(settings.frames, config.d_model)).expand(settings.batch, -1, -1)

    def run():
        loss, _ = model(torch.where(masked, 0.0, target), positions, masked, attention, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimise.step()
        optimise.zero_grad()

    return run


def step_s(settings: Settings) -> dict[str, float]:
    """Seconds of the fastest step of each that is installed."""
    runs: dict[str, Callable[[], object]] = {"jax": jax_step(settings)}
    for name, make in {"torch": torch_step, "s3prl": s3prl_step}.items():
        try:
            runs[name] = make(settings)
        except ImportError as error:
            print(f"{name}: not measured ({error})")
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(settings.rounds + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: min(of_one[1:]) for name, of_one in times.items()}


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
    seconds = step_s(settings)
    what = {"batch": settings.batch, "frames": settings.frames, "encoder": dataclasses.asdict(settings.encoder)}
    numbers: dict[str, object] = {"settings": what, "device": jax.default_backend(), "step_s": seconds}
    for name, each in seconds.items():
        print(
            f"{settings.batch} x {settings.frames} frames: {name:5s} {each:.3f} s a step, {each / seconds['jax']:.2f} of ours"
        )
    memory = numbers["memory_mib"] = chunk_memory_mib(settings)
    for chunks, mib in memory.items():
        print(f"{chunks} chunks: {mib:.0f} MiB of temporary memory")
    if settings.json:
        settings.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
