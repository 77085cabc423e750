"""What validation chooses, for results that have a validation and a test split."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from jfewshot.files import canonical_json
from jfewshot.reporting.conditions import classifier_words, preprocessing_words
from jfewshot.reporting.grid import MISSING, Grid, grid
from jfewshot.reporting.labels import UpstreamNames, upstream_identity
from jfewshot.statistics import choose_on_validation
from jfewshot.statistics.selection import VALIDATION

Record = Mapping[str, Any]


def chosen_grid(records: Sequence[Record], report_on: str = "test") -> Grid | None:
    """Per upstream and dataset: the view, preprocessing, classifier and strength with the best validation accuracy, and its
    accuracy on test. None without both splits, or where there is nothing to choose among.
    """
    splits = {record["identity"]["protocol"]["split"] for record in records}
    choose_on = next((name for name in VALIDATION if name in splits), None)
    if choose_on is None or report_on not in splits:
        return None
    names = UpstreamNames(records)
    validated = {_group(r) for r in records if r["identity"]["protocol"]["split"] == choose_on}
    usable = [record for record in records if _group(record) in validated]
    choices = [c for c in choose_on_validation(usable, _option, _group, choose_on, report_on) if len(c.options) > 1]
    if not choices:
        return None
    rows = []
    example = {_group(record): record for record in usable}
    for choice in sorted(choices, key=lambda c: str(c.group)):
        record = example[cast(_Group, choice.group)]
        accuracy = choice.reported[0]["accuracy"] if choice.reported else None
        rows.append(
            [
                names.of(record),
                record["dataset"]["name"],
                _shape(record),
                str(choice.chosen),
                f"{100 * choice.validation:.2f}",
                f"{100 * choice.options[1][1]:.2f} ({choice.options[1][0]})",
                MISSING if accuracy is None else f"{100 * accuracy['mean']:.2f} ± {100 * accuracy['ci95']:.2f}",
            ]
        )
    notes = [
        f"Chosen on the {choose_on} split and reported on {report_on}, whose results had no say. "
        f"{MISSING}: the chosen option was not evaluated on {report_on}."
    ]
    headings = ["Upstream", "Dataset", "Episodes", "Chosen", "validation", "runner-up", report_on]
    return grid("Chosen on validation", headings, rows, notes, n_labels=4)


def _option(record: Record) -> str:
    words = [record["view"]["name"], preprocessing_words(record["identity"]), classifier_words(record["identity"])]
    return " · ".join(words)


_Group = tuple[tuple[str, str, str], str, str, str]


def _group(record: Record) -> _Group:
    protocol = record["identity"]["protocol"]
    rest = canonical_json({name: value for name, value in protocol.items() if name != "split"})
    return upstream_identity(record), str(record["dataset"]["name"]), _shape(record), rest


def _shape(record: Record) -> str:
    protocol = record["identity"]["protocol"]
    return f"{protocol['n_way']}-way {protocol['k_shot']}-shot"
