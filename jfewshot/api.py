"""Evaluation from Python: one call, for notebooks, scripts and training loops."""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, SupportsIndex

from jfewshot.cells.computing import evaluate_cells
from jfewshot.cells.curves import stopped_curves
from jfewshot.cells.fusions import fusions
from jfewshot.cells.planning import plan_cells
from jfewshot.cells.planning_mteb import plan_mteb, refuse_fixed
from jfewshot.cells.record_parts import parts_of_solved
from jfewshot.classifiers.specs import ClassifierSpec, default_classifiers, parse_classifier
from jfewshot.episodes.protocol import (
    Protocol,
    QuerySegments,
    SmallClasses,
    protocols,
    whole_number,
    whole_numbers,
)
from jfewshot.episodes.resolving import resolved
from jfewshot.episodes.sides import Side
from jfewshot.errors import UserError
from jfewshot.evaluator.backgrounds import opened_backgrounds
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.preprocessing import refuse_unused_statistics, without_statistics
from jfewshot.results import Keep, ResultFolder
from jfewshot.store import Store, find_stores, open_store
from jfewshot.store.creating import checked_arrays


def evaluate(
    stores: Store | Path | str | Sequence[Store | Path | str],
    *,
    protocol: Literal["default", "paper", "mteb", "mteb_faithful"] = "default",
    classifiers: str | Sequence[str] | None = None,
    ways: SupportsIndex | Sequence[SupportsIndex] | Literal["all"] | None = None,
    shots: SupportsIndex | Literal["all"] | Sequence[SupportsIndex | Literal["all"]] | None = None,
    small_classes: SmallClasses = "refuse",
    n_query: SupportsIndex | Literal["all"] | None = None,
    query_balance: str = "equal",
    unknown_ways: SupportsIndex = 0,
    n_episodes: SupportsIndex | None = None,
    seed: SupportsIndex = 42,
    preprocessing: str | None = None,
    views: Sequence[str] | None = None,
    fuse: Sequence[str] = (),
    fuse_weights: Sequence[str] = (),
    mix: Literal["layers"] | None = None,
    split: str | None = None,
    min_clips: SupportsIndex | None = None,
    group_aware: bool = False,
    support_split: str | None = None,
    query_split: str | None = None,
    support_where: str | Sequence[str] = (),
    query_where: str | Sequence[str] = (),
    support_from: Store | Path | str | Sequence[Store | Path | str] = (),
    query_segments: QuerySegments = "vote",
    statistics_from: Store | Path | str | Sequence[Store | Path | str] | None = None,
    center_from: Store | None = None,
    transductive: bool = False,
    shrinkage: float = 1.0,
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
      protocol: "paper" for the few-shot paper's, with one query per class and the classifier "sgd" where these are not given;
        "mteb" or "mteb_faithful" for mteb's audio classification, which fixes all but `n_episodes`, `seed`, `split`,
        `support_split`, `query_split` and `views` (docs/mteb.md).
      classifiers: as on the command line: "logistic", "logistic:C=0.1,1,10", "logistic:C=auto", "sgd:epochs=20", ...; None for
        "logistic" where every episode has one shot, else "ridge:alpha=auto".
      ways: classes per episode, one number or several; "all" for all classes. None for 5.
      shots: support clips per class, one number or several, of which "all" may be one; every number of ways is combined with
        every number of shots. "all" trains on all support clips of an episode's classes; where nothing separates support and
        query clips, a quarter of each class, in whole groups, is then kept for queries at every number of shots. None for 1.
      small_classes: what to do with classes that have too few clips for the largest number of shots: "refuse" them with an
        error, "leave" them out at every number of shots, or "stop" a dataset's curve where they end.
      n_query: query clips per class; "all" for all clips that are no support of the episode, with balanced accuracy and macro F1
        in the records' `metrics`. None for 15.
      query_balance: "equal" for equally many queries of each class, or "dirichlet:2" for numbers that differ from episode to
        episode, with balanced accuracy and macro F1 also. `n_query` is then the mean.
      unknown_ways: classes of an episode that have queries and no supports; records then have `open_set`.
      n_episodes: episodes per protocol; None for 10,000, and for mteb's own number of experiments.
      seed: of the draws; the same seed gives the same episodes for every upstream and classifier.
      preprocessing: what is done to embeddings first: "none", "l2", ... (see `fit_transform`). None for "l2".
      views: names of arrays; None for each store's default view: the manifest's, or `last.mean`.
      fuse: upstreams to evaluate together also, "a+b" or "pairs" for every two of each dataset (docs/fusion.md).
      fuse_weights: weights of these fusions and of the mixed layers: "equal", "75-25", or "auto" for weights that each episode
        chooses; each makes a fusion. None for equal ones.
      mix: "layers" to evaluate the layers of each store together also.
      split: use only the clips of this split; None for all clips.
      min_clips: leave out classes with fewer clips, and list them; None: such a class is an error.
      group_aware: draw no query from a group (speaker, recording) that is in the support of its episode.
      support_split: draw supports from this split; None for all clips of `split`.
      query_split: draw queries from this split; None for all clips of `split`.
      support_where: draw supports from clips that meet these conditions on columns of the clip table, such as "site=A".
      query_where: draw queries from clips that meet these conditions, such as "site=B" or "site!=A".
      support_from: one or more stores, or folders of stores, to draw supports from: noisy copies, another microphone. Each
        evaluated store takes the one of its upstream. No clip is on both sides of an episode, nor is another recording of it
        with the same clip id.
      query_segments: how a query of several segments is decided (see `Protocol`).
      statistics_from: a store whose mean, deviation or covariance the preprocessing uses; or several, of which those of the same
        upstream and of another dataset are taken together; or "shipped", for the statistics that come with jfewshot, or files
        of statistics. None for the training split.
      center_from: the old name of `statistics_from`.
      transductive: take these statistics from all clips of the store itself, test clips included; with `statistics_from`, let
        the other stores hold evaluated clips.
      shrinkage: how much of the mean variance whitening adds to the variance of each direction.
      intersect_clips: where stores of one dataset hold different clips, use those that they share.
      out: a result folder, to keep records and to skip what is there; None to keep nothing.
      keep: what `out` keeps of each cell: "predictions"; "counts" of right queries for a fifth of the disk; or "scores",
        which are predictions and the log-probabilities of every query.
      evaluator: the one of an earlier call, to share compiled code and drawn episodes; None for a new one.
      on_progress: called with a number of episodes whenever so many are done, found ones included.

    Returns:
      One record per store, protocol, classifier and strength (docs/results.md). Without `out`, a record also has the array
      "predicted" (episodes x queries: the slot each query was given to), and with `keep="scores"` the `QueryScores` "scores".
      Equal parts of several records may be one object.

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
    support, query = (
        Side.of(support_split, support_where, "support_where"),
        Side.of(query_split, query_where, "query_where"),
    )
    about_statistics = {
        "statistics_from": statistics_from is not None,
        "center_from": center_from is not None,
        "shrinkage": shrinkage != 1.0,
        "transductive": transductive,
    }
    if protocol not in ("default", "paper", "mteb", "mteb_faithful"):
        raise UserError(f"protocol is {protocol!r}; choose default, paper, mteb or mteb_faithful")
    if protocol.startswith("mteb"):
        given: dict[str, Any] = {
            "ways": ways,
            "shots": shots,
            "small_classes": small_classes != "refuse",
            "n_query": n_query,
            "query_balance": query_balance != "equal",
            "unknown_ways": unknown_ways,
            "fuse": fuse,
            "mix": mix,
            "support_where": support_where,
            "query_where": query_where,
            "support_from": support_from,
            "min_clips": min_clips,
            "group_aware": group_aware,
            "query_segments": query_segments != "vote",
            "classifiers": classifiers,
            "preprocessing": preprocessing not in (None, "none"),
        }
        refuse_fixed(protocol, given | about_statistics)
        cells = plan_mteb(
            _opened(stores),
            protocol == "mteb_faithful",
            n_episodes=None if n_episodes is None else whole_number(n_episodes, "n_episodes"),
            seed=whole_number(seed, "seed"),
            split=split,
            support=support,
            query=query,
            views=views,
            intersect_clips=intersect_clips,
            keep_scores=keep == "scores",
        )
    else:
        refuse_unused_statistics(preprocessing or "l2", about_statistics)
        episodes = protocols(
            5 if ways is None else ways,
            1 if shots is None else shots,
            small_classes,
            bool(_opened(support_from)),
            n_query=(1 if protocol == "paper" else 15) if n_query is None else n_query,
            query_balance=query_balance,
            unknown_ways=unknown_ways,
            n_episodes=10_000 if n_episodes is None else n_episodes,
            seed=seed,
            split=split,
            min_clips=min_clips,
            group_aware=group_aware,
            query_segments=query_segments,
            support=support,
            query=query,
        )
        opened = _opened(stores)
        if isinstance(fuse, str) or isinstance(fuse_weights, str):
            raise UserError("fuse and fuse_weights are lists of texts; write fuse=['a+b'], fuse_weights=['auto']")
        if fuse_weights and not (fuse or mix):
            raise UserError("fuse_weights are those of fuse and mix; give one of these, for instance fuse=['pairs']")
        cells = plan_cells(
            [*opened, *fusions(opened, fuse, fuse_weights, mix == "layers", views or ())],
            episodes,
            _specs("sgd" if protocol == "paper" and classifiers is None else classifiers, episodes),
            preprocessing=preprocessing or "l2",
            views=views,
            center_from=center_from if statistics_from is None else opened_backgrounds(_listed(statistics_from)),
            transductive=transductive,
            shrinkage=shrinkage,
            intersect_clips=intersect_clips,
            support_from=_opened(support_from),
            stop_curves=small_classes == "stop",
            keep_scores=keep == "scores",
        )
    folder = None if out is None else ResultFolder(out, keep)
    try:
        return [record for record, _ in evaluate_cells(cells, evaluator or Evaluator(), folder, on_progress)]
    finally:
        if folder is not None:
            folder.close()


def evaluate_arrays(
    embeddings: Any,
    labels: Iterable[Any],
    groups: Iterable[Any] | None = None,
    *,
    classifiers: str | Sequence[str] | None = None,
    ways: SupportsIndex | Sequence[SupportsIndex] | Literal["all"] = 5,
    shots: SupportsIndex | Sequence[SupportsIndex] = 1,
    small_classes: SmallClasses = "refuse",
    n_query: SupportsIndex | Literal["all"] = 15,
    query_balance: str = "equal",
    n_episodes: SupportsIndex = 1000,
    seed: SupportsIndex = 42,
    preprocessing: str = "l2",
    min_clips: SupportsIndex | None = None,
    n_segments: Sequence[int] | None = None,
    query_segments: QuerySegments = "vote",
    evaluator: Evaluator | None = None,
) -> list[dict[str, Any]]:
    """Evaluate embeddings in memory, without a store: for a training loop's validation, and for a first look.

    The numbers are those that `create_store` and `evaluate` give for the same arguments. Compiled code and drawn episodes are
    kept in this process, so that a second call with as many clips of the same labels only solves.

    Args:
      embeddings: clips x dim, or what else `create_store` takes: arrays of NumPy, JAX or PyTorch, data frames, a list with one
        array of segments x dim per clip.
      labels: the label of each clip.
      groups: the speaker, site or recording of each clip. No query is then drawn from a group that is in the support of its
        episode. None for none.
      classifiers: as for `evaluate`.
      ways: classes per episode, one number or several; "all" for all classes.
      shots: support clips per class, one number or several.
      small_classes: as for `evaluate`.
      n_query: query clips per class; "all" for all clips that are no support of the episode.
      query_balance: as for `evaluate`.
      n_episodes: episodes per protocol.
      seed: of the draws.
      preprocessing: "l2" or "none"; others take statistics from training clips, and need a store.
      min_clips: leave out classes with fewer clips; None: such a class is an error.
      n_segments: segments of each clip, where rows are segments; None for one each.
      query_segments: how a query of several segments is decided (see `Protocol`).
      evaluator: None for one that all calls of this process share.

    Returns:
      One dict per number of ways and shots, classifier and strength: `n_way`, `k_shot`, `classifier`, `strength`, and as in a
      record (docs/results.md) `accuracy`, `solver`, `timing` and, where episodes choose their strength, `chosen`.

    Raises:
      UserError: on anything the caller can mend, saying how.

    Example:
      >>> import numpy as np, jfewshot
      >>> X = np.repeat(np.eye(6, 8, dtype=np.float32), 20, axis=0)  # 6 classes of 20 clips that are all alike
      >>> scores = jfewshot.evaluate_arrays(X, np.repeat(list("abcdef"), 20), shots=[1, 5], n_episodes=50)
      >>> [(score["k_shot"], score["accuracy"]["mean"]) for score in scores]
      [(1, 1.0), (5, 1.0)]
    """
    views, clips = checked_arrays(embeddings, labels, groups=groups, n_segments=n_segments, view="last.mean")
    if len(views) != 1:
        raise UserError(f"embeddings holds {len(views)} arrays; give one, or make a store of all with create_store")
    episodes = protocols(
        ways,
        whole_numbers(shots, "shots"),
        small_classes,
        n_query=n_query,
        query_balance=query_balance,
        n_episodes=n_episodes,
        seed=seed,
        min_clips=min_clips,
        group_aware=groups is not None,
        query_segments=query_segments,
    )
    specs, transform = _specs(classifiers, episodes), without_statistics(preprocessing)
    if small_classes == "stop":
        episodes = stopped_curves(episodes, clips, "the arrays")
    evaluator = evaluator or _evaluator()
    (view,) = views.values()
    scores = []
    for asked in episodes:
        protocol = resolved(asked, clips, "the arrays")
        drawn = evaluator.draw(clips, protocol, "the arrays")
        for solved in evaluator.evaluate(view, clips, transform, protocol, specs, dataset="the arrays"):
            kind = solved.spec.classifier.strength
            strength = None if kind is None else {"name": kind.name, "value": solved.strength}
            score = {
                "n_way": protocol.n_way,
                "k_shot": protocol.k_shot,
                "classifier": solved.spec.name,
                "strength": strength,
            }
            scores.append(score | parts_of_solved(solved, drawn, clips))
    return scores


def _listed(items: Store | Path | str | Sequence[Store | Path | str]) -> Sequence[Store | Path | str]:
    return [items] if isinstance(items, Store | Path | str) else items


def _opened(stores: Store | Path | str | Sequence[Store | Path | str]) -> list[Store]:
    opened: list[Store] = []
    for item in _listed(stores):
        opened.extend([item] if isinstance(item, Store) else map(open_store, find_stores(item)))
    return opened


def _specs(classifiers: str | Sequence[str] | None, episodes: Sequence[Protocol]) -> list[ClassifierSpec]:
    if classifiers is None:
        classifiers = default_classifiers("all" if protocol.all_labels else protocol.k_shot for protocol in episodes)
    specs = [parse_classifier(text) for text in ([classifiers] if isinstance(classifiers, str) else classifiers)]
    if not specs:
        raise UserError("classifiers is empty; name at least one, for instance classifiers='logistic'")
    return specs


@functools.cache
def _evaluator() -> Evaluator:
    return Evaluator()
