"""Choose numbers of labels and test clips that the classes allow, and evaluate."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.printable import counted
from jfewshot.store import open_store

log = logging.getLogger(__name__)

SHOTS = (1, 2, 3, 5, 8, 12, 20)
QUICK_SHOTS = (1, 5, 10)
# In the simulation of episodes with groups kept apart: the number of episodes, and the share of them that must succeed.
_TRIES, _LEAST_SHARE = 300, 0.05
_WAYS, _MOST_QUERIES, _USUAL_CLIPS, _LEAST_CLIPS = 5, 15, 10, 3


@dataclasses.dataclass(frozen=True)
class Plan:
    """The settings of an evaluation.

    Attributes:
      shots: labelled clips per class.
      n_query: test clips per class and episode.
      ways: classes per episode.
      min_clips: classes with fewer clips are left out.
      left_out: names of these classes with their numbers of clips.
      group_aware: whether groups are kept apart.
    """

    shots: tuple[int, ...]
    n_query: int
    ways: int
    min_clips: int
    left_out: tuple[tuple[str, int], ...]
    group_aware: bool


def plan_for(sizes: Mapping[str, int], quick: bool, min_clips: int | None, group_aware: bool) -> Plan:
    """Choose numbers of labels and test clips that every class allows, so that all points of a curve are about the same classes.

    Args:
      sizes: number of clips of each class.
      quick: evaluate fewer numbers of labels.
      min_clips: leave out classes with fewer clips; None: 10, or fewer (at least 3) if 10 would leave fewer than 5 classes.
      group_aware: keep groups apart.

    Returns:
      the plan. The number of test clips per class is a third of the smallest class, at most 15.

    Raises:
      UserError: if fewer than two classes are large enough.
    """
    in_order = sorted(sizes.values(), reverse=True)
    if min_clips is None:
        enough = in_order[: min(_WAYS, len(in_order))][-1] if in_order else 0
        min_clips = max(min(_USUAL_CLIPS, enough), _LEAST_CLIPS)
    kept = {name: size for name, size in sizes.items() if size >= min_clips}
    if len(kept) < 2:
        shown = ", ".join(f"{name} ({size})" for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:5])
        lower = "" if min_clips <= _LEAST_CLIPS else f", or lower --min-clips (to {_LEAST_CLIPS}, say)"
        have = counted(len(kept), "class has", "classes have")
        raise UserError(
            f"{have} {counted(min_clips, 'clip')} or more, and two classes are needed. The largest classes: {shown or 'none'}. "
            f"Add clips{lower}"
        )
    smallest = min(kept.values())
    if smallest < 2:
        raise UserError(f"the smallest class has {counted(smallest, 'clip')}; raise --min-clips to 2 or more")
    n_query = min(_MOST_QUERIES, max(1, smallest // 3))
    shots = tuple(shot for shot in (QUICK_SHOTS if quick else SHOTS) if shot + n_query <= smallest) or (1,)
    left = tuple(sorted((name, size) for name, size in sizes.items() if size < min_clips))
    return Plan(shots, n_query, min(_WAYS, len(kept)), min_clips, left, group_aware)


def keep_groups_apart(plan: Plan, labels: Sequence[str], groups: Sequence[str]) -> tuple[Plan, str]:
    """Choose numbers of labels and test clips that also leave enough clips of other groups.

    The test clips of an episode are of groups that none of its training clips has. A simulation counts how often random
    training clips leave enough such test clips. Without it, an evaluation for which hardly any episode exists would run for
    minutes before it failed.

    Args:
      plan: from `plan_for`.
      labels: class of each clip.
      groups: group of each clip.

    Returns:
      the plan, and a sentence that says what had to be changed, or an empty text. If not even one label and one test clip per
      class are possible, groups are not kept apart.
    """
    if not plan.group_aware:
        return plan, ""
    _, group = np.unique(groups, return_inverse=True)
    names, sizes = np.unique(labels, return_counts=True)
    kept = [group[np.array(labels) == name] for name, size in zip(names, sizes, strict=True) if size >= plan.min_clips]
    wanted = max((shot for shot in plan.shots if shot <= 5), default=1)
    best: tuple[int, ...] = ()
    n_query = at = plan.n_query
    while n_query >= 1:
        shots = tuple(shot for shot in plan.shots if _share_drawn(kept, plan.ways, shot, n_query) >= _LEAST_SHARE)
        if len(shots) > len(best):
            best, at = shots, n_query
        if best and best[-1] >= wanted:
            break
        n_query //= 2
    if not best:
        said = "The clips have too few groups to keep them apart: the numbers hold for clips of known groups only."
        return dataclasses.replace(plan, group_aware=False), said
    changed = dataclasses.replace(plan, shots=best, n_query=at)
    dropped = [str(shot) for shot in plan.shots if shot not in best]
    noun = "label" if dropped == ["1"] else "labels"
    said = (
        f"Keeping groups apart leaves too few test clips at {', '.join(dropped)} {noun} per class. Add clips of other groups for "
        "these numbers, or compare without groups (--no-group-aware), which overrates accuracy for new groups."
        if dropped
        else ""
    )
    return changed, said


def _share_drawn(kept: Sequence[np.ndarray], ways: int, k_shot: int, n_query: int) -> float:
    """Estimate how often random training clips leave enough test clips of other groups.

    Args:
      kept: for each class, the group of each of its clips.
      ways: classes per episode.
      k_shot: training clips per class.
      n_query: test clips per class.

    Returns:
      the share of simulated episodes in which every class has enough test clips.
    """
    rng = np.random.default_rng(0)
    n_groups = 1 + max(int(own.max()) for own in kept)
    accepted = 0
    for _ in range(_TRIES):
        chosen = [kept[place] for place in rng.choice(len(kept), ways, replace=False)]
        taken = np.zeros(n_groups, dtype=bool)
        for own in chosen:
            taken[rng.choice(own, min(k_shot, len(own)), replace=False)] = True
        accepted += all((~taken[own]).sum() >= n_query for own in chosen)
    return accepted / _TRIES


def evaluate_plan(
    stores: Sequence[Path], plan: Plan, classifiers: Sequence[str], n_episodes: int, out: Path
) -> tuple[Plan, list[dict[str, Any]], str]:
    """Evaluate every store as planned. If groups leave too few test clips, they are not kept apart.

    Args:
      stores: folders of the stores, all of one dataset.
      plan: what to evaluate.
      classifiers: as `jfewshot run` takes them.
      n_episodes: episodes for each store, classifier and number of labels.
      out: result folder; results in it are not computed again.

    Returns:
      the plan that was carried out, its records, and a sentence that says what had to be changed, or an empty text.
    """
    from jfewshot.api import evaluate

    opened = [open_store(path) for path in stores]
    # An encoder may leave out clips that are too short for it, and other encoders may accept them.
    shared = len({store.clips.digest for store in opened}) > 1
    few = min(opened, key=lambda store: len(store.clips))
    said = (
        f"Encoders used different clips ({few.upstream} {len(few.clips)}): only clips that all of them used are evaluated."
        if shared
        else ""
    )
    total = len(stores) * len(classifiers) * len(plan.shots) * n_episodes
    while True:
        try:
            with Progress("evaluating", total, "episodes") as progress:
                records = evaluate(
                    list(stores),
                    classifiers=list(classifiers),
                    ways=plan.ways,
                    shots=list(plan.shots),
                    n_query=plan.n_query,
                    n_episodes=n_episodes,
                    min_clips=plan.min_clips,
                    group_aware=plan.group_aware,
                    intersect_clips=shared,
                    out=out,
                    on_progress=progress.advance,
                )
            return plan, records, said
        except UserError as error:
            if not plan.group_aware:
                raise
            plan = dataclasses.replace(plan, group_aware=False)
            known = "The numbers hold for clips of known groups only."
            said = f"{said} Groups could not be kept apart ({error}). {known}".strip()
            log.info("%s", said)
