"""The options that validation chooses, for results with a validation and a test split."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from jfewshot.files import canonical_json
from jfewshot.reporting.conditions import classifier_words, preprocessing_words, way_and_shots
from jfewshot.reporting.fusions import has_several_upstreams, identity_of_parts, weights_words
from jfewshot.reporting.grid import MISSING, Grid, grid
from jfewshot.reporting.labels import UpstreamNames, upstream_identity
from jfewshot.statistics import choose_on_validation
from jfewshot.statistics.selection import VALIDATION

Record = Mapping[str, Any]


def chosen_grid(records: Sequence[Record], report_on: str = "test") -> Grid | None:
    """Per upstream and dataset: the view, preprocessing, classifier and strength with the best validation accuracy, and its
    accuracy on test. None without both splits, or if there is only one option.
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
                identity_of_parts(record)[2] if has_several_upstreams(record) else names.of(record),
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


def one_pooling_grid(records: Sequence[Record], report_on: str = "test") -> Grid | None:
    """The pooling with the best mean validation accuracy over all upstreams and datasets, as the few-shot paper chose its own.

    Everything else (layer, preprocessing, classifier, episodes) is held fixed: a row for each. Only upstreams and datasets that
    have validation results of every pooling take part in the choice; datasets without a validation split are reported by it.

    Args:
      records: of both splits.
      report_on: name of the split to report.

    Returns:
      the table; None without both splits, or with one pooling alone.
    """
    splits = {record["identity"]["protocol"]["split"] for record in records}
    choose_on = next((name for name in VALIDATION if name in splits), None)
    if choose_on is None or report_on not in splits:
        return None
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record["identity"]["protocol"]["split"] in (choose_on, report_on):
            groups.setdefault(_but_pooling(record), []).append(record)
    rows = []
    for group in groups.values():
        poolings_of: dict[tuple[Any, str], set[str]] = {}
        for record in group:
            if record["identity"]["protocol"]["split"] == choose_on:
                poolings_of.setdefault(_cell(record), set()).add(_pooling(record))
        poolings = set().union(*poolings_of.values())
        whole = {cell for cell, found in poolings_of.items() if found == poolings}
        if len(poolings) < 2 or not whole:
            continue
        taken = [
            record for record in group if record["identity"]["protocol"]["split"] == report_on or _cell(record) in whole
        ]
        (choice,) = choose_on_validation(taken, _pooling, lambda record: "all", choose_on, report_on)
        tested = [record["accuracy"]["mean"] for record in choice.reported]
        rows.append(
            [
                *(_shape(group[0]), _layer(group[0]), classifier_words(group[0]["identity"]), str(choice.chosen)),
                ", ".join(f"{option} {100 * mean:.2f}" for option, mean in choice.options),
                str(len(whole)),
                f"{100 * sum(tested) / len(tested):.2f} ({len(tested)})" if tested else MISSING,
            ]
        )
    if not rows:
        return None
    notes = [
        f"One pooling for all upstreams and datasets: chosen by the mean accuracy on {choose_on} over the upstreams and datasets "
        f"that have every pooling there (their number is the sixth column), reported on {report_on} as the mean over its cells "
        "(their number in brackets)."
    ]
    headings = ["Episodes", "Layer", "Classifier", "Chosen", choose_on, "cells", report_on]
    return grid("One pooling, chosen on validation", headings, sorted(rows), notes, n_labels=4)


def _pooling(record: Record) -> str:
    return record["view"]["name"].rpartition(".")[2]


def _layer(record: Record) -> str:
    return record["view"]["name"].rpartition(".")[0]


def _cell(record: Record) -> tuple[Any, str]:
    return upstream_identity(record), str(record["dataset"]["name"])


def _but_pooling(record: Record) -> str:
    identity = record["identity"]
    protocol = {name: value for name, value in identity["protocol"].items() if name != "split"}
    return canonical_json([protocol, _layer(record), preprocessing_words(identity), classifier_words(identity)])


def _option(record: Record) -> str:
    words = [record["view"]["name"], preprocessing_words(record["identity"]), classifier_words(record["identity"])]
    return " · ".join([*([weights_words(record["fusion"])] if has_several_upstreams(record) else []), *words])


_Group = tuple[tuple[str, str, str], str, str, str]


def _group(record: Record) -> _Group:
    protocol = record["identity"]["protocol"]
    rest = canonical_json({name: value for name, value in protocol.items() if name != "split"})
    return identity_of_parts(record), str(record["dataset"]["name"]), _shape(record), rest


def _shape(record: Record) -> str:
    protocol = record["identity"]["protocol"]
    return way_and_shots(protocol)
