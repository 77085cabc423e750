"""Measures the GPU code alone: the kernel that solves, the kernel that multiplies rows, and copies of predictions to the host."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.gpu.evaluating import Question
from jfewshot.evaluator import gathered, kernel
from jfewshot.evaluator.answers import room_for, send, write
from jfewshot.evaluator.devices import AXIS
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.preprocessing import Transform

_UNIT = Transform("l2", unit_length=True)
_LARGER_TILES = (gathered.Tile(16, 25, 64, 8), gathered.Tile(16, 13, 64, 4), gathered.Tile(32, 25, 64, 8))


def looked_up(question: Question, rounds: int = 7) -> dict[str, Any]:
    """Episodes per second of looking up, solving and scoring. Draws and the matrix of inner products are on the device."""
    store, protocol = question.store, question.protocol
    support, query = _rows(question)
    n = protocol.n_episodes
    plan = kernel.plan(question.n_way, question.k_shot, protocol.n_queries, n, 1)
    if plan is None:
        return {"failed": "the kernel does not solve episodes of this size"}
    view = _UNIT.with_origin(store.view, np.arange(len(store.view)))(store.view)
    products = jnp.matmul(view, view.T, precision=lax.Precision.HIGHEST)
    solve = jax.jit(functools.partial(kernel.solve_looked_up, plan, interpret=_interpreted()))
    arguments = products, jnp.asarray(support[None]), jnp.asarray(query[None]), jnp.ones(1)
    seconds, (_, residual, count, _) = _timed(lambda: solve(*arguments), rounds)
    bad = ~(np.asarray(residual) <= 1e-4)
    found = {"products": float(count.mean()), "not_converged": float(bad.mean())}
    return {"rates": {"kernel": [n / s for s in seconds]}, "plan": plan._asdict(), **found}


def multiplied(question: Question, rounds: int = 5) -> dict[str, Any]:
    """Episodes per second of multiplying the rows of each episode, and bytes of rows per second. The store is on the device."""
    rows = np.concatenate(_rows(question))
    n_support, n = question.protocol.n_support, question.n_episodes
    view = jax.device_put(_UNIT(question.store.view))
    on_device = jnp.asarray(rows)

    def of_tile(tile: gathered.Tile) -> list[float]:
        multiply = jax.jit(lambda x, rows: gathered.multiply(x, rows, n_support, tile, _interpreted()))
        return [n / s for s in _timed(lambda: multiply(view, on_device), rounds)[0]]

    tile = gathered.tile(n_support)
    rates = of_tile(tile)
    # With larger tiles, fewer programs read the same rows, and more warps share the rows of one program.
    larger = [other for other in _LARGER_TILES if other.supports <= n_support]
    tried = [{"tile": other._asdict(), "rates": of_tile(other)} for other in larger]
    bytes_ = 4 * rows.size * view.shape[1] / n * max(rates)
    return {"rates": {"kernel": rates}, "tile": tile._asdict(), "bytes_per_s": bytes_, "larger_tiles": tried}


def copied(n_episodes: int, n_queries: int = 75, rounds: int = 5) -> dict[str, Any]:
    """Seconds of copying predictions to new host memory: by NumPy, and by the evaluator's own copy."""
    device = jax.local_devices()[0]
    mesh = jax.sharding.Mesh(np.array([device]), (AXIS,))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None, AXIS))
    plainly, by_us = [], []
    for number in range(rounds + 1):
        x = jax.device_put(jnp.full((1, n_episodes, n_queries), number, jnp.int8), spread)
        jax.block_until_ready(x)
        started = time.perf_counter()
        answers = room_for((x,), n_episodes)
        write(answers, send((x,)), 0, n_episodes)
        by_us.append(time.perf_counter() - started)
        started = time.perf_counter()
        fetched = np.asarray(x)
        plainly.append(time.perf_counter() - started)
        np.testing.assert_array_equal(fetched, answers[0])
    # The first call allocates page-locked memory.
    return {"numpy_s": plainly[1:], "ours_s": by_us[1:], "ours_first_s": by_us[0], "bytes": n_episodes * n_queries}


def _rows(question: Question) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the supports and of the queries, with the episodes on the last axis."""
    store, shots = question.store, question.k_shot
    clips = Evaluator().draw(store.clips, question.protocol).clips
    rows = store.clips.first_segment[clips].astype(np.int32)
    parts = (rows[:, :, :shots], rows[:, :, shots:])
    support, query = (np.ascontiguousarray(part.reshape(len(rows), -1).T) for part in parts)
    return support, query


def _timed(work: Callable[[], Any], rounds: int) -> tuple[list[float], Any]:
    out = jax.block_until_ready(work())
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        jax.block_until_ready(work())
        seconds.append(time.perf_counter() - started)
    return seconds, out


def _interpreted() -> bool:
    return jax.default_backend() == "cpu"
