"""How many utterances of a batch fit a device's memory, by length, chunks, rematerialisation and number format.

    python -m benchmarks.training.simclr_memory --json benchmarks/measured/simclr_memory.json

The whole training step (views, features, encoder, losses, gradient, update) of the paper's network is compiled for two batch
sizes. XLA says how many bytes each program needs: arguments, results and intermediate arrays. The bytes grow linearly with the
batch, so two programs give the largest batch that fits a memory; a third program, compiled for the largest batch that fits the
third memory, shows how good the line is. Nothing of this runs, so the largest programs need no more memory here than the
smallest.

The count is that of XLA's compiler for CPUs. A GPU's program fuses other operations and, in bfloat16, uses cuDNN's attention,
which does not keep the attention weights; it should need less.

Three cells are also run in processes of their own, and the measured peak is compared with the count. Last, loss and gradient
of each way to save memory are compared with those of the plain step.
"""

import dataclasses
import itertools
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.tools.child import run_child
from benchmarks.tools.measuring import markdown_table, write_json
from benchmarks.tools.memory import memory_bytes, reset_peak
from jfewshot.simclr.augmentation import make_banks
from jfewshot.simclr.config import DataConfig, TrainConfig
from jfewshot.simclr.data import Batch
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.training.loop import initial_state
from jfewshot.simclr.training.step import Fixed, loss_function, train_step
from jfewshot.threads import cores

GB = 10**9
IN_A_CHUNK = 8  # utterances of a chunk
TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Way:
    """A way to spend less memory on a batch.

    Attributes:
      options: its options on the command line of `jfewshot pretrain`.
      remat: whether activations are computed again in the backward pass.
      compute_dtype: number format of matrix products.
      in_chunks: whether the batch passes through the encoder `IN_A_CHUNK` utterances at a time.
    """

    options: str
    remat: bool = False
    compute_dtype: Any = "float32"
    in_chunks: bool = False

    def chunks(self, batch: int) -> int:
        """Number of chunks of a batch."""
        return batch // IN_A_CHUNK if self.in_chunks else 1


REMAT, BFLOAT16 = "--encoder.remat", "--encoder.compute-dtype bfloat16"
WAYS = (
    Way(""),
    Way(REMAT, remat=True),
    Way(BFLOAT16, compute_dtype="bfloat16"),
    Way(f"{REMAT} {BFLOAT16}", remat=True, compute_dtype="bfloat16"),
    Way(f"--chunks (batch / {IN_A_CHUNK})", in_chunks=True),
    Way(f"--chunks (batch / {IN_A_CHUNK}) {BFLOAT16}", compute_dtype="bfloat16", in_chunks=True),
)


@dataclass(frozen=True)
class Memory:
    """What is counted and measured."""

    lengths_s: tuple[float, ...] = (1.0, 12.0)
    """Lengths of the crops in seconds."""
    memories_gb: tuple[int, ...] = (16, 24, 80, 141)
    """Memories of devices in GB (10^9 bytes)."""
    run: str | None = None
    """Run one cell and print its peak: length, batch and number of the way, as "12.0 4 0". Used by the command itself."""
    json: Path | None = None
    """File for the numbers."""


def configuration(way: Way, batch: int, length_s: float, encoder: EncoderConfig | None = None) -> TrainConfig:
    """The settings of a training.

    Args:
      way: how memory is saved.
      batch: utterances per step.
      length_s: of each utterance, in seconds.
      encoder: sizes of the encoder; None for the paper's.
    """
    sizes = EncoderConfig() if encoder is None else encoder
    return TrainConfig(
        DataConfig(Path(), crop_s=length_s),
        Path(),
        encoder=dataclasses.replace(sizes, remat=way.remat, compute_dtype=way.compute_dtype),
        batch=batch,
        chunks=way.chunks(batch),
    )


def arguments(config: TrainConfig) -> tuple[Any, ...]:
    """State, batch, key and fixed arrays of a step; utterances are noise as long as a crop."""
    samples = int(config.data.crop_s * config.fbank.sample_rate)
    rng = np.random.default_rng(0)
    batch = Batch(
        0.1 * rng.standard_normal((config.batch, samples), np.float32),
        np.full(config.batch, samples, np.int32),
        np.arange(config.batch, dtype=np.int32),
        np.zeros(config.batch, np.int32),
    )
    banks = make_banks(config.augmentation, samples, config.fbank.sample_rate, 0)
    mels = config.fbank.n_mels
    fixed = Fixed(banks, np.zeros((1, mels), np.float32), np.ones((1, mels), np.float32))
    return initial_state(config), batch, jax.random.key(0), fixed


def compiled_step(config: TrainConfig) -> jax.stages.Compiled:
    """The compiled step, for which no array of the batch's size is made."""
    small = dataclasses.replace(config, batch=IN_A_CHUNK, chunks=1)
    state, batch, key, fixed = arguments(small)
    many = jax.tree.map(lambda x: jax.ShapeDtypeStruct((config.batch, *x.shape[1:]), x.dtype), batch)
    return train_step(config).lower(state, many, key, fixed).compile()


def planned_bytes(compiled: jax.stages.Compiled) -> int:
    """Bytes that a compiled function needs at its peak: arguments, results that do not replace them, and intermediate arrays.

    Raises:
      RuntimeError: if the backend does not say.
    """
    found = compiled.memory_analysis()
    if found is None:
        raise RuntimeError(f"{jax.default_backend()} does not say how much memory a program needs")
    kept = found.output_size_in_bytes - found.alias_size_in_bytes
    return found.argument_size_in_bytes + kept + found.temp_size_in_bytes


@dataclass(frozen=True)
class Line:
    """Bytes by batch: `fixed` + `per_utterance` x batch."""

    fixed: float
    per_utterance: float

    def bytes(self, batch: int) -> float:
        """Bytes for a batch."""
        return self.fixed + self.per_utterance * batch

    def fitting(self, memory: float, multiple: int) -> int:
        """The largest batch that fits a memory, a multiple of some number; 0 where none does."""
        return max(0, int((memory - self.fixed) / self.per_utterance) // multiple * multiple)


def line_of(way: Way, length_s: float, encoder: EncoderConfig | None = None) -> Line:
    """Compile two batch sizes and draw the line through their bytes.

    Args:
      way: how memory is saved.
      length_s: of each utterance, in seconds.
      encoder: sizes of the encoder; None for the paper's.
    """
    few, many = (2 * IN_A_CHUNK, 6 * IN_A_CHUNK) if way.in_chunks else (IN_A_CHUNK, 3 * IN_A_CHUNK)
    low, high = (planned_bytes(compiled_step(configuration(way, batch, length_s, encoder))) for batch in (few, many))
    slope = (high - low) / (many - few)
    return Line(low - slope * few, slope)


def row_of(way: Way, length_s: float, memories_gb: Sequence[int]) -> dict[str, Any]:
    """A row of the table: the largest batch for each memory, and the count for the batch that fits the last memory but one."""
    line = line_of(way, length_s)
    multiple = IN_A_CHUNK if way.in_chunks else 1
    fits = {str(gb): line.fitting(gb * GB, multiple) for gb in memories_gb}
    check = max(multiple, fits[str(memories_gb[-2])])
    counted = planned_bytes(compiled_step(configuration(way, check, length_s)))
    row = {
        "options": way.options, "length_s": length_s, "fixed_gb": line.fixed / GB,
        "per_utterance_gb": line.per_utterance / GB, "fits": fits,
        "check": {"batch": check, "line_gb": line.bytes(check) / GB, "counted_gb": counted / GB},
    }  # fmt: skip
    print(row, flush=True)
    return row


def run_cell(way: Way, batch: int, length_s: float, encoder: EncoderConfig | None = None) -> dict[str, float]:
    """Take one step and compare the memory that it took with the count.

    Args:
      way: how memory is saved.
      batch: utterances of the step.
      length_s: of each utterance, in seconds.
      encoder: sizes of the encoder; None for the paper's.

    Returns:
      planned and measured GB. Measured is the peak of the process less what it held before the arguments were made.
    """
    config = configuration(way, batch, length_s, encoder)
    compiled = compiled_step(config)
    before = memory_bytes("VmRSS")
    given = jax.tree.map(jnp.asarray, arguments(config))
    reset_peak()
    jax.block_until_ready(compiled(*given))
    peak = memory_bytes("VmHWM")
    if before is None or peak is None:
        raise RuntimeError("this system does not say how much memory a process takes")
    return {"planned_gb": planned_bytes(compiled) / GB, "measured_gb": (peak - before) / GB}


# Cells that fit 16 GB: the plain step, one that computes activations again, and one in chunks.
MEASURED = ((WAYS[0], 4, 12.0), (WAYS[1], 8, 12.0), (WAYS[4], 32, 4.0))


def measured_cells() -> list[dict[str, Any]]:
    """Run `MEASURED`, each cell in a process of its own."""
    found = []
    for way, batch, length_s in MEASURED:
        which = f"{length_s} {batch} {WAYS.index(way)}"
        child = run_child([sys.executable, "-m", "benchmarks.training.simclr_memory", "--run", which], TIMEOUT_S)
        if child.result is None:
            raise RuntimeError(f"{batch} utterances of {length_s} s with '{way.options}': {child.reason}")
        found.append({"options": way.options, "batch": batch, "length_s": length_s, **child.result})
        print(f"{batch} x {length_s} s, '{way.options}': {child.result}", flush=True)
    return found


def agreement(batch: int = 2 * IN_A_CHUNK, length_s: float = 1.0, encoder: EncoderConfig | None = None):
    """Differences of each way's loss and gradient from the plain step's, on the same utterances and random numbers.

    Args:
      batch: utterances, a multiple of `IN_A_CHUNK`.
      length_s: of each utterance, in seconds.
      encoder: sizes of the encoder; None for the paper's.

    Returns:
      by options: relative difference of the loss, and the length of the gradient's difference relative to the gradient's.
    """
    plain = configuration(WAYS[0], batch, length_s, encoder)
    state, utterances, key, fixed = arguments(plain)

    def both(config: TrainConfig):
        gradient = jax.jit(jax.grad(loss_function(config, None, training=True), has_aux=True))
        found, metrics = gradient(state.params, utterances, key, fixed)
        return float(metrics["loss"]), np.concatenate([np.ravel(x).astype(np.float64) for x in jax.tree.leaves(found)])

    loss, gradient = both(plain)
    found = {}
    for way in WAYS[1:]:
        other, theirs = both(configuration(way, batch, length_s, encoder))
        difference = np.linalg.norm(theirs - gradient) / np.linalg.norm(gradient)
        found[way.options] = {"loss": abs(other - loss) / loss, "gradient": float(difference)}
    return found


def main() -> None:
    """Count, measure, compare, print."""
    settings = tyro.cli(Memory, description=__doc__)
    if settings.run:
        length_s, batch, number = settings.run.split()
        print(json.dumps(run_cell(WAYS[int(number)], int(batch), float(length_s))))
        return
    cells = list(itertools.product(WAYS, settings.lengths_s))
    with ThreadPoolExecutor(cores()) as pool:  # XLA compiles without Python's lock
        rows = list(pool.map(lambda cell: row_of(cell[0], cell[1], settings.memories_gb), cells))
    print(markdown_table(
        ["options", "seconds", *(f"{gb} GB" for gb in settings.memories_gb)],
        [[f"`{row['options']}`", f"{row['length_s']:g}", *map(str, row["fits"].values())] for row in rows],
    ))  # fmt: skip
    measured, differences = measured_cells(), agreement()
    for options, each in differences.items():
        print(f"{options}: loss differs by {each['loss']:.1e}, gradient by {each['gradient']:.1e}")
    write_json(settings.json, {"rows": rows, "measured": measured, "agreement": differences}, a_line_each=True)


if __name__ == "__main__":
    main()
