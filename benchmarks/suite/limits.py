"""What the machine can do at best: copying memory, multiplying matrices, arithmetic within the caches. All devices at once.

Measured with the same compiler and devices as the evaluator, so that a row can say what bounds it and how close it came.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jfewshot.evaluator.devices import AXIS, episode_mesh, shard_over_episodes

# Operations in a row on one number, so that it stays in a register; turns of such a stretch.
_DEEP, _TURNS = 32, 200
_COPIES = 10


class Limits(NamedTuple):
    """Per second, over all devices.

    Attributes:
      copied_bytes: read and written, from memory to memory.
      product_operations: of float32 products of large matrices, at full precision.
      plain_operations: float32 multiplications and additions on numbers that stay in the nearest cache.
      slow_operations: exponentials, likewise.
    """

    copied_bytes: float
    product_operations: float
    plain_operations: float
    slow_operations: float


def measure_limits() -> Limits:
    """Measure; takes a few seconds."""
    mesh = episode_mesh()
    devices = mesh.devices.size
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    sharding = NamedSharding(mesh, P(AXIS))

    def sharded(function: Callable):
        return jax.jit(shard_over_episodes(function, mesh, (P(AXIS),), P(AXIS)))

    def ones(*shape: int):
        return jax.device_put(jnp.ones((devices, *shape), jnp.float32), sharding)

    large = 2**25 if on_cpu else 2**28
    side = 1024 if on_cpu else 8192
    near = 2**11 if on_cpu else 2**22

    def multiply_add(x):
        # Eight chains, so that none waits for itself.
        def turn(_, chains):
            for _ in range(_DEEP):
                chains = tuple(chain * 0.999 + 0.001 for chain in chains)
            return chains

        return sum(lax.fori_loop(0, _TURNS, turn, tuple(x + i for i in range(8))))

    def exponentials(x):
        def turn(_, y):
            for _ in range(_DEEP):
                y = jnp.exp(-y)
            return y

        return lax.fori_loop(0, _TURNS, turn, x)

    def copies(x):
        # In turns on one pair of arrays: fresh memory would be measured as page faults.
        return lax.fori_loop(0, _COPIES, lambda _, y: -y, x)

    copied = _rate(sharded(copies), ones(large))
    product = _rate(sharded(lambda x: jnp.matmul(x, x, precision=lax.Precision.HIGHEST)), ones(side, side))
    plain, slow = _rate(sharded(multiply_add), ones(near)), _rate(sharded(exponentials), ones(near))
    return Limits(
        copied_bytes=8.0 * _COPIES * large * devices * copied,
        product_operations=2.0 * side**3 * devices * product,
        plain_operations=16.0 * _DEEP * _TURNS * near * devices * plain,
        slow_operations=float(_DEEP * _TURNS * near * devices * slow),
    )


def _rate(function: Callable, x) -> float:
    """Calls per second, the best of five: a limit is what was possible."""
    jax.block_until_ready(function(x))
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        jax.block_until_ready(function(x))
        best = min(best, time.perf_counter() - started)
    return 1.0 / best
