"""How fast does attention-CTC train and decode, compared with the same model in plain PyTorch?

    python -m benchmarks.training.asr [--batch 4] [--frames 600] [--json benchmarks/measured/asr_cpu.json]

The sizes are the paper's: two convolutions of stride 2 with 256 channels, 6 encoder layers and 3 decoder layers (model dimension
512, inner dimension 1280, 4 heads), joint loss, Adam. Both sides use the same weights and the same padded batches of frames and
transcripts, in float32 and without dropout. Before anything is timed, both must give the same loss (1e-4), the same greedy
transcripts and the same beam scores (1e-3).

Three things are timed: a training step, greedy CTC, and the joint beam search. Both searches are timed from frames to units on
the host. In the beam search both sides keep keys and values, batch all hypotheses, and stop by the same rule. The two sides take
turns, and each ratio compares times of the same round.
"""

import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.tools.measuring import in_turns, machine, markdown_table, ratio, timed, write_json
from jfewshot.downstream.asr import ctc
from jfewshot.downstream.asr.batches import Batch
from jfewshot.downstream.asr.settings import BeamConfig, DecoderConfig
from jfewshot.downstream.asr.training import Fixed, Plan, compiled, compiled_search
from jfewshot.downstream.scaling import Scaling
from jfewshot.simclr.augmentation import Banks
from jfewshot.simclr.encoder import PAPER_ASR
from jfewshot.training.config import OptimiserConfig


@dataclass(frozen=True)
class AsrBenchmark:
    """Sizes of the comparison."""

    batch: int = 4
    """Utterances per step."""
    frames: int = 600
    """Frames of the longest utterance. The other utterances are shorter; the shortest has half as many frames."""
    n_units: int = 30
    """Number of output units: characters and the blank."""
    longest: int = 60
    """Units of the longest transcript, and largest number of units of a hypothesis."""
    beam: int = 8
    """Number of hypotheses in the beam search."""
    layers: int = 6
    """Layers of the encoder."""
    rounds: int = 5
    """How often each side is measured."""
    json: Path | None = None
    """File for the measured numbers."""


def make_batch(settings: AsrBenchmark) -> Batch:
    """Random frames and transcripts. Lengths go from half of the largest length to the largest length."""
    rng, rows = np.random.default_rng(0), settings.batch
    lengths = np.linspace(settings.frames // 2, settings.frames, rows).astype(np.int32)
    frames = rng.standard_normal((rows, settings.frames, 80)).astype(np.float32)
    frames *= np.arange(settings.frames)[None, :, None] < lengths[:, None, None]
    n_units = np.linspace(settings.longest // 2, settings.longest, rows).astype(np.int32)
    units = rng.integers(1, settings.n_units, (rows, settings.longest)).astype(np.int32)
    units *= np.arange(settings.longest)[None] < n_units[:, None]
    return Batch(frames, lengths, units, n_units, np.arange(rows, dtype=np.int32))


def our_side(settings: AsrBenchmark, batch: Batch, rate: float):
    """Our side: functions for a training step, greedy CTC and beam search, then the parameters and the encoder's settings."""
    encoder = dataclasses.replace(PAPER_ASR, n_layers=settings.layers, dropout=0.0)
    adam = OptimiserConfig("constant", rate, 1, weight_decay=0.0)
    plan = Plan(80, settings.n_units, DecoderConfig(dropout=0.0), adam, encoder=encoder)
    functions = compiled(plan)
    search = compiled_search(plan, BeamConfig(settings.beam, plan.ctc_weight))
    fixed = Fixed(Scaling(jnp.zeros(80), jnp.ones(80)), Banks(jnp.zeros((0, 0)), jnp.zeros((0, 0))))
    given, key = jax.device_put(batch), jax.random.key(0)
    params = peaked(jax.device_get(functions.initial(0).params))
    held = [functions.initial(0)._replace(params={name: jnp.array(value) for name, value in params.items()})]
    fixed_params = {name: jnp.array(value) for name, value in params.items()}

    def train():
        held[0], metrics = functions.step(held[0], given, key, fixed)
        return float(jax.block_until_ready((held[0].params, metrics))[1]["loss"])

    def greedy():
        found = functions.evaluate(fixed_params, given, fixed)
        return ctc.greedy(found.log_probs, found.n_frames)

    def beam():
        found = functions.evaluate(fixed_params, given, fixed)
        best = search(fixed_params, found.frames, found.log_probs, found.n_frames, None, longest=settings.longest)
        units, n_units, scores = jax.device_get(best)
        return [row[0, : int(n[0])].tolist() for row, n in zip(units, n_units, strict=True)], scores[:, 0]

    return train, greedy, beam, params, encoder


def peaked(params):
    """Scale random weights so that the outputs are as certain as a trained model's, to avoid near ties between hypotheses."""
    return {
        name: np.array(value) * (8.0 if name in ("ctc.kernel", "decoder.output.kernel") else 1.0)
        for name, value in params.items()
    }


def their_side(settings: AsrBenchmark, batch: Batch, params, encoder, rate: float):
    """PyTorch's side: functions for a training step, greedy CTC and beam search."""
    import torch

    from benchmarks.training.asr_torch import TorchRecogniser

    model = TorchRecogniser(settings.n_units, encoder, DecoderConfig(dropout=0.0)).take_over(params)
    learns = TorchRecogniser(settings.n_units, encoder, DecoderConfig(dropout=0.0)).take_over(params)
    model.eval()
    optimise = torch.optim.Adam(learns.parameters(), lr=rate, betas=(0.9, 0.98), eps=1e-8)
    frames, units = torch.from_numpy(batch.signal), torch.from_numpy(batch.units).long()
    n_frames, n_units = (torch.from_numpy(part).long() for part in (batch.lengths, batch.n_units))

    def train():
        optimise.zero_grad()
        loss = learns.loss(frames, n_frames, units, n_units, 0.3, 0.1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learns.parameters(), 1.0)
        optimise.step()
        return float(loss.detach())

    return (
        train,
        lambda: model.greedy(frames, n_frames),
        lambda: model.beam(frames, n_frames, settings.beam, 0.3, settings.longest),
    )


def check(ours, theirs) -> dict[str, float | bool]:
    """Check that both sides give the same results, and return the differences.

    Raises:
      AssertionError: if the results differ.
    """
    one, other = ours[0](), theirs[0]()
    assert abs(one - other) < 1e-4 * abs(other), (one, other)
    assert ours[1]() == theirs[1]()
    (texts, scores), (their_texts, their_scores) = ours[2](), theirs[2]()
    furthest = float(np.max(np.abs(np.asarray(scores) - their_scores.numpy())))
    assert furthest < 1e-3, furthest
    return {"loss": one, "their_loss": other, "same_transcripts": texts == their_texts, "largest_score_gap": furthest}


def main() -> None:
    """Measure, print the table, and write the JSON."""
    settings = tyro.cli(AsrBenchmark, description=__doc__)
    found = {**machine(), "device": jax.default_backend()}
    batch, rate = make_batch(settings), 1e-5
    *ours, params, encoder = our_side(settings, batch, rate)
    theirs = their_side(settings, batch, params, encoder, rate)
    agreed = check(ours, theirs)
    print(f"both sides agree: {agreed}")
    rows, results = [], {}
    for name, one, other in zip(("training step", "greedy CTC", "beam search"), ours, theirs, strict=True):
        began = time.perf_counter()
        rates = in_turns(
            {
                "jax": functools.partial(timed, one, settings.batch),
                "torch": functools.partial(timed, other, settings.batch),
            },
            settings.rounds,
        )
        middle, low, high = ratio(rates["jax"], rates["torch"])
        shown = [f"{np.median(rates[side]):.2f}" for side in ("jax", "torch")]
        rows.append([name, *shown, f"{middle:.2f}", f"{low:.2f}–{high:.2f}"])
        results[name] = {"utterances_per_s": rates, "ratio": [middle, low, high]}
        print(f"{name}: {time.perf_counter() - began:.0f} s")
    print(markdown_table(["", "JAX, utterances/s", "PyTorch", "ratio", "smallest–largest"], rows))
    sizes = {name: value for name, value in dataclasses.asdict(settings).items() if name != "json"}
    write_json(settings.json, {"settings": sizes, "machine": found, "agreement": agreed, "results": results})


if __name__ == "__main__":
    main()
