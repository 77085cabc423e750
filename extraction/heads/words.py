"""What is said about a head: how accurate it will be, on which classes it fails, and what its threshold does."""

from collections.abc import Sequence
from typing import Any

from extraction.heads.encoder import head_encoder
from jfewshot.heads.folder import outcomes_in
from jfewshot.heads.head import Head
from jfewshot.statistics.expected import Outcomes, expected_interval

_SHOWN = 3
_WEAK = 0.1  # a class's recall is mentioned where it is so far below the accuracy


def head_words(head: Head) -> str:
    """The head in a sentence."""
    facts = head.facts
    strength = "" if head.strength is None else f" ({strength_name(head)} = {head.strength:g})"
    clips = facts["clips"]
    return (
        f"{head.classifier}{strength} on {head_encoder(facts)}, view {facts['view']}, fitted on {sum(clips.values())} clips of "
        f"{len(clips)} classes."
    )


def strength_name(head: Head) -> str:
    """What the classifier's strength is called."""
    return "alpha" if head.classifier == "ridge" else "C"


def expected_words(head: Head, numbers: Sequence[int]) -> list[str]:
    """The accuracy to expect.

    Args:
      head: with its facts.
      numbers: of new clips.

    Returns:
      sentences.
    """
    facts, outcomes = head.facts["expected"], outcomes_in(head)
    if facts["left_out_by"] == "group":
        how = f"each of the {outcomes.n_groups} groups was left out in turn"
    else:
        how = "each clip was left out in turn"
    said = [
        f"Accuracy to expect: {_percent(outcomes.accuracy)} ({outcomes.n_correct} of {outcomes.n} clips were right when {how})."
    ]
    parts = [f"{m} clips: {_range(outcomes, m, None)}" for m in numbers]
    said.append(
        f"Of new clips of the same kind, this share will be right with a probability of 95%. Of {'; of '.join(parts)}."
    )
    if outcomes.correlation > 0 and outcomes.clips_per_group > 1.5:
        alone = [f"{m} clips: {_range(outcomes, m, 1.0)}" for m in numbers]
        said.append(
            f"Clips of one group are right or wrong together. The ranges above are for groups as large as here "
            f"({outcomes.clips_per_group:.0f} clips). Where each new clip is of a group of its own, of {'; of '.join(alone)}."
        )
    weak = sorted((value, name) for name, value in facts["recall"].items() if value < outcomes.accuracy - _WEAK)
    if weak:
        shown = ", ".join(f"{name} {_percent(value, 0)}" for value, name in weak[:_SHOWN])
        said.append(f"Classes whose own clips are found least: {shown}.")
    return said


def unknown_words(head: Head) -> str:
    """What the threshold does, and what it was tested with."""
    facts: dict[str, Any] = head.facts["unknown"]
    keeps = f"{_percent(facts['kept'], 0)} of the labelled clips keep their class"
    if not facts["n_classes"]:
        return (
            f"Unknown sounds: {keeps} under the threshold. How many unknown sounds it finds is not known, since only known "
            "classes were seen, and none of two can be left out."
        )
    return (
        f"Unknown sounds: {keeps} under the threshold, and {_percent(facts['recall'], 0)} of the clips of a class that the head "
        f"has not met are called unknown (each of {facts['n_classes']} classes left out in turn). Where half of the clips are of "
        f"such classes, {_percent(facts['precision'], 0)} of those called unknown are. Only known classes were seen: noise and "
        "silence were not tested."
    )


def _range(outcomes: Outcomes, m: int, clips_per_group: float | None) -> str:
    low, high = expected_interval(outcomes, m, clips_per_group)
    return f"{100 * low:.0f} to {_percent(high, 0)}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}%"
