"""Accuracy over the number of labels, for each method of choosing the clips: many repetitions, each on its own split."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jfewshot.labelling.choosing import distances_of, k_centre, k_medoids
from jfewshot.labelling.plain_head import fit, margins
from jfewshot.labelling.splits import Splits

METHODS = ("random", "kcentre", "kmedoids", "margin")
_AT_ONCE = 64  # repetitions between two reports of progress


class Simulated(NamedTuple):
    """The results.

    Attributes:
      accuracy: share of the held-out clips that were classified correctly; clips of a class without a label are always
          wrong.
      classes_seen: how many classes have a label.
    """

    accuracy: Float[np.ndarray, "methods repeats budgets"]
    classes_seen: Float[np.ndarray, "methods repeats budgets"]


def simulate(
    gram: Float[np.ndarray, "n n"],
    classes: Int[np.ndarray, " n"],
    n_classes: int,
    splits: Splits,
    budgets: Sequence[int],
    methods: Sequence[str] = METHODS,
    batch: int = 5,
    on_progress=lambda repeats: None,
) -> Simulated:
    """Label clips by each method up to each budget, fit the plain head on them, and classify all held-out clips.

    `random` takes the pool in its random order. `kcentre` and `kmedoids` look at no label. `kmedoids` chooses all clips of a
    budget at once and keeps the clips of smaller budgets. `margin` begins with the first clips of `random`, as many as the
    smallest budget; then it labels, in rounds, the `batch` clips whose two highest scores differ least.

    Args:
      gram: inner products of all clips of the dataset.
      classes: class of each clip.
      n_classes: how many classes there are.
      splits: which clips may be labelled and which are held out.
      budgets: numbers of labels, ascending; no pool is smaller than the largest one.
      methods: some of `METHODS`.
      batch: clips that `margin` labels in a round.
      on_progress: called with a number of repetitions whenever so many are done.

    Returns:
      accuracies by method, repetition and budget.
    """
    devices = jax.local_devices()
    shared = [jax.device_put((np.asarray(gram, np.float32), classes.astype(np.int32)), one) for one in devices]
    settings = tuple(methods), tuple(budgets), batch, n_classes
    found: list[tuple[Array, Array]] = []
    repeats = len(splits.pool)
    step = min(_AT_ONCE, -(-repeats // len(devices)))
    for start in range(0, repeats, step * len(devices)):
        waiting = []
        for number, device in enumerate(devices):
            rows = np.arange(start + number * step, start + (number + 1) * step)
            if rows[0] >= repeats:
                continue
            # The last rows are repeated, so that one size is compiled.
            part = [jax.device_put(array[np.minimum(rows, repeats - 1)], device) for array in splits]
            waiting.append(_repetitions(settings, *shared[number], *part))
        found += [jax.block_until_ready(one) for one in waiting]
        on_progress(min(step * len(devices), repeats - start))
    arrays = [np.concatenate([np.asarray(one[place]) for one in found])[:repeats] for place in (0, 1)]
    return Simulated(*(np.swapaxes(array, 0, 1).astype(np.float64) for array in arrays))


@functools.partial(jax.jit, static_argnums=0)
def _repetitions(settings, gram, classes, pool, in_pool, held_out, in_held_out):
    return lax.map(lambda one: _repetition(settings, gram, classes, *one), (pool, in_pool, held_out, in_held_out))


def _repetition(settings, gram, classes, pool, in_pool, held_out, in_held_out):
    methods, budgets, batch, n_classes = settings
    own = gram[pool][:, pool]
    own_classes = classes[pool]
    asked = gram[held_out][:, pool]
    answers = classes[held_out]
    orders = {
        "random": lambda: jnp.arange(budgets[-1], dtype=jnp.int32),
        "kcentre": lambda: _by_k_centre(own, in_pool, budgets[-1]),
        "kmedoids": lambda: _by_k_medoids(own, in_pool, budgets),
        "margin": lambda: by_margin(own, in_pool, own_classes, n_classes, budgets[0], budgets[-1], batch),
    }

    def at(order, budget):
        weight = (jnp.arange(budgets[-1]) < budget).astype(own.dtype)
        head = fit(own[order][:, order], weight, own_classes[order], n_classes)
        right = (head.scores(asked[:, order]).argmax(1) == answers) & in_held_out
        return right.mean(where=in_held_out), (head.bias > -jnp.inf).sum()

    # One after another in a loop: a single copy of the head is compiled for all methods and budgets.
    ways = jnp.repeat(jnp.stack([orders[name]() for name in methods]), len(budgets), 0)
    accuracy, seen = lax.map(lambda one: at(*one), (ways, jnp.tile(jnp.asarray(budgets), len(methods))))
    shape = len(methods), len(budgets)
    return accuracy.reshape(shape), seen.reshape(shape)


def _by_k_centre(gram: Float[Array, "n n"], inside: Array, n_new: int) -> Int[Array, " n_new"]:
    distances = distances_of(gram)
    # The sum of squared distances is smallest for the clip nearest to the mean.
    central = jnp.where(inside[None], distances**2, 0.0).sum(1)
    nearest = jnp.where(inside, jnp.inf, 0.0)
    return k_centre(lambda clip: distances[clip], nearest, inside, central, n_new)


def _by_k_medoids(gram: Float[Array, "n n"], inside: Array, budgets: Sequence[int]) -> Int[Array, " n_new"]:
    distances = distances_of(gram)
    nearest, allowed = jnp.full(len(gram), jnp.inf, gram.dtype), inside
    parts = []
    for before, budget in zip((0, *budgets[:-1]), budgets, strict=True):
        new = k_medoids(distances, nearest, inside, allowed, budget - before)
        nearest = jnp.minimum(nearest, distances[:, new].min(1))
        allowed = allowed.at[new].set(False)
        parts.append(new)
    return jnp.concatenate(parts)


def by_margin(
    gram: Float[Array, "n n"],
    inside: Array,
    classes: Int[Array, " n"],
    n_classes: int,
    first: int,
    n_new: int,
    batch: int,
) -> Int[Array, " n_new"]:
    """Margin sampling: in each round, the clips whose two highest scores differ least are labelled.

    Where a single class is labelled, no scores differ, and clips are taken in their order.

    Args:
      gram: inner products of the pool's clips, which are in a random order.
      inside: which clips are not padding.
      classes: class of each clip, looked at once the clip is labelled.
      n_classes: how many classes there are.
      first: how many clips, the first ones, are labelled before the first round.
      n_new: how many clips are labelled in the end.
      batch: how many are labelled in a round; fewer in the last one.

    Returns:
      the clips in the order of their labels.
    """
    rounds = -(-(n_new - first) // batch)
    length = first + rounds * batch
    batch = min(batch, gram.shape[0])

    def one_round(number, state):
        order, free = state
        known = first + number * batch
        weight = (jnp.arange(length) < known).astype(gram.dtype)
        head = fit(gram[order][:, order], weight, classes[order], n_classes)
        unsure = margins(head.scores(gram[:, order]))
        unsure = jnp.where(jnp.isinf(unsure), jnp.arange(len(gram), dtype=gram.dtype), unsure)
        chosen = lax.top_k(-jnp.where(free, unsure, jnp.inf), batch)[1].astype(jnp.int32)
        return lax.dynamic_update_slice(order, chosen, (known,)), free.at[chosen].set(False)

    order = jnp.where(jnp.arange(length) < first, jnp.arange(length), 0).astype(jnp.int32)
    free = inside & (jnp.arange(len(gram)) >= first)
    return lax.fori_loop(0, rounds, one_round, (order, free))[0][:n_new]
