"""Measures the machine's highest rates: copying memory, multiplying matrices, and arithmetic within the caches, on all devices.

The rates are measured with the same compiler and devices as the evaluator. So a row of the table can name the rate that limits
it, and report how close it comes to this limit.
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

# Consecutive operations on one number, which stays in a register meanwhile; and repetitions of these operations.
_DEEP, _TURNS = 32, 200
_COPIES = 10


class Limits(NamedTuple):
    """Highest rates per second, summed over all devices.

    Attributes:
      copied_bytes: bytes read plus bytes written, from memory to memory.
      product_operations: multiplications and additions in products of large float32 matrices, at full precision.
      plain_operations: float32 multiplications and additions on numbers that stay in the nearest cache.
      slow_operations: float32 exponentials of numbers that stay in the nearest cache.
    """

    copied_bytes: float
    product_operations: float
    plain_operations: float
    slow_operations: float


def measure_limits() -> Limits:
    """Measure all rates, which takes a few seconds."""
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
        # Eight independent chains of operations, so that the core need not wait for the result of the previous operation.
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
        # The loop reuses one pair of arrays. With new memory for every copy, page faults would be measured instead.
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
    """Calls per second in the fastest of five calls, because a limit is the highest rate that was possible."""
    jax.block_until_ready(function(x))
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        jax.block_until_ready(function(x))
        best = min(best, time.perf_counter() - started)
    return 1.0 / best
