"""How many labels and test clips the classes allow, and the evaluation."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError

log = logging.getLogger(__name__)

SHOTS = (1, 2, 3, 5, 8, 12, 20)
QUICK_SHOTS = (1, 5, 20)
_WAYS, _MOST_QUERIES, _USUAL_CLIPS, _LEAST_CLIPS = 5, 15, 10, 3


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is evaluated.

    Attributes:
      shots: labelled clips per class.
      n_query: test clips per class and episode.
      ways: classes per episode.
      min_clips: classes with fewer clips are left out.
      left_out: these classes with their numbers of clips.
      group_aware: whether groups are kept apart.
    """

    shots: tuple[int, ...]
    n_query: int
    ways: int
    min_clips: int
    left_out: tuple[tuple[str, int], ...]
    group_aware: bool


def plan_for(sizes: Mapping[str, int], quick: bool, min_clips: int | None, group_aware: bool) -> Plan:
    """Choose the numbers of labels and test clips that every class allows, so that one curve is about the same classes.

    Args:
      sizes: clips of each class.
      quick: evaluate fewer numbers of labels.
      min_clips: leave out classes with fewer clips; None: with fewer than 10, or than what leaves 5 classes.
      group_aware: keep groups apart.

    Returns:
      the plan. A third of the smallest class is tested on, at most 15 clips.

    Raises:
      UserError: fewer than two classes are large enough.
    """
    in_order = sorted(sizes.values(), reverse=True)
    if min_clips is None:
        enough = in_order[: min(_WAYS, len(in_order))][-1] if in_order else 0
        min_clips = max(min(_USUAL_CLIPS, enough), _LEAST_CLIPS)
    kept = {name: size for name, size in sizes.items() if size >= min_clips}
    if len(kept) < 2:
        shown = ", ".join(f"{name} ({size})" for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:5])
        raise UserError(
            f"{len(kept)} classes have {min_clips} clips or more, and two are needed. The largest: {shown or 'none'}. Add "
            "clips, or lower --min-clips (3 at least)"
        )
    smallest = min(kept.values())
    if smallest < 2:
        raise UserError(f"the smallest class has {smallest} clip; raise --min-clips to 2 or more")
    n_query = min(_MOST_QUERIES, max(1, smallest // 3))
    shots = tuple(shot for shot in (QUICK_SHOTS if quick else SHOTS) if shot + n_query <= smallest) or (1,)
    left = tuple(sorted((name, size) for name, size in sizes.items() if size < min_clips))
    return Plan(shots, n_query, min(_WAYS, len(kept)), min_clips, left, group_aware)


def evaluate_plan(
    stores: Sequence[Path], plan: Plan, classifiers: Sequence[str], n_episodes: int, out: Path
) -> tuple[Plan, list[dict[str, Any]], str]:
    """Evaluate every store as planned. Where groups leave too few test clips, fewer labels are tried, and at last no groups.

    Args:
      stores: folders of the stores, all of one dataset.
      plan: what to evaluate.
      classifiers: as `jfewshot run` takes them.
      n_episodes: episodes for each store, classifier and number of labels.
      out: result folder; what is there is not computed again.

    Returns:
      the plan that was carried out, its records, and a sentence on what had to be changed, or an empty text.
    """
    from jfewshot.api import evaluate

    said = ""
    shots = list(plan.shots)
    while True:
        total = len(stores) * len(classifiers) * len(shots) * n_episodes
        try:
            with Progress("evaluating", total, "episodes") as progress:
                records = evaluate(
                    list(stores),
                    classifiers=list(classifiers),
                    ways=plan.ways,
                    shots=shots,
                    n_query=plan.n_query,
                    n_episodes=n_episodes,
                    min_clips=plan.min_clips,
                    group_aware=plan.group_aware,
                    out=out,
                    on_progress=progress.advance,
                )
            return dataclasses.replace(plan, shots=tuple(shots)), records, said
        except UserError as error:
            if not plan.group_aware:
                raise
            if len(shots) > 1:
                dropped = shots.pop()
                said = f"Groups leave too few test clips beside {dropped} labels per class, so fewer labels were tried."
            elif plan.n_query > 1:
                plan, shots = dataclasses.replace(plan, n_query=max(1, plan.n_query // 2)), list(plan.shots)
            else:
                plan, shots = dataclasses.replace(plan, group_aware=False), list(plan.shots)
                said = f"Groups could not be kept apart ({error}). The numbers hold for clips of known groups only."
            log.info("%s", said or f"trying {plan.n_query} test clips per class")
