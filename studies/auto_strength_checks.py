"""Checks of `auto` for auto_strength.py: refits without one support, the criterion of RidgeClassifierCV, and speed."""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jfewshot
from benchmarks.tools.samples import opened_samples
from jfewshot.classifiers import CLASSIFIERS, Logistic, Ridge, Support, logistic_many
from jfewshot.classifiers.base import centred
from jfewshot.classifiers.leave_one_out import losses, spectrum
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.store import open_store
from jfewshot.store.reading import sample_stores

NAMES = ("ridge", "logistic", "svm")
_SPEED = {1: 20_000, 5: 5_000, 20: 1_000}  # number of shots, and number of episodes of a call
_CRITERIA = {2: 500, 5: 500, 20: 150}  # number of shots, and number of episodes of a cell
_EXPLICIT_CELLS, _EXPLICIT_EPISODES = 4, 24


def strengths() -> dict[str, Any]:
    """The `Strength` of each classifier."""
    return {name: CLASSIFIERS[name].strength for name in NAMES}


def bars(cells: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """How much worse `auto` is than the best fixed strength, and how much better than strength 1, in points of accuracy.

    Args:
      cells: the result of `measure`.
      name: name of the classifier.
    """
    grid = strengths()[name].grid
    one = int(np.argmin(np.abs(np.log10(grid))))
    best, auto, at_one = (
        100 * np.array([value(cell[name]) for cell in cells])
        for value in (lambda own: max(own["fixed"]), lambda own: own["auto"], lambda own: own["fixed"][one])
    )
    worst = cells[int((best - auto).argmax())]
    return {
        "cells": len(cells),
        "behind_best": round(float((best - auto).mean()), 2),
        "within_1": int((best - auto <= 1).sum()),
        "within_1.5": int((best - auto <= 1.5).sum()),
        "furthest_behind": [round(float((best - auto).max()), 2), worst["dataset"], worst["upstream"]],
        "gain": round(float((auto - at_one).mean()), 2),
        "gain_of_best": round(float((best - at_one).mean()), 2),
        "least_gain": round(float((auto - at_one).min()), 2),
    }


def compare_with_refits() -> dict[str, Any]:
    """Compare choices by the closed form with choices by explicit leave-one-out of `logistic`, at 5 ways and 5 shots.

    Returns:
      mean accuracies over some sample cells in points, for each method of choosing, for strength 1, and for the best strength in
      hindsight.
    """
    grid = np.array(Logistic.strength.grid) if Logistic.strength else np.zeros(0)
    totals: dict[str, list[float]] = {}
    stores = opened_samples()
    for store in stores[:: len(stores) // _EXPLICIT_CELLS]:
        accuracy, support = _all_strengths(store, Logistic(), grid, 5, _EXPLICIT_EPISODES)
        one = int(np.argmin(np.abs(np.log10(grid))))
        episodes = np.arange(accuracy.shape[1])
        loss, wrong = _refits(support, grid)
        penalties = 4.0 * support.n_way / grid
        missed = np.asarray(_closed_form(support, jnp.asarray(penalties, jnp.float32)))
        ways = {
            "auto": np.asarray(_choose(Logistic(), support)),
            "closed form without the prior": missed.argmin(0),
            "refits, softmax loss": loss.argmin(0),
            "refits, errors": wrong.argmin(0),
        }
        for way, places in ways.items():
            totals.setdefault(way, []).append(100 * float(accuracy[places, episodes].mean()))
        totals.setdefault("C = 1", []).append(100 * float(accuracy[one].mean()))
        totals.setdefault("best in hindsight", []).append(100 * float(accuracy.mean(1).max()))
    return {"episodes": _EXPLICIT_EPISODES} | {way: [round(v, 2) for v in values] for way, values in totals.items()}


def compare_criteria() -> dict[str, Any]:
    """`bars` of `ridge` on all sample cells, with the criterion of `auto` and with RidgeClassifierCV's, which has no prior."""
    return {f"5x{k_shot}": _criteria(k_shot, n) for k_shot, n in _CRITERIA.items()}


def _criteria(k_shot: int, n_episodes: int) -> dict[str, Any]:
    grid = np.array(Ridge.strength.grid) if Ridge.strength else np.zeros(0)
    cells: dict[str, list[dict[str, Any]]] = {"auto": [], "RidgeClassifierCV's": []}
    for store in opened_samples():
        accuracy, support = _all_strengths(store, Ridge(), grid, k_shot, n_episodes)
        missed = np.asarray(_closed_form(support, jnp.asarray(grid, jnp.float32)))
        for name, places in (
            ("auto", np.asarray(_choose(Ridge(), support))),
            ("RidgeClassifierCV's", missed.argmin(0)),
        ):
            own = {"fixed": accuracy.mean(1).tolist(), "auto": float(accuracy[places, np.arange(n_episodes)].mean())}
            cells[name].append({"dataset": store.dataset, "upstream": store.upstream, "ridge": own})
    return {"episodes": n_episodes} | {name: bars(found, "ridge") for name, found in cells.items()}


def measure_speed() -> dict[str, Any]:
    """Measure episodes per second on ESC-10's YAMNet embeddings (400 clips x 1,024), 15 queries per class.

    Returns:
      for each shape, the rates of each classifier at strength 1 and with `auto`, and of RidgeClassifierCV.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from threadpoolctl import threadpool_limits

    store, found = open_store(sample_stores() / "esc10" / "yamnet"), {}
    evaluator = Evaluator()
    for shots, n_episodes in _SPEED.items():
        rates: dict[str, Any] = {}
        for name, kind in strengths().items():
            for value in ("1", "auto"):
                runs = [
                    jfewshot.evaluate(
                        store,
                        classifiers=f"{name}:{kind.name}={value}",
                        shots=shots,
                        n_episodes=n_episodes,
                        seed=seed,
                        evaluator=evaluator,
                    )[0]["timing"]["episodes_per_s"]
                    for seed in range(3)
                ]
                rates[f"{name} {value}"] = round(float(np.median(runs[1:])))
        x = store.view("last.mean")[store.clips.rows(np.arange(len(store.clips)))[1]].astype(np.float32)
        drawn = list(
            _draw(x / np.linalg.norm(x, axis=1, keepdims=True), store, shots, 15, 40, np.random.default_rng(0))
        )
        labels = np.repeat(np.arange(5), shots)
        # Both numbers of threads are tried, because small matrices are often slower with two threads. The faster number counts.
        per_s = []
        for threads in (1, None):
            with threadpool_limits(threads):
                started = time.perf_counter()
                for s, q in zip(*drawn, strict=True):
                    RidgeClassifierCV(alphas=strengths()["ridge"].grid).fit(s, labels).predict(q)
                per_s.append(40 / (time.perf_counter() - started))
        rates["RidgeClassifierCV"] = round(max(per_s), 1)
        found[f"5x{shots}"] = rates
    return found


@functools.partial(jax.jit, static_argnums=0)
def _choose(classifier, support):
    return classifier.choose(support)


@functools.partial(jax.jit, static_argnums=0)
def _predict(classifier, support, gram_qs, strength):
    model, _ = classifier.fit(support, strength)
    return classifier.score(model, support, gram_qs).argmax(1)


def _all_strengths(store, classifier, grid, k_shot, n_episodes):
    """A classifier's accuracy at each strength in each 5-way episode, and the supports."""
    n_way, n_query = 5, 15
    rng = np.random.default_rng(0)
    x = np.asarray(store.view("last.mean"), np.float64)[store.clips.rows(np.arange(len(store.clips)))[1]]
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    s, q = _draw(x - x.mean(0), store, k_shot, n_query, n_episodes, rng)
    gram_ss, gram_qs = (jnp.asarray(np.einsum("eid,ejd->ije", a, s, optimize=True), jnp.float32) for a in (s, q))
    nothing = jnp.zeros(n_episodes, jnp.uint32), jnp.zeros(2, jnp.uint32)
    support = Support(gram_ss, *nothing, n_way=n_way, k_shot=k_shot)
    truth = np.repeat(np.arange(n_way), n_query)[:, None]
    predicted = (np.asarray(_predict(classifier, support, gram_qs, jnp.float32(value))) for value in grid)
    return np.array([(some == truth).mean(0) for some in predicted]), support


def _draw(x, store, k_shot, n_query, n_episodes, rng):
    """Supports and queries of 5-way episodes, episodes x clips x dim."""
    _, label = np.unique(store.clips.class_name, return_inverse=True)
    clips = [np.flatnonzero(label == c) for c in range(label.max() + 1)]
    drawn = np.array(
        [
            [rng.permutation(clips[c])[: k_shot + n_query] for c in rng.permutation(len(clips))[:5]]
            for _ in range(n_episodes)
        ]
    )
    return (x[part].reshape(n_episodes, -1, x.shape[1]) for part in np.split(drawn, [k_shot], 2))


def _refits(support: Support, grid):
    """Softmax loss and errors of `logistic` on each support when it is left out, at each strength in each episode."""
    n = support.n_support
    others = np.array([np.delete(np.arange(n), left_out) for left_out in range(n)])
    target = np.eye(support.n_way)[support.labels]

    def without_one(gram, target, left_out, others, penalty):
        inside = gram[others][:, others]
        mean = inside.mean(0)
        found = logistic_many.solve(
            inside - mean - mean[:, None] + mean.mean(), target[others].T, penalty, stop=1e-5, may_stall=1e-3
        )
        score = found.alpha @ (gram[left_out, others] - mean) + found.bias
        own = (score * target[left_out]).sum()
        return jax.nn.logsumexp(score) - own, (score.argmax() != target[left_out].argmax()).astype(jnp.float32)

    @jax.jit
    def all_of(gram, penalty):
        each = jax.vmap(without_one, (None, None, 0, 0, None))
        one = lambda gram: each(gram, jnp.asarray(target, jnp.float32), jnp.arange(n), jnp.asarray(others), penalty)  # noqa: E731
        loss, wrong = lax.map(one, jnp.moveaxis(gram, -1, 0))
        return loss.mean(1), wrong.mean(1)

    found = [all_of(support.gram, jnp.float32(1.0 / value)) for value in grid]
    return tuple(np.array([part[number] for part in found]) for number in (0, 1))


@jax.jit
def _closed_form(support: Support, penalties):
    labels = support.one_hot - 1.0 / support.n_way
    return losses(spectrum(centred(support.gram)[0]), labels, penalties, lambda miss: (miss**2).mean((0, 1)))
