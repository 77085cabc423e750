"""Fit a head on labelled embeddings, estimate its accuracy, and choose the threshold for unknown sounds."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from jfewshot._version import made_with
from jfewshot.classifiers.kernels import wants_squared_lengths
from jfewshot.classifiers.specs import ClassifierSpec, parse_classifier
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.evaluator.preprocessing import Transform, without_statistics
from jfewshot.heads import exact
from jfewshot.heads.head import CLASSIFIERS, PREPROCESSINGS, Head, margins
from jfewshot.heads.left_out import left_out_scores
from jfewshot.heads.solving import solve
from jfewshot.heads.unknown import Unknown, classes_left_out, find_threshold
from jfewshot.statistics.expected import Outcomes, outcomes_of
from jfewshot.store import ClipTable, Store, open_store
from jfewshot.store.view_checks import Wanted, check_view

log = logging.getLogger(__name__)

# Inner products of so many clips take 0.5 GB in float64; the expected accuracy needs a few arrays of this size.
MOST_CLIPS = 8000


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A head, and the findings of its fit.

    Attributes:
      head: the head; `write_head` stores it.
      outcomes: outcomes of the labelled clips, each left out.
      unknown: the threshold for unknown sounds.
      cautions: cautions for the reader of the numbers.
    """

    head: Head
    outcomes: Outcomes
    unknown: Unknown
    cautions: tuple[str, ...]


def fit_head(
    store: Store | Path | str,
    classifier: str = "ridge:alpha=auto",
    *,
    view: str | None = None,
    preprocessing: str = "l2",
    min_clips: int | None = None,
    keep: float = 0.9,
) -> Fitted:
    """Fit a head on all labelled clips of a store.

    A clip takes part as the mean of its segments' embeddings. If clips have groups, and each class has at least two,
    the expected accuracy is that of clips of new groups.

    Args:
      store: a store, or its folder.
      classifier: one of `CLASSIFIERS` with settings and one strength, as `jfewshot run` takes it.
      view: name of the array; None for `last.mean`, or for the only one.
      preprocessing: what is done to each embedding first, `none` or `l2`.
      min_clips: leave out classes with fewer clips; None: a class with a single clip is an error.
      keep: share of the known clips that the threshold for unknown sounds keeps.

    Returns:
      the head with the accuracy to expect.

    Raises:
      UserError: on a classifier or preprocessing that a head cannot have, on too few clips or classes, or embeddings that are
        not numbers.
    """
    store = store if isinstance(store, Store) else open_store(store)
    spec = head_spec(classifier)
    if preprocessing not in PREPROCESSINGS:
        raise UserError(
            f"preprocessing is '{preprocessing}'; a head takes {' or '.join(PREPROCESSINGS)}, which look at one clip at a time"
        )
    if not 0 < keep <= 1:
        raise UserError(f"keep is {keep:g}; it is the share of known clips to keep, above 0 and at most 1")
    view = choose_view(store, view)
    clips, dropped = usable_clips(store, min_clips)
    check_view(Wanted(store, view, clips))
    rows, transform = clip_means(store, view, clips, without_statistics(preprocessing), spec)
    _, labels = np.unique(clips.class_name, return_inverse=True)
    head = _fitted(rows, labels, clips.classes.tolist(), spec, transform)
    kind = head.classifier, head.settings, head.strength
    gram = rows.astype(np.float64) @ rows.astype(np.float64).T
    groups, caution = groups_apart(clips, labels)
    with Progress(
        "estimating the accuracy to expect", len(classes_left_out(len(head.classes), len(labels))) + 1
    ) as bar:
        scores = left_out_scores(gram, labels, groups, kind)
        bar.advance()
        unknown = find_threshold(gram, labels, margins(scores), kind, keep, bar.advance)
    correct = scores.argmax(1) == labels
    outcomes = outcomes_of(correct, groups)
    facts = _facts(store, view, clips, head, outcomes, unknown, correct, labels, bool(caution))
    cautions = [caution] if caution else []
    if dropped:
        cautions.append(
            f"{len(dropped)} classes have fewer than {min_clips} clips and were left out: {', '.join(dropped)}."
        )
    return Fitted(dataclasses.replace(head, facts=facts), outcomes, unknown, tuple(cautions))


def head_spec(classifier: str) -> ClassifierSpec:
    """A classifier that a head may have, with one strength.

    Raises:
      UserError: for another classifier, or several strengths.
    """
    spec = parse_classifier(classifier)
    if spec.name not in CLASSIFIERS:
        raise UserError(f"classifier '{spec.name}' cannot be kept as a head; {', '.join(CLASSIFIERS)} can")
    if wants_squared_lengths(spec.classifier):
        raise UserError(
            f"classifier '{classifier}': a head keeps weights, which a kernel does not have; leave out kernel"
        )
    if len(spec.strengths) != 1:
        raise UserError(f"classifier '{classifier}' names {len(spec.strengths)} strengths; a head has one")
    return spec


def choose_view(store: Store, view: str | None) -> str:
    """The view that is asked for, or the one that the store's manifest names, or `last.mean`, or the only one.

    Raises:
      UserError: if the store does not have it.
    """
    if view is None:
        named = store.manifest.get("default_view")
        view = named or (store.views[0] if len(store.views) == 1 else "last.mean")
    if view not in store.views:
        raise UserError(f"{store.path} has no view '{view}'; it has {', '.join(store.views)}: name one with --view")
    return view


def usable_clips(store: Store, min_clips: int | None) -> tuple[ClipTable, list[str]]:
    """The labelled clips of classes that are large enough, and the names of the other classes.

    Raises:
      UserError: a class with one clip where nothing says to leave it out, fewer than two classes, or too many clips.
    """
    table = store.clips
    labelled = table.class_number >= 0
    sizes = np.bincount(table.class_number[labelled], minlength=len(table.classes))
    if min_clips is not None and min_clips < 2:
        raise UserError(f"min_clips is {min_clips}; a class needs 2 clips at least, one of which is left out in turn")
    small = np.flatnonzero(sizes < (2 if min_clips is None else min_clips))
    if min_clips is None and len(small):
        raise UserError(
            f"class '{table.classes[small[0]]}' has 1 clip; 2 are needed at least. Add clips, or pass --min-clips 2 to leave "
            f"{len(small)} such {'class' if len(small) == 1 else 'classes'} out"
        )
    kept = labelled & ~np.isin(table.class_number, small)
    n_classes = len(table.classes) - len(small)
    if n_classes < 2:
        raise UserError(f"{store.path} has {n_classes} classes with enough labelled clips; a head needs 2 at least")
    if kept.sum() > MOST_CLIPS:
        raise UserError(
            f"{store.path} has {kept.sum():,} labelled clips; a head is fitted on {MOST_CLIPS:,} at most: give a table of fewer"
        )
    return table.select(kept), [str(table.classes[number]) for number in small]


def clip_means(
    store: Store, view: str, clips: ClipTable, transform: Transform, spec: ClassifierSpec
) -> tuple[Float[np.ndarray, "clips dim"], Transform]:
    """Mean embedding of each clip, each segment preprocessed.

    Args:
      store: where the view lies.
      view: its name.
      clips: some clips of the store.
      transform: the preprocessing.
      spec: the classifier. One that does not depend on the origin gets embeddings measured from the mean of all clips, which
        keeps float32 exact.

    Returns:
      float32, in the order of the clips; and the preprocessing with its origin.
    """
    rows, starts = clips.rows(np.arange(len(clips)))
    segments = transform(store.view(view)[rows]).astype(np.float64)
    means = np.add.reduceat(segments, starts) / clips.n_segments[:, None]
    origin = (means.mean(0) if spec.classifier.translation_invariant else np.zeros(means.shape[1])).astype(np.float32)
    return (means - origin).astype(np.float32), dataclasses.replace(transform, origin=origin)


def groups_apart(clips: ClipTable, labels: Int[np.ndarray, " clips"]) -> tuple[Int[np.ndarray, " clips"], str]:
    """Which clips are left out together, and a caution.

    Args:
      clips: the labelled clips.
      labels: class number of each.

    Returns:
      group numbers; each clip has its own if there are no groups, or if a class has only one group.
    """
    alone = np.arange(len(clips))
    if not (clips.group != "").any():
        return alone, ""
    pairs = np.unique(np.stack([labels, clips.group_number]), axis=1)
    single = np.flatnonzero(np.bincount(pairs[0], minlength=labels.max() + 1) < 2)
    if len(single):
        name = clips.classes[single[0]]
        return alone, (
            f"All clips of {len(single)} classes ('{name}' is one) are of a single group, so groups cannot be kept apart: the "
            "accuracy to expect holds for clips of known groups only."
        )
    return clips.group_number, ""


def _fitted(rows, labels, classes, spec: ClassifierSpec, transform: Transform) -> Head:
    """The head without its facts."""
    settings = dataclasses.asdict(spec.classifier)  # type: ignore[call-overload]
    strength: float | None = None
    numbers = np.zeros(0, np.int64)
    points = rows.astype(np.float64)
    cosine = settings.get("metric") == "cosine"
    if spec.name == "knn":
        if settings["k"] > len(labels):
            raise UserError(f"knn: k is {settings['k']}, and there are {len(labels)} labelled clips; lower k")
        squares = (points * points).sum(1)
        weights = points.T / np.sqrt(np.maximum(squares, 1e-30)) if cosine else points.T
        bias, numbers = (np.zeros(len(labels)) if cosine else -0.5 * squares), labels
    elif spec.name == "centroid":
        alpha, bias = exact.fit(points @ points.T, labels, len(classes), (spec.name, settings, None))
        weights = points.T @ alpha
    else:
        with Progress(f"fitting {spec.name} on {len(labels)} clips"):
            found = solve(points @ points.T, labels, len(classes), spec)
        weights, bias, strength = points.T @ found.alpha, found.bias, found.strength
    return Head(
        classes=tuple(classes),
        classifier=spec.name,
        settings=settings,
        strength=strength,
        preprocessing=transform.name,
        origin=np.asarray(transform.origin, np.float32),
        weights=np.ascontiguousarray(weights, np.float32),
        bias=np.asarray(bias, np.float32),
        labels=numbers.astype(np.int64),
        facts={},
    )


def _facts(
    store: Store,
    view: str,
    clips: ClipTable,
    head: Head,
    outcomes: Outcomes,
    unknown: Unknown,
    correct: Bool[np.ndarray, " clips"],
    labels: Int[np.ndarray, " clips"],
    groups_shared: bool,
) -> dict[str, Any]:
    """The further facts of head.json (docs/heads_in_use.md)."""
    manifest = store.manifest
    sizes = np.bincount(labels)
    recall = np.bincount(labels, correct) / sizes
    return {
        "dataset": {"name": store.dataset, "clip_table": store.clips.digest, "store": store.digest},
        "encoder": dict(manifest["upstream"]),
        "view": view,
        "audio": {name: manifest.get(name) for name in ("sample_rate", "segment_samples", "preprocessing")},
        "clips": {str(name): int(size) for name, size in zip(head.classes, sizes, strict=True)},
        "expected": {
            **outcomes._asdict(),
            "left_out_by": "clip" if outcomes.n_groups == outcomes.n else "group",
            "groups_shared": groups_shared,
            "recall": {str(name): float(value) for name, value in zip(head.classes, recall, strict=True)},
        },
        "unknown": {name: None if value != value else value for name, value in unknown._asdict().items()},
        "made_with": made_with("numpy", "scipy", "jax"),
    }
