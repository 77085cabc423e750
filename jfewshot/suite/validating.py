"""Checks a contribution: its suite, its tasks, its digests, and every number that follows from its histograms."""

import dataclasses
import math
from collections.abc import Iterator

from jfewshot.files import sha256_of_json
from jfewshot.suite.contribution import Contribution, TaskResult, track_scores
from jfewshot.suite.definition import DIGESTS, Suite, Task, load_suite, shipped_suites
from jfewshot.suite.filling import Known
from jfewshot.suite.histogram import accuracy_of

# Sums in another order may differ in the last digits; an edited number differs by far more.
_TOLERANCE = 1e-9
_WORDS = {"clip_table": "the clips", "classes": "the classes", "draws": "the drawn episodes"}


@dataclasses.dataclass(frozen=True)
class Validation:
    """The findings of a validation.

    Attributes:
      errors: a line for each thing that is wrong.
      unverified: a line for each thing that nobody can check yet.
      checked: what was checked beyond the file itself.
    """

    errors: tuple[str, ...]
    unverified: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()


def suite_fault(one: Contribution, suite: Suite) -> str | None:
    """Why a contribution is not to a suite; None if it is.

    Args:
      one: the contribution.
      suite: what it should be to.

    Returns:
      a sentence without the file's name.
    """
    named = one.suite
    if named.name != suite.name:
        return f"it is a contribution to the suite '{named.name}', and not to '{suite.name}'"
    if named.version > suite.version:
        return (
            f"it is of version {named.version} of the suite '{suite.name}', and version {suite.version} is the newest here; "
            "install a newer jfewshot"
        )
    if named.version < suite.version:
        return (
            f"it is of version {named.version} of the suite '{suite.name}', and this is version {suite.version}; run the "
            "suite again"
        )
    if named.definition != suite.definition:
        return (
            f"its tasks are not those of the suite '{suite.name}', version {suite.version} (definition {named.definition[:12]}…, "
            f"expected {suite.definition[:12]}…); run the suite again"
        )
    return None


def suite_named(one: Contribution) -> Suite | None:
    """The suite of the package that a contribution names; None if there is none of that name.

    Args:
      one: the contribution.
    """
    return load_suite(one.suite.name) if one.suite.name in shipped_suites() else None


def validate(one: Contribution, suite: Suite, known: Known) -> Validation:
    """Check a contribution: suite, version, completeness, digests and arithmetic.

    Args:
      one: the contribution.
      suite: what it is to.
      known: the digests that are known.

    Returns:
      what is wrong, and what cannot be verified yet.
    """
    fault = suite_fault(one, suite)
    if fault:
        return Validation((fault,))
    wanted, given = [task.name for task in suite.tasks], list(one.tasks)
    lacking = [name for name in wanted if name not in given]
    if lacking:
        return Validation(
            (f"it lacks {len(lacking)} of {len(wanted)} tasks, first '{lacking[0]}'; run the whole suite",)
        )
    further = [name for name in given if name not in wanted]
    if further:
        return Validation((f"it has the task '{further[0]}', which the suite has not",))
    # Nothing can be computed of a histogram that is not of the task's episodes.
    odd = tuple(_odd_histograms(one, suite))
    if odd:
        return Validation(odd)
    errors = [*_of_tasks(one, suite), *_digest_errors(one, suite, known), *_of_scores(one, suite)]
    return Validation(tuple(errors), tuple(_unverified(one, suite, known)))


def _odd_histograms(one: Contribution, suite: Suite) -> Iterator[str]:
    for task in suite.tasks:
        result, protocol = one.tasks[task.name], suite.track(task.track).protocol
        size, episodes = protocol.n_way * protocol.n_query + 1, sum(result.histogram)
        if len(result.histogram) != size:
            yield f"{task.name}: its histogram has {len(result.histogram)} places, and {size - 1} queries need {size}"
        elif episodes != protocol.n_episodes:
            yield f"{task.name}: its histogram counts {episodes:,} episodes, and the task has {protocol.n_episodes:,}"


def _of_tasks(one: Contribution, suite: Suite) -> Iterator[str]:
    tables: dict[str, str] = {}
    arrays: dict[str, str] = {}
    drawn: dict[tuple[str, str], str] = {}
    for task in suite.tasks:
        result, protocol = one.tasks[task.name], suite.track(task.track).protocol
        yield from _of_numbers(task, result)
        yield from _of_counts(task, result, suite)
        if tables.setdefault(task.dataset, result.clip_table) != result.clip_table:
            yield f"{task.name}: its clips are not those of the other tasks on {task.dataset} (clip_table differs)"
        if arrays.setdefault(task.dataset, result.embeddings) != result.embeddings:
            yield (
                f"{task.name}: its embeddings are not those of the other tasks on {task.dataset} (embeddings differs); "
                "evaluate one encoder on all tracks"
            )
        # Tracks of one protocol have the same episodes.
        key = task.dataset, sha256_of_json([protocol.k_shot, protocol.min_clips, protocol.n_query, protocol.seed])
        if drawn.setdefault(key, result.draws) != result.draws:
            yield f"{task.name}: its drawn episodes are not those of the other track with the same protocol (draws differs)"


def _of_numbers(task: Task, result: TaskResult) -> Iterator[str]:
    computed = accuracy_of(result.histogram)
    for name, value in (("accuracy", computed.mean), ("std", computed.std), ("ci95", computed.ci95)):
        stated = getattr(result, name)
        if not math.isclose(stated, value, rel_tol=0, abs_tol=_TOLERANCE):
            yield (
                f"{task.name}: {name} is {stated:.6g}, and its histogram gives {value:.6g}; the file was edited, so take the one "
                "that `jfewshot suite run` wrote"
            )


def _of_counts(task: Task, result: TaskResult, suite: Suite) -> Iterator[str]:
    protocol, listed = suite.track(task.track).protocol, suite.classes(task)
    if listed is not None and result.n_classes != len(listed):
        yield f"{task.name}: n_classes is {result.n_classes}, and the suite lists {len(listed)} classes"
    elif result.n_classes < protocol.n_way:
        yield f"{task.name}: n_classes is {result.n_classes}, too few for {protocol.n_way}-way episodes"
    elif result.n_clips < result.n_classes * protocol.min_clips:
        yield (
            f"{task.name}: n_clips is {result.n_clips}, and {result.n_classes} classes of at least {protocol.min_clips} clips "
            f"have {result.n_classes * protocol.min_clips}"
        )
    if result.n_segments < result.n_clips:
        yield f"{task.name}: n_segments is {result.n_segments}, and each of {result.n_clips} clips has one at least"


def _digest_errors(one: Contribution, suite: Suite, known: Known) -> Iterator[str]:
    for task in suite.tasks:
        for kind in DIGESTS:
            expected = known.digests.get((task.name, kind))
            seen = getattr(one.tasks[task.name], kind)
            if expected is not None and seen != expected.digest:
                source = f"of {' and '.join(expected.by[:2])}" if expected.by else "of the suite"
                yield (
                    f"{task.name}: {_WORDS[kind]} are not those {source} ({kind} {seen[:12]}…, expected "
                    f"{expected.digest[:12]}…)"
                )


def _of_scores(one: Contribution, suite: Suite) -> Iterator[str]:
    computed = track_scores(suite, {name: accuracy_of(result.histogram).mean for name, result in one.tasks.items()})
    odd = sorted(set(computed) ^ set(one.scores))
    if odd:
        what = "missing" if odd[0] in computed else "too many"
        yield f"its scores should be of {', '.join(computed)}, and '{odd[0]}' is {what}"
        return
    for name, value in computed.items():
        for field in ("average", "score"):
            stated, right = getattr(one.scores[name], field), getattr(value, field)
            if not math.isclose(stated, right, rel_tol=_TOLERANCE, abs_tol=1e-6):
                yield (
                    f"scores, {name}: {field} is {stated:.6g}, and its histograms give {right:.6g}; the file was edited, so take "
                    "the one that `jfewshot suite run` wrote"
                )


def _unverified(one: Contribution, suite: Suite, known: Known) -> Iterator[str]:
    for kind in DIGESTS:
        empty = [task.name for task in suite.tasks if (task.name, kind) not in known.digests]
        if empty:
            yield (
                f"{_WORDS[kind]} of {len(empty)} tasks, first {empty[0]}: no digest is known; two contributions with equal "
                "digests fill it"
            )
    for (task, kind), seen in known.contested.items():
        own = getattr(one.tasks[task], kind)
        others = [name for value, names in seen.items() if value != own for name in names]
        if others:
            yield f"{task}: {_WORDS[kind]} differ from those of {others[0]}"
