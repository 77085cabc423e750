"""How fast is the paper's emotion head in training and scoring, compared with the same model in plain PyTorch?

    python -m benchmarks.training.emotion [--batch 16] [--frames 300] [--json benchmarks/measured/emotion_cpu.json]

The head has twelve transformer layers (model dimension 256, inner dimension 2048, 4 heads), average pooling and a linear layer,
in float32. Both sides get the same padded batch with true lengths. PyTorch's model gets our weights, and its logits and gradients
are compared with ours before anything is timed. Then both sides take turns: a training step (forward, backward, clipping, Adam)
with and without dropout, and scoring. Each ratio compares times of the same round.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.tools.measuring import in_turns, machine, markdown_table, ratio, write_json
from jfewshot.downstream.emotion.batches import Batch
from jfewshot.downstream.emotion.config import PAPER_HEAD, RECIPES
from jfewshot.downstream.emotion.training import Plan, compiled, loss_function
from jfewshot.downstream.scaling import Scaling
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.encoder.transformer import sinusoids

# Largest accepted difference, relative to the largest value. Twelve layers sum float32 numbers in another order.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class EmotionBenchmark:
    """Sizes of the comparison."""

    batch: int = 16
    """Utterances per step."""
    frames: int = 300
    """Frames of the longest utterance. The other utterances are shorter; the shortest has half as many frames."""
    dim: int = 80
    """Dimension of a frame."""
    n_classes: int = 4
    """Number of emotions."""
    layers: int = 12
    """Transformer layers of the head."""
    rounds: int = 5
    """How often each side is measured."""
    json: Path | None = None
    """File for the measured numbers."""


def make_plan(settings: EmotionBenchmark, dropout: float) -> Plan:
    """The paper's head with the settings' number of layers, and with the given dropout."""
    head = dataclasses.replace(PAPER_HEAD, n_layers=settings.layers, dropout=dropout)
    return Plan(settings.dim, settings.n_classes, head, RECIPES["paper"].optimiser)


def make_batch(settings: EmotionBenchmark) -> Batch:
    """Random frames and labels. Lengths go from half of the largest length to the largest length."""
    rng = np.random.default_rng(0)
    shape = settings.batch, settings.frames, settings.dim
    lengths = np.linspace(settings.frames // 2, settings.frames, settings.batch).astype(np.int32)
    frames = rng.standard_normal(shape).astype(np.float32)
    frames *= np.arange(settings.frames)[None, :, None] < lengths[:, None, None]
    labels = rng.integers(0, settings.n_classes, settings.batch).astype(np.int32)
    return Batch(frames, lengths, labels, np.arange(settings.batch, dtype=np.int32))


def torch_model(plan: Plan, params: Mapping[str, Any], dropout: float) -> Any:
    """PyTorch's own transformer with these parameters. As in our head, attention weights and the inner layer have no dropout."""
    import torch

    assert not isinstance(plan.head, int)
    config: EncoderConfig = plan.head

    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            layer = torch.nn.TransformerEncoderLayer(
                config.d_model, config.n_heads, config.d_ff, dropout, "gelu", config.layer_norm_eps, batch_first=True
            )
            self.input = torch.nn.Linear(plan.dim, config.d_model)
            self.norm = torch.nn.LayerNorm(config.d_model, config.layer_norm_eps)
            self.dropout = torch.nn.Dropout(dropout)
            self.layers = torch.nn.TransformerEncoder(layer, config.n_layers, enable_nested_tensor=False)
            self.output = torch.nn.Linear(config.d_model, plan.n_classes)

        def forward(self, frames, is_padding):
            positions = torch.from_numpy(sinusoids(frames.shape[1], config.d_model))
            hidden = self.dropout(self.norm(self.input(frames) + positions))
            hidden = self.layers(hidden, src_key_padding_mask=is_padding)
            kept = (~is_padding)[..., None].float()
            return self.output((hidden * kept).sum(1) / kept.sum(1))

    model = Head()
    for layer in model.layers.layers:
        layer.self_attn.dropout = layer.dropout.p = 0.0
    model.load_state_dict({name: torch.from_numpy(value) for name, value in torch_names(params, config.n_layers)})
    return model


def torch_names(params: Mapping[str, Any], n_layers: int) -> list[tuple[str, np.ndarray]]:
    """Our parameters (or gradients) under PyTorch's names, in its shapes."""
    found: list[tuple[str, np.ndarray]] = []

    def add(theirs: str, *ours: str) -> None:
        kernels = [np.asarray(params[f"head.{name}.kernel"]) for name in ours]
        biases = [np.asarray(params[f"head.{name}.bias"]) for name in ours]
        separator = "_" if theirs.endswith("in_proj") else "."
        found.append((f"{theirs}{separator}weight", np.ascontiguousarray(np.concatenate(kernels, axis=1).T)))
        found.append((f"{theirs}{separator}bias", np.concatenate(biases)))

    def add_norm(theirs: str, ours: str) -> None:
        found.append((f"{theirs}.weight", np.array(params[f"head.{ours}.scale"])))
        found.append((f"{theirs}.bias", np.array(params[f"head.{ours}.bias"])))

    add("input", "transformer.input")
    add_norm("norm", "transformer.input_norm")
    for number in range(n_layers):
        there, here = f"layers.layers.{number}", f"transformer.layers.{number}"
        add(f"{there}.self_attn.in_proj", *(f"{here}.{part}" for part in ("query", "key", "value")))
        add(f"{there}.self_attn.out_proj", f"{here}.attention_output")
        add(f"{there}.linear1", f"{here}.intermediate")
        add(f"{there}.linear2", f"{here}.output")
        add_norm(f"{there}.norm1", f"{here}.attention_norm")
        add_norm(f"{there}.norm2", f"{here}.output_norm")
    add("output", "output")
    return found


def torch_batch(batch: Batch) -> tuple[Any, Any, Any]:
    """A batch as tensors: frames, which frames are padding, and labels."""
    import torch

    is_padding = torch.arange(batch.frames.shape[1])[None] >= torch.from_numpy(batch.n_frames)[:, None]
    return torch.from_numpy(batch.frames), is_padding, torch.from_numpy(batch.labels).long()


def drawn_params(settings: EmotionBenchmark) -> dict[str, np.ndarray]:
    """Initial weights times five, so that every layer changes the logits noticeably and the comparison tests all layers."""
    params = compiled(make_plan(settings, 0.0)).initial(0).params
    return {name: np.asarray(value) * (5.0 if name.endswith("kernel") else 1.0) for name, value in params.items()}


def compare(settings: EmotionBenchmark, batch: Batch) -> dict[str, float]:
    """Compare both models without dropout: the largest relative difference of the logits, and of any parameter's gradient.

    Raises:
      ValueError: if a difference is larger than `TOLERANCE`.
    """
    import torch

    plan, params = make_plan(settings, 0.0), drawn_params(settings)
    scaling = Scaling(jnp.zeros(settings.dim), jnp.ones(settings.dim))
    given: Any = params
    mine = compiled(plan).logits(given, batch, scaling)
    gradient = jax.jit(jax.grad(loss_function(plan), has_aux=True))(params, batch, jax.random.key(0), scaling)[0]
    model = torch_model(plan, params, 0.0)
    frames, is_padding, labels = torch_batch(batch)
    theirs = model(frames, is_padding)
    torch.nn.functional.cross_entropy(theirs, labels).backward()
    by_name = {name: value.grad.numpy() for name, value in model.named_parameters()}
    differences = [
        np.abs(value - by_name[name]).max() / np.abs(by_name[name]).max()
        for name, value in torch_names(gradient, settings.layers)
        # The bias of the keys adds the same number to all attention logits of a query, so its gradient is zero up to rounding.
        if not name.endswith("in_proj_bias")
    ]
    found = {
        "logits": float(np.abs(np.asarray(mine) - theirs.detach().numpy()).max() / np.abs(mine).max()),
        "gradient": float(max(differences)),
    }
    if max(found.values()) > TOLERANCE:
        raise ValueError(f"PyTorch's model is another model than ours; relative differences: {found}")
    return found


def per_second(work: Callable[[], Any]) -> Callable[[], float]:
    """A function that does the work once, and returns how many times per second that is."""

    def measure() -> float:
        began = time.perf_counter()
        work()
        return 1 / (time.perf_counter() - began)

    return measure


def jax_training(settings: EmotionBenchmark, batch: Batch, dropout: float) -> Callable[[], Any]:
    """A function that takes one training step of ours."""
    plan = make_plan(settings, dropout)
    step, key = compiled(plan).step, jax.random.key(0)
    scaling = Scaling(jnp.zeros(settings.dim), jnp.ones(settings.dim))
    held = [compiled(plan).initial(0)]
    given = jax.device_put(batch)

    def work() -> None:
        held[0], metrics = step(held[0], given, key, scaling)
        jax.block_until_ready((held[0].params, metrics))

    return work


def torch_training(settings: EmotionBenchmark, batch: Batch, dropout: float) -> Callable[[], Any]:
    """A function that takes one training step of PyTorch's model."""
    import torch

    model = torch_model(make_plan(settings, dropout), compiled(make_plan(settings, dropout)).initial(0).params, dropout)
    optimise = torch.optim.Adam(model.parameters(), lr=1e-5, betas=(0.9, 0.98), eps=1e-8)
    frames, is_padding, labels = torch_batch(batch)

    def work() -> None:
        optimise.zero_grad()
        torch.nn.functional.cross_entropy(model(frames, is_padding), labels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimise.step()

    return work


def jax_scoring(settings: EmotionBenchmark, batch: Batch) -> Callable[[], Any]:
    """A function that computes our logits of the batch."""
    plan = make_plan(settings, 0.0)
    params, given = compiled(plan).initial(0).params, jax.device_put(batch)
    scaling = Scaling(jnp.zeros(settings.dim), jnp.ones(settings.dim))
    return lambda: jax.block_until_ready(compiled(plan).logits(params, given, scaling))


def torch_scoring(settings: EmotionBenchmark, batch: Batch) -> Callable[[], Any]:
    """A function that computes PyTorch's logits of the batch, by PyTorch's fused layers."""
    import torch

    plan = make_plan(settings, 0.0)
    model = torch_model(plan, compiled(plan).initial(0).params, 0.0).eval()
    frames, is_padding, _ = torch_batch(batch)

    def work() -> Any:
        with torch.inference_mode():
            return model(frames, is_padding)

    return work


def main() -> None:
    """Compare both models, measure, print the table, and write the JSON."""
    settings = tyro.cli(EmotionBenchmark, description=__doc__)
    found, batch = machine(), make_batch(settings)
    differences = compare(settings, batch)
    print(f"largest relative difference: logits {differences['logits']:.1e}, gradient {differences['gradient']:.1e}")
    pairs = {
        "training step": (jax_training(settings, batch, 0.0), torch_training(settings, batch, 0.0)),
        "training step, dropout 0.1": (jax_training(settings, batch, 0.1), torch_training(settings, batch, 0.1)),
        "scoring": (jax_scoring(settings, batch), torch_scoring(settings, batch)),
    }
    rows, numbers = [], {}
    for name, (ours, theirs) in pairs.items():
        rates = in_turns({"jax": per_second(ours), "torch": per_second(theirs)}, settings.rounds)
        middle, low, high = ratio(rates["jax"], rates["torch"])
        seconds = [f"{1 / np.median(rates[side]):.2f}" for side in ("jax", "torch")]
        rows.append([name, *seconds, f"{middle:.2f}", f"{low:.2f} to {high:.2f}"])
        numbers[name] = {"batches_per_s": rates, "ratio": [middle, low, high]}
    print(markdown_table(["", "ours, s", "PyTorch, s", "PyTorch's time / ours", "rounds"], rows))
    sizes = {name: value for name, value in dataclasses.asdict(settings).items() if name != "json"}
    result = {
        "settings": sizes,
        "machine": found,
        "device": jax.default_backend(),
        "largest_relative_difference": differences,
    }
    write_json(settings.json, result | {"measured": numbers})


if __name__ == "__main__":
    main()
