"""Choose C, pooling, layer or classifier on validation data, and report the choice on test data."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from jfewshot.errors import UserError

VALIDATION = ("validation", "val", "valid", "dev")


class Choice(NamedTuple):
    """The choice for one group of cells.

    Attributes:
      group: what the choice is for, such as (upstream, dataset).
      chosen: the option.
      validation: mean accuracy of the chosen option on validation data.
      options: every option with its validation accuracy, best first.
      reported: the chosen option's records on the split to report.
    """

    group: Hashable
    chosen: Hashable
    validation: float
    options: tuple[tuple[Hashable, float], ...]
    reported: tuple[Mapping[str, Any], ...]


def choose_on_validation(
    records: Sequence[Mapping[str, Any]],
    option_of: Callable[[Mapping[str, Any]], Hashable],
    group_of: Callable[[Mapping[str, Any]], Hashable],
    choose_on: str = "validation",
    report_on: str = "test",
) -> list[Choice]:
    """Choose, per group, the option with the best mean validation accuracy, and return its records on test data.

    Args:
      records: result records of both splits.
      option_of: a function from a record to its option: its strength, view, classifier or whatever is chosen.
      group_of: a function from a record to the group that shares one choice. If the group leaves the dataset out, one
        option serves all datasets, as in the papers' pooling; then only datasets with a validation split take part in
        the choice.
      choose_on: name of the split to choose on.
      report_on: name of the split to report.

    Returns:
      the chosen option of each group, with its records on `report_on`.

    Raises:
      UserError: if the choice would be made on anything but validation data, or on the split that is reported; if a
        group has no validation results; or if options of one group were validated on different data, so that their
        means cannot be compared.
    """
    if choose_on not in VALIDATION or choose_on == report_on:
        raise UserError(
            f"choosing on split '{choose_on}' and reporting '{report_on}' is refused: the chosen number would be too high. "
            f"Choose on one of {', '.join(VALIDATION)}"
        )
    groups: dict[Hashable, dict[Hashable, dict[str, list[Mapping[str, Any]]]]] = {}
    for record in records:
        split = record["identity"]["protocol"]["split"]
        if split in (choose_on, report_on):
            options = groups.setdefault(group_of(record), {})
            options.setdefault(option_of(record), {choose_on: [], report_on: []})[split].append(record)
    choices = []
    for group, options in groups.items():
        validated = {option: found[choose_on] for option, found in options.items() if found[choose_on]}
        if not validated:
            raise UserError(
                f"nothing to choose on for {group}: no results on split '{choose_on}'. "
                f"Evaluate it with --split {choose_on}, or leave the group out"
            )
        seen = {option: frozenset(r["identity"]["clip_table"] for r in found) for option, found in validated.items()}
        if len(set(seen.values())) > 1:
            raise UserError(
                f"options of {group} were validated on different datasets; evaluate each option on all of them"
            )
        means = {option: sum(r["accuracy"]["mean"] for r in found) / len(found) for option, found in validated.items()}
        ranked = tuple(sorted(means.items(), key=lambda item: (-item[1], str(item[0]))))
        best = ranked[0][0]
        choices.append(Choice(group, best, ranked[0][1], ranked, tuple(options[best][report_on])))
    return choices
