"""Sentences about a head: its expected accuracy, the classes on which it fails, and the effect of its threshold."""

from collections.abc import Sequence
from typing import Any

from extraction.heads.encoder import head_encoder
from jfewshot.heads.folder import outcomes_in
from jfewshot.heads.head import Head
from jfewshot.statistics.expected import Outcomes, expected_interval

_SHOWN = 3
_FEW_FOUND = 0.5  # of unknown sounds
_SAME = 0.05  # widths of intervals that differ by less are shown once
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
        f"Accuracy to expect: {_percent(outcomes.accuracy)} of new clips like these ({outcomes.n_correct} of {outcomes.n} clips "
        f"were right when {how})."
    ]
    if not numbers:
        return said
    ranges = [_range(outcomes, m, None) for m in numbers]
    said.append(f"With a probability of 95%, {_listed(numbers, ranges)} will be right.")
    alone = [_range(outcomes, m, 1.0) for m in numbers]
    widths = [_width(outcomes, m, None) - _width(outcomes, m, 1.0) for m in numbers]
    if max(widths) > _SAME:
        said.append(
            f"That is for new clips in groups of about {outcomes.clips_per_group:.0f}, as here, since clips of one group tend to "
            f"be right or wrong together. Where each new clip is of another group: {_listed(numbers, alone)}."
        )
    weak = sorted((value, name) for name, value in facts["recall"].items() if value < outcomes.accuracy - _WEAK)
    if weak:
        shown = ", ".join(f"'{name}' {_percent(value, 0)}" for value, name in weak[:_SHOWN])
        said.append(f"Classes whose own clips are found least: {shown}.")
    return said


def unknown_words(head: Head) -> str:
    """What the threshold does, and what it was tested with."""
    facts: dict[str, Any] = head.facts["unknown"]
    said = (
        f"Unknown sounds: what lies between two classes is called unknown. {_percent(facts['kept'], 0)} of the labelled clips "
        "keep their class."
    )
    if not facts["n_classes"]:
        return (
            f"{said} How many unknown sounds are found is not known: only known classes were seen, and of two none can be left "
            "out."
        )
    said += (
        f" Of the clips of a class that the head has not met, {_percent(facts['recall'], 0)} are called unknown (each of "
        f"{facts['n_classes']} classes was left out in turn). "
    )
    if facts["precision"] is None:
        said += "No clip was called unknown in this test, so nothing is known about the clips that would be."
    else:
        said += (
            f"If half of the clips were of unmet classes, {_percent(facts['precision'], 0)} of the clips called unknown would be "
            "of unmet classes."
        )
    said += " Only known classes were seen in this test, no noise and no silence."
    if facts["recall"] < _FEW_FOUND:
        said += (
            " Few unknown sounds are found: put clips of everything else into a class of its own, such as background."
        )
    return said


def _listed(numbers: Sequence[int], ranges: Sequence[str]) -> str:
    parts = [f"{share} of {m} new clips" for m, share in zip(numbers, ranges, strict=True)]
    return ", ".join(parts[:-1]) + (", and " if len(parts) > 1 else "") + parts[-1]


def _width(outcomes: Outcomes, m: int, clips_per_group: float | None) -> float:
    low, high = expected_interval(outcomes, m, clips_per_group)
    return high - low


def _range(outcomes: Outcomes, m: int, clips_per_group: float | None) -> str:
    low, high = expected_interval(outcomes, m, clips_per_group)
    return f"{100 * low:.0f} to {_percent(high, 0)}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}%"
