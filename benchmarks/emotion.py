"""How fast does the paper's emotion head train beside the same model in plain PyTorch?

    python -m benchmarks.emotion [--batch 16] [--frames 300] [--json benchmarks/measured/emotion_cpu.json]

Twelve transformer layers (256, 2048, 4 heads), average pooling, linear; forward, backward, Adam; the same padded batch of
frames with true lengths on both sides, no dropout, float32. Steps are taken in turn; ratios are of steps in the same round.
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.measuring import in_turns, machine, markdown_table, ratio, write_json
from jfewshot.downstream.emotion.batches import Batch
from jfewshot.downstream.emotion.config import PAPER_HEAD, RECIPES
from jfewshot.downstream.emotion.training import Plan, Scaling, compiled, initial_state


@dataclass(frozen=True)
class Settings:
    """Sizes of the comparison."""

    batch: int = 16
    """Utterances per step."""
    frames: int = 300
    """Frames of the longest; the others are shorter, down to a half."""
    dim: int = 80
    """Numbers per frame."""
    n_classes: int = 4
    """Emotions."""
    layers: int = 12
    """Of the head."""
    rounds: int = 5
    """Each side takes so many steps, in turn."""
    json: Path | None = None
    """Write the numbers here."""


def make_batch(settings: Settings) -> Batch:
    """Random frames, lengths from a half to all of them."""
    rng = np.random.default_rng(0)
    shape = settings.batch, settings.frames, settings.dim
    lengths = np.linspace(settings.frames // 2, settings.frames, settings.batch).astype(np.int32)
    frames = rng.standard_normal(shape).astype(np.float32)
    frames *= np.arange(settings.frames)[None, :, None] < lengths[:, None, None]
    labels = rng.integers(0, settings.n_classes, settings.batch).astype(np.int32)
    return Batch(frames, lengths, labels, np.arange(settings.batch, dtype=np.int32))


def jax_steps(settings: Settings, batch: Batch):
    """A function that takes one of our steps and returns steps per second."""
    head = dataclasses.replace(PAPER_HEAD, n_layers=settings.layers, dropout=0.0)
    plan = Plan(settings.dim, settings.n_classes, head, RECIPES["paper"].optimiser)
    step, key = compiled(plan).step, jax.random.key(0)
    scaling = Scaling(jnp.zeros(settings.dim), jnp.ones(settings.dim))
    held = [initial_state(plan, 0)]
    given = Batch(*map(jnp.asarray, batch))

    def measure() -> float:
        began = time.perf_counter()
        held[0], metrics = step(held[0], given, key, scaling)
        jax.block_until_ready((held[0].params, metrics))
        return 1 / (time.perf_counter() - began)

    return measure


def torch_steps(settings: Settings, batch: Batch):
    """Likewise for PyTorch's own transformer of the same sizes."""
    import torch

    config = PAPER_HEAD

    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            layer = torch.nn.TransformerEncoderLayer(
                config.d_model, config.n_heads, config.d_ff, dropout=0.0, activation="gelu", batch_first=True
            )
            self.input = torch.nn.Linear(settings.dim, config.d_model)
            self.norm = torch.nn.LayerNorm(config.d_model)
            self.layers = torch.nn.TransformerEncoder(layer, settings.layers, enable_nested_tensor=False)
            self.output = torch.nn.Linear(config.d_model, settings.n_classes)

        def forward(self, frames, is_padding):
            hidden = self.layers(self.norm(self.input(frames)), src_key_padding_mask=is_padding)
            kept = (~is_padding)[..., None].float()
            return self.output((hidden * kept).sum(1) / kept.sum(1))

    model = Head()
    optimise = torch.optim.Adam(model.parameters(), lr=1e-5, betas=(0.9, 0.98), eps=1e-8)
    frames, labels = torch.from_numpy(batch.frames), torch.from_numpy(batch.labels).long()
    is_padding = torch.arange(settings.frames)[None] >= torch.from_numpy(batch.n_frames)[:, None]

    def measure() -> float:
        began = time.perf_counter()
        optimise.zero_grad()
        torch.nn.functional.cross_entropy(model(frames, is_padding), labels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimise.step()
        return 1 / (time.perf_counter() - began)

    return measure


def main() -> None:
    """Measure and print."""
    settings = tyro.cli(Settings, description=__doc__)
    found = {**machine(), "device": jax.default_backend()}
    batch = make_batch(settings)
    rates = in_turns({"jax": jax_steps(settings, batch), "torch": torch_steps(settings, batch)}, settings.rounds)
    middle, low, high = ratio(rates["jax"], rates["torch"])
    rows = [[name, f"{np.median(values):.3f}", f"{1 / np.median(values):.2f}"] for name, values in rates.items()]
    print(markdown_table(["", "steps/s", "s per step"], rows))
    print(f"JAX / PyTorch: {middle:.2f} ({low:.2f} to {high:.2f})")
    sizes = {name: value for name, value in dataclasses.asdict(settings).items() if name != "json"}
    write_json(settings.json, {"settings": sizes, "machine": found, "steps_per_s": rates, "ratio": [middle, low, high]})


if __name__ == "__main__":
    main()
