"""The clips of a store to label next."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jfewshot.classifiers.specs import parse_classifier
from jfewshot.errors import UserError
from jfewshot.evaluator.preprocessing import without_statistics
from jfewshot.files.csv_cells import csv_text
from jfewshot.files.tables import read_table
from jfewshot.heads.fitting import MOST_CLIPS, choose_view, clip_means
from jfewshot.heads.solving import solve
from jfewshot.labelling.choosing import distances_of, k_centre, k_medoids
from jfewshot.labelling.comparing import HEAD
from jfewshot.randomness import random_pairs, stream_key
from jfewshot.store import Store
from jfewshot.store.view_checks import Wanted, check_view


class Proposal(NamedTuple):
    """A clip to label.

    Attributes:
      path: the clip's id.
      order: 1 for the first one.
      reason: why it was chosen, in words.
    """

    path: str
    order: int
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class _Known:
    """Embeddings of the clips, and what is known of their classes.

    Attributes:
      names: of the clips.
      points: mean embedding of each clip.
      classes: names of the known classes, sorted.
      labels: class number of each clip; -1 where it has none.
    """

    names: np.ndarray
    points: Float[np.ndarray, "n dim"]
    classes: list[str]
    labels: Int[np.ndarray, " n"]

    @property
    def free(self) -> Bool[np.ndarray, " n"]:
        return self.labels < 0

    def nearest(self) -> Float[np.ndarray, " n"]:
        """Distance of each clip from the nearest labelled one; infinite where none is labelled."""
        nearest = np.full(len(self.points), np.inf)
        for clip in np.flatnonzero(~self.free):
            nearest = np.minimum(nearest, np.linalg.norm(self.points - self.points[clip], axis=1))
        return nearest


def propose(
    store: Store,
    budget: int,
    by: str = "kmedoids",
    *,
    labels: Mapping[str, str] | None = None,
    view: str | None = None,
    preprocessing: str = "l2",
    seed: int = 42,
) -> list[Proposal]:
    """Choose clips to label.

    A clip takes part as the mean of its segments' embeddings.

    Args:
      store: the embeddings; clips without a class are candidates.
      budget: how many clips to choose.
      by: `kmedoids`, `kcentre`, `margin` or `random`; see `options.LabelNextOptions`.
      labels: classes of further clips by their names; they win over the store's.
      view: name of the array; None for `last.mean`, or the only one.
      preprocessing: `none` or `l2`.
      seed: of `random`.

    Returns:
      the clips in the order in which to label them.

    Raises:
      UserError: if fewer clips are without a class, a name is not the store's, or `margin` has fewer than two classes to go by.
    """
    known = _known(store, labels or {}, choose_view(store, view), preprocessing)
    free = int(known.free.sum())
    if not 1 <= budget <= free:
        fix = "" if free else ". `jfewshot store create --unlabelled` keeps clips without a class"
        raise UserError(f"--budget is {budget}, and {store.path} has {free} clips without a class{fix}")
    if by == "random":
        return _at_random(known, budget, stream_key(seed, store.clips.digest, "label next"), seed)
    if by == "margin":
        return _by_margin(known, budget)
    return _by_k_centre(known, budget) if by == "kcentre" else _by_k_medoids(known, budget, store.path)


def read_labels(path: Path) -> dict[str, str]:
    """Classes of clips from a CSV file; rows without a class are left out.

    Args:
      path: of a table with the columns path (or clip_id) and class (or label).

    Returns:
      classes by the clips' names.

    Raises:
      UserError: if the file or a column is missing, or a clip has two classes.
    """
    rows = read_table(path, (), "give a CSV with the columns path and class")
    there = list(rows[0]) if rows else []
    name, label = (
        next((one for one in choices if one in there), "") for choices in (("path", "clip_id"), ("class", "label"))
    )
    if not name or not label:
        raise UserError(f"{path} needs the columns path (or clip_id) and class (or label); it has {', '.join(there)}")
    found: dict[str, str] = {}
    for row in rows:
        clip, given = str(row[name]).strip(), str(row[label]).strip()
        if given and found.setdefault(clip, given) != given:
            raise UserError(f"{path} gives clip '{clip}' the classes '{found[clip]}' and '{given}'; keep one of them")
    return found


def proposals_csv(proposals: list[Proposal]) -> str:
    """Clips to label as a CSV file with a header."""
    return csv_text([Proposal._fields, *proposals])


def _known(store: Store, further: Mapping[str, str], view: str, preprocessing: str) -> _Known:
    clips = store.clips
    unknown = sorted(set(further) - set(clips.clip_id.tolist()))
    if unknown:
        raise UserError(
            f"--labels names clip '{unknown[0]}', and {store.path} has no such clip; names are those of the store"
        )
    names = [
        further.get(clip, label) for clip, label in zip(clips.clip_id.tolist(), clips.class_name.tolist(), strict=True)
    ]
    check_view(Wanted(store, view, clips))
    points, _ = clip_means(store, view, clips, without_statistics(preprocessing), parse_classifier(HEAD))
    classes = sorted(set(names) - {""})
    number = {name: place for place, name in enumerate(classes)}
    labels = np.array([number.get(name, -1) for name in names])
    return _Known(clips.clip_id, points.astype(np.float64), classes, labels)


def _at_random(known: _Known, budget: int, key: np.ndarray, seed: int) -> list[Proposal]:
    numbers = np.arange(len(known.names), dtype=np.uint32)
    words = np.asarray(random_pairs(*map(jnp.asarray, (key, np.zeros_like(numbers), numbers)))[0])
    order = [clip for clip in np.argsort(words, kind="stable") if known.free[clip]][:budget]
    return _listed(known, order, [f"drawn at random (seed {seed})"] * budget)


def _by_k_centre(known: _Known, budget: int) -> list[Proposal]:
    nearest = known.nearest()
    central = ((known.points - known.points.mean(0)) ** 2).sum(1)

    @jax.jit
    def choose(points, nearest, free, central):
        return k_centre(lambda clip: jnp.sqrt(((points - points[clip]) ** 2).sum(1)), nearest, free, central, budget)

    numbers = (jnp.asarray(array, jnp.float32) for array in (known.points, nearest))
    chosen = choose(*numbers, jnp.asarray(known.free), jnp.asarray(central, jnp.float32))
    reasons = []
    for clip in np.asarray(chosen):
        far = nearest[clip]
        reasons.append(
            "nearest to the mean of all clips"
            if np.isinf(far)
            else f"farthest from all labelled and chosen clips (distance {far:.3g})"
        )
        nearest = np.minimum(nearest, np.linalg.norm(known.points - known.points[clip], axis=1))
    return _listed(known, np.asarray(chosen), reasons)


def _by_k_medoids(known: _Known, budget: int, path: Path) -> list[Proposal]:
    if len(known.points) > MOST_CLIPS:
        raise UserError(
            f"{path} has {len(known.points):,} clips; kmedoids compares all of them with each other and takes {MOST_CLIPS:,} at "
            "most: choose --by kcentre"
        )
    distances = distances_of(jnp.asarray(known.points @ known.points.T, jnp.float32))
    nearest = known.nearest()
    chosen = np.asarray(
        jax.jit(k_medoids, static_argnums=4)(
            distances,
            jnp.asarray(nearest, jnp.float32),
            jnp.ones(len(known.points), bool),
            jnp.asarray(known.free),
            budget,
        )
    )
    to_new = np.asarray(distances)[:, chosen]
    owner = np.where(to_new.min(1) < nearest, to_new.argmin(1), -1)
    sizes = np.bincount(owner[owner >= 0], minlength=budget)
    order = np.argsort(-sizes, kind="stable")  # those that stand for most clips first
    reasons = [
        f"in the middle of {size} clip{'' if size == 1 else 's'} (mean distance {_mean(to_new[owner == place, place]):.3g})"
        for place, size in zip(order, sizes[order], strict=True)
    ]
    return _listed(known, chosen[order], reasons)


def _by_margin(known: _Known, budget: int) -> list[Proposal]:
    labelled = np.flatnonzero(~known.free)
    if len(known.classes) < 2:
        raise UserError(
            f"--by margin needs labelled clips of two classes at least, and {len(known.classes)} have one; begin with --by "
            "kmedoids"
        )
    if len(labelled) > MOST_CLIPS:
        raise UserError(f"{len(labelled):,} clips are labelled; --by margin takes {MOST_CLIPS:,} at most")
    own = known.points[labelled]
    head = solve(own @ own.T, known.labels[labelled], len(known.classes), parse_classifier(HEAD))
    scores = known.points @ (own.T @ head.alpha) + head.bias
    best = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    high = np.take_along_axis(scores, best, axis=1)
    margin = np.where(known.free, high[:, 0] - high[:, 1], np.inf)
    order = np.argsort(margin, kind="stable")[:budget]
    reasons = [
        f"undecided between {known.classes[best[clip, 0]]} and {known.classes[best[clip, 1]]} (margin {margin[clip]:.3g})"
        for clip in order
    ]
    return _listed(known, order, reasons)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _listed(known: _Known, order, reasons: list[str]) -> list[Proposal]:
    return [
        Proposal(str(known.names[clip]), place + 1, reason)
        for place, (clip, reason) in enumerate(zip(order, reasons, strict=True))
    ]
