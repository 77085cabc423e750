"""Sentences about a head: its expected accuracy, the classes on which it fails, and the effect of its threshold."""

from collections.abc import Sequence
from typing import Any

from extraction.heads.encoder import head_encoder
from jfewshot.heads.folder import outcomes_in
from jfewshot.heads.head import Head
from jfewshot.statistics.expected import Outcomes, expected_interval

_SHOWN = 3
_FEW_FOUND = 0.5  # share of unknown sounds; if fewer are found, `unknown_words` gives advice
_SAME = 0.05  # if the widths of two intervals differ by less, only one interval is shown
_WEAK = 0.1  # a class is mentioned if its recall is lower than the accuracy by more than this


def head_words(head: Head) -> str:
    """Describe a head in a sentence."""
    facts = head.facts
    strength = "" if head.strength is None else f" ({strength_name(head)} = {head.strength:g})"
    clips = facts["clips"]
    return (
        f"{head.classifier}{strength} on {head_encoder(facts)}, view {facts['view']}, fitted on {sum(clips.values())} clips of "
        f"{len(clips)} classes."
    )


def strength_name(head: Head) -> str:
    """Name of the setting that regularises the classifier."""
    return "alpha" if head.classifier == "ridge" else "C"


def expected_words(head: Head, numbers: Sequence[int]) -> list[str]:
    """Describe the accuracy to expect.

    Args:
      head: the head with its facts.
      numbers: numbers of new clips for which to give an interval.

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
            f"This holds for new clips in groups of about {outcomes.clips_per_group:.0f}, as here, since clips of one group tend "
            f"to be right or wrong together. If each new clip is of another group: {_listed(numbers, alone)}."
        )
    weak = sorted((value, name) for name, value in facts["recall"].items() if value < outcomes.accuracy - _WEAK)
    if weak:
        shown = ", ".join(f"'{name}' {_percent(value, 0)}" for value, name in weak[:_SHOWN])
        said.append(f"Classes with the lowest share of clips that are recognised: {shown}.")
    return said


def unknown_words(head: Head) -> str:
    """Describe the effect of the threshold, and how this effect was measured."""
    facts: dict[str, Any] = head.facts["unknown"]
    said = (
        f"Unknown sounds: a clip with nearly equal scores for two classes is called unknown. {_percent(facts['kept'], 0)} of "
        "the labelled clips keep their class."
    )
    if not facts["n_classes"]:
        return (
            f"{said} The share of unknown sounds that are found is not known: to measure it, one class is left out and treated "
            "as unknown, which needs at least three classes."
        )
    said += (
        f" If a class is not known to the head, {_percent(facts['recall'], 0)} of its clips are called unknown (measured by "
        f"leaving out each of {facts['n_classes']} classes in turn). "
    )
    if facts["precision"] is None:
        said += "No clip was called unknown in this test, so it does not show how often the label unknown is right."
    else:
        said += (
            f"If half of the clips were of classes not known to the head, {_percent(facts['precision'], 0)} of the clips called "
            "unknown would be of such classes."
        )
    said += " This test used only clips of the labelled classes, no noise and no silence."
    if facts["recall"] < _FEW_FOUND:
        said += (
            " Few unknown sounds are found: put clips of all other sounds into a separate class, such as background."
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
