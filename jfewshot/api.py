"""Evaluation from Python: one call, for notebooks and scripts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

from jfewshot.cells.computing import evaluate_cells
from jfewshot.cells.planning import plan_cells
from jfewshot.classifiers.specs import default_classifiers, parse_classifier
from jfewshot.episodes.protocol import QuerySegments, protocols
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.results import Keep, ResultFolder
from jfewshot.store import Store, find_stores, open_store


def evaluate(
    stores: Store | Path | str | Sequence[Store | Path | str],
    *,
    classifiers: str | Sequence[str] | None = None,
    ways: SupportsIndex | Sequence[SupportsIndex] = 5,
    shots: SupportsIndex | Sequence[SupportsIndex] = 1,
    n_query: SupportsIndex = 15,
    n_episodes: SupportsIndex = 10_000,
    seed: SupportsIndex = 42,
    preprocessing: str = "l2",
    views: Sequence[str] | None = None,
    split: str | None = None,
    min_clips: SupportsIndex | None = None,
    group_aware: bool = False,
    query_segments: QuerySegments = "vote",
    center_from: Store | None = None,
    transductive: bool = False,
    intersect_clips: bool = False,
    out: Path | str | None = None,
    keep: Keep = "predictions",
    evaluator: Evaluator | None = None,
    on_progress: Callable[[int], None] = lambda episodes: None,
) -> list[dict[str, Any]]:
    """Evaluate stores on few-shot episodes.

    On a CPU, call `jfewshot.use_all_cores()` before anything uses JAX: a library may not choose a process's devices, so only
    the command line does it by itself. Without that call JAX sees one device and splits every small operation among the
    cores, which is slower.

    Args:
      stores: one or more stores, or folders of stores.
      classifiers: as on the command line: "logistic", "logistic:C=0.1,1,10", "logistic:C=auto", "sgd:epochs=20", ...; None for
        "logistic" where every episode has one shot, else "logistic:C=auto".
      ways: classes per episode, one number or several.
      shots: support clips per class, one number or several; every number of ways is combined with every number of shots.
      n_query: query clips per class.
      n_episodes: episodes per protocol.
      seed: of the draws; the same seed gives the same episodes for every upstream and classifier.
      preprocessing: what is done to embeddings first: "none", "l2", ... (see `fit_transform`).
      views: names of arrays; None for `last.mean`.
      split: use only the clips of this split; None for all clips.
      min_clips: leave out classes with fewer clips, and list them; None: such a class is an error.
      group_aware: draw no query from a group (speaker, recording) that is in the support of its episode.
      query_segments: how a query of several segments is decided (see `Protocol`).
      center_from: a store whose mean is subtracted, where the preprocessing needs a mean.
      transductive: take that mean from all clips of the store itself, test clips included.
      intersect_clips: where stores of one dataset hold different clips, use those that they share.
      out: a result folder, to keep records and to skip what is there; None to keep nothing.
      keep: what `out` keeps of each cell: "predictions", or "counts" of right queries for a fifth of the disk.
      evaluator: the one of an earlier call, to share compiled code and drawn episodes; None for a new one.
      on_progress: called with a number of episodes whenever so many are done, found ones included.

    Returns:
      One record per store, protocol, classifier and strength (docs/results.md). Without `out`, a record also has the array
      "predicted" (episodes x queries: the slot each query was given to). Equal parts of several records may be one object.

    Raises:
      UserError: on anything the caller can mend, saying how.

    Example:
      >>> import numpy as np, tempfile, jfewshot
      >>> rng = np.random.default_rng(0)
      >>> X = rng.normal(size=(10, 1, 16)) + 0.5 * rng.normal(size=(10, 20, 16))  # 10 classes of 20 clips
      >>> y = np.repeat([f"bird {c}" for c in range(10)], 20)
      >>> store = jfewshot.create_store(
      ...     tempfile.mkdtemp() + "/store", X.reshape(200, 16), y, dataset="birds", upstream="mine"
      ... )
      >>> record = jfewshot.evaluate(store, n_episodes=200)[0]
      >>> bool(record["accuracy"]["mean"] > 0.9)
      True
    """
    episodes = protocols(
        ways,
        shots,
        n_query=n_query,
        n_episodes=n_episodes,
        seed=seed,
        split=split,
        min_clips=min_clips,
        group_aware=group_aware,
        query_segments=query_segments,
    )
    if classifiers is None:
        classifiers = default_classifiers(protocol.k_shot for protocol in episodes)
    specs = [parse_classifier(text) for text in ([classifiers] if isinstance(classifiers, str) else classifiers)]
    if not specs:
        raise UserError("classifiers is empty; name at least one, for instance classifiers='logistic'")
    listed = [stores] if isinstance(stores, Store | Path | str) else list(stores)
    opened: list[Store] = []
    for item in listed:
        opened.extend([item] if isinstance(item, Store) else map(open_store, find_stores(item)))
    cells = plan_cells(
        opened,
        episodes,
        specs,
        preprocessing=preprocessing,
        views=views,
        center_from=center_from,
        transductive=transductive,
        intersect_clips=intersect_clips,
    )
    folder = None if out is None else ResultFolder(out, keep)
    try:
        return [record for record, _ in evaluate_cells(cells, evaluator or Evaluator(), folder, on_progress)]
    finally:
        if folder is not None:
            folder.close()
