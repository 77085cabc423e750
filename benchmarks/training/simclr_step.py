"""How fast is a training step, compared with plain PyTorch and with s3prl's TERA, and how much memory do chunks save?

    python -m benchmarks.training.simclr_step [--batch 8] [--frames 400] [--json benchmarks/measured/simclr_step_cpu.json]

A step is forward pass, backward pass, clipping and update for TERA's objective (L1 over altered elements), on given features. All
sides have the same sizes, in float32 and without dropout. PyTorch's transformer and s3prl's model (s3prl/pretrain from its wheel,
with its own optimiser) get our weights, and their losses and gradients are compared with ours before anything is timed. Then the
sides take turns, and each ratio compares times of the same round. At the end, the command reports the peak of temporary memory
that XLA plans for the whole SimCLR step, from waves to update, for several numbers of chunks.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.tools.measuring import in_turns, machine, markdown_table, ratio, write_json
from benchmarks.tools.memory import temporary_bytes
from benchmarks.training.simclr_torch import Side, plain_torch, s3prl_tera
from jfewshot.simclr.augmentation import make_banks
from jfewshot.simclr.config import DataConfig, TrainConfig
from jfewshot.simclr.data import Batch
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.objectives import reconstruction_l1
from jfewshot.simclr.training.loop import initial_state
from jfewshot.simclr.training.model import initial_params, model_builder
from jfewshot.simclr.training.step import Fixed, loss_function
from jfewshot.training.config import OptimiserConfig
from jfewshot.training.model import Params
from jfewshot.training.schedules import learning_rate, optimiser
from jfewshot.training.step import first_state, make_step

# Largest accepted difference, relative to the largest value of a parameter's gradient. The sides sum float32 numbers in other
# orders.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class StepBenchmark:
    """Settings of the measurement."""

    batch: int = 8
    """Utterances per step."""
    frames: int = 400
    """Frames per utterance."""
    rounds: int = 3
    """How often each side is measured."""
    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(dropout=0.0))
    """Sizes of the encoder: the paper's by default, without a prenet."""
    chunks: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of chunks for which memory is reported."""
    json: Path | None = None
    """File for the measured numbers."""


class Given(NamedTuple):
    """The input that all sides get: batch x frames x mels."""

    features: np.ndarray
    """Features in which the altered elements are zero."""
    target: np.ndarray
    altered: np.ndarray


def make_given(settings: StepBenchmark) -> Given:
    """Random features with 15% altered elements."""
    rng = np.random.default_rng(0)
    shape = settings.batch, settings.frames, settings.encoder.n_mels
    target = rng.standard_normal(shape).astype(np.float32)
    altered = rng.random(shape) < 0.15
    return Given(np.where(altered, np.float32(0), target), target, altered)


def configuration(settings: StepBenchmark) -> TrainConfig:
    """The configuration of a training with the reconstruction loss alone."""
    return TrainConfig(
        DataConfig(Path()), Path(), profile="tera", encoder=settings.encoder, batch=settings.batch,
        optimiser=OptimiserConfig(schedule="constant", rate=1e-4, warmup_steps=1),
    )  # fmt: skip


def drawn_params(settings: StepBenchmark) -> Params:
    """Initial weights times three, so that every layer changes the loss noticeably and the comparison tests all layers."""
    params = initial_params(configuration(settings))
    return {name: value * (3.0 if name.endswith("kernel") else 1.0) for name, value in params.items()}


def our_loss(settings: StepBenchmark):
    """Our loss as `make_step` needs it: a function (params, given, key, fixed) -> (loss, metrics). It does not use `fixed`."""
    build = model_builder(configuration(settings))

    def loss(params, given: Any, key, fixed):
        model = build(params)
        n_frames = jnp.full(settings.batch, settings.frames, jnp.int32)
        states, _ = model.encoder(given.features, n_frames)
        found = reconstruction_l1(model.head(states[-1], settings.frames), given.target, given.altered)
        return found, {"loss": found}

    return loss


def compare(settings: StepBenchmark, sides: dict[str, Side], given: Given) -> dict[str, dict[str, float]]:
    """For each side, the relative difference of its loss from ours, and the largest relative difference of a gradient.

    Raises:
      ValueError: if a difference is larger than `TOLERANCE`.
    """
    params = drawn_params(settings)
    gradient, metrics = jax.jit(jax.grad(our_loss(settings), has_aux=True))(params, given, jax.random.key(0), None)
    loss, found = float(metrics["loss"]), {}
    for name, side in sides.items():
        theirs, theirs_gradient = side.loss_and_gradient({key: np.asarray(value) for key, value in params.items()})
        assert set(theirs_gradient) == set(gradient)
        # The bias of the keys adds the same number to all attention logits of a query, so its gradient is zero up to rounding.
        each = {
            key: float(np.abs(gradient[key] - value).max() / np.abs(value).max())
            for key, value in theirs_gradient.items()
            if not key.endswith("key.bias")
        }
        found[name] = {"loss": abs(loss - theirs) / loss, "gradient": max(each.values())}
        if max(found[name].values()) > TOLERANCE:
            raise ValueError(
                f"{name} is another model than ours: {found[name]}, {max(each, key=lambda key: each[key])}"
            )
    return found


def our_step(settings: StepBenchmark, given: Given) -> Callable[[], Any]:
    """A function that takes one training step, by the project's own code for steps and with the loss of this comparison."""
    config = configuration(settings)
    optimise = optimiser(config.optimiser, learning_rate(config.optimiser, config.encoder.d_model, config.steps))
    step = make_step(our_loss(settings), optimise, lambda n: jnp.float32(1e-4))
    held = [first_state(drawn_params(settings), optimise)]
    on_device = jax.device_put(given)

    def work() -> None:
        held[0], metrics = step(held[0], on_device, jax.random.key(0), None)
        jax.block_until_ready((held[0].params, metrics))

    return work


def per_second(work: Callable[[], Any]) -> Callable[[], float]:
    """A function that does the work once, and returns how many times per second that is."""

    def measure() -> float:
        began = time.perf_counter()
        work()
        return 1 / (time.perf_counter() - began)

    return measure


def installed_sides(settings: StepBenchmark, given: Given) -> dict[str, Side]:
    """PyTorch and s3prl, if they are installed."""
    sides = {}
    for name, make in {"torch": plain_torch, "s3prl": s3prl_tera}.items():
        try:
            sides[name] = make(settings.encoder, given.features, given.target, given.altered)
        except ImportError as error:
            print(f"{name}: not measured ({error})")
    return sides


def chunk_memory_mib(settings: StepBenchmark) -> dict[int, float]:
    """Temporary memory that XLA plans for loss and gradient, in MiB, by number of chunks."""
    samples = 160 * settings.frames + 240
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
        config = TrainConfig(DataConfig(Path()), Path(), encoder=settings.encoder, batch=settings.batch, chunks=chunks)
        banks = make_banks(config.augmentation, samples, 16_000, 0)
        fixed = Fixed(banks, np.zeros((1, 80), np.float32), np.ones((1, 80), np.float32))
        gradient = jax.jit(jax.grad(loss_function(config, None, True), has_aux=True))
        lowered = gradient.lower(initial_state(config).params, batch, jax.random.key(0), fixed)
        found[chunks] = temporary_bytes(lowered.compile()) / 2**20
    return found


def main() -> None:
    """Compare the models, measure, print, and write the JSON."""
    import tyro  # benchmarks.gpu uses this module on machines without tyro

    settings = tyro.cli(StepBenchmark, description=__doc__)
    found, given = machine(), make_given(settings)
    sides = installed_sides(settings, given)
    differences = compare(settings, sides, given)
    for name, each in differences.items():
        print(f"{name}: loss differs by {each['loss']:.1e}, gradients by at most {each['gradient']:.1e} of the largest")
    rates = in_turns(
        {"ours": per_second(our_step(settings, given))} | {name: per_second(side.step) for name, side in sides.items()},
        settings.rounds,
    )
    rows, ratios = [["ours", f"{1 / np.median(rates['ours']):.3f}", "", ""]], {}
    for name in sides:
        middle, low, high = ratios[name] = ratio(rates["ours"], rates[name])
        rows.append([name, f"{1 / np.median(rates[name]):.3f}", f"{middle:.2f}", f"{low:.2f} to {high:.2f}"])
    print(markdown_table([f"{settings.batch} x {settings.frames} frames", "s a step", "time / ours", "rounds"], rows))
    memory = chunk_memory_mib(settings)
    for chunks, mib in memory.items():
        print(f"{chunks} chunks: {mib:.0f} MiB of temporary memory")
    what = {name: value for name, value in dataclasses.asdict(settings).items() if name != "json"}
    result = {"settings": what, "machine": found, "device": jax.default_backend(), "differences": differences}
    write_json(settings.json, result | {"steps_per_s": rates, "ratio": ratios, "memory_mib": memory})


if __name__ == "__main__":
    main()
