"""Time and memory of the NT-Xent loss and its gradient: dense, in tiles, and sharded over 1 to 8 devices.

    python -m benchmarks.training.simclr_loss [--utterances 2048] [--dim 256] [--json simclr_loss.json]

On a CPU the devices are virtual and share the cores, so more devices cannot be faster; they show how the memory per device falls.
On a machine with several GPUs, the same command measures the GPUs.
"""

import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tools.measuring import write_json
from benchmarks.tools.memory import temporary_bytes

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import jax
import numpy as np
import tyro
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jfewshot.simclr.objectives import ntxent
from jfewshot.simclr.objectives.ntxent import ntxent_sharded


@dataclass(frozen=True)
class LossBenchmark:
    """Settings of the measurement."""

    utterances: int = 2048
    """Number of utterances, with two views of each."""
    dim: int = 256
    """Dimension of the projected embeddings z."""
    tile_rows: int = 256
    """Rows of a tile in the tiled variant."""
    rounds: int = 3
    """Number of rounds; the fastest round is reported."""
    json: Path | None = None
    """File for the measured numbers."""


def measured(function, z_a, z_b, rounds: int) -> dict[str, float]:
    """Seconds of computing value and gradient, and the temporary memory per device that XLA plans, in MiB."""
    compiled = jax.jit(jax.value_and_grad(lambda a, b: function(a, b).loss, argnums=(0, 1))).lower(z_a, z_b).compile()
    value, _ = jax.block_until_ready(compiled(z_a, z_b))
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        jax.block_until_ready(compiled(z_a, z_b))
        times.append(time.perf_counter() - began)
    return {"s": min(times), "mib": temporary_bytes(compiled) / 2**20, "loss": float(value)}


def main() -> None:
    """Measure, print, and write the JSON."""
    settings = tyro.cli(LossBenchmark, description=__doc__)
    rng = np.random.default_rng(0)
    z_a, z_b = rng.standard_normal((2, settings.utterances, settings.dim)).astype(np.float32)
    rows = {
        "dense": measured(ntxent, z_a, z_b, settings.rounds),
        "tiled": measured(functools.partial(ntxent, tile_rows=settings.tile_rows), z_a, z_b, settings.rounds),
    }
    for n in (1, 2, 4, 8):
        if n > jax.device_count():
            continue
        mesh = jax.make_mesh((n,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:n])
        spread = NamedSharding(mesh, PartitionSpec("data"))
        parts = jax.device_put(z_a, spread), jax.device_put(z_b, spread)
        function = functools.partial(ntxent_sharded, temperature=0.1, mesh=mesh)
        rows[f"{n} devices"] = measured(lambda a, b, function=function: function(a, b), *parts, settings.rounds)
    for name, row in rows.items():
        print(
            f"{name:10s} {1e3 * row['s']:8.1f} ms {row['mib']:8.1f} MiB of temporary memory a device, loss {row['loss']:.5f}"
        )
    if settings.json:
        what = {"utterances": settings.utterances, "dim": settings.dim, "device": jax.default_backend()}
        write_json(settings.json, {"settings": what, "rows": rows})


if __name__ == "__main__":
    main()
