"""Count on how many cells a classifier is better or worse than the best one by more than chance, from kept predictions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.reporting.analysis import held_fixed
from jfewshot.reporting.classifier_rows import ClassifierRows
from jfewshot.reporting.pairing import classes_of_clips, sides_of_clips
from jfewshot.reporting.scoring import kept_of, scored
from jfewshot.results import Results
from jfewshot.statistics import Differences, compare, make_pool, wins_ties_losses

Record = Mapping[str, Any]


def with_wins(rows: ClassifierRows, results: Results, problems: list[str]) -> ClassifierRows:
    """Count on how many cells each classifier is better or worse than the best one by more than chance.

    On each cell, all classifiers are compared on the same episodes by `statistics.compare`. A difference counts if its
    p-value is below 0.05 after Holm's correction over the pairs of classifiers of the cell.

    Args:
      rows: from `compare_classifiers`.
      results: the result folder, whose kept predictions are read.
      problems: receives a sentence for each file that could not be used.

    Returns:
      the comparison with its counts; without counts if no cell can be compared.
    """
    differences = []
    for cell in zip(*rows.records, strict=True):
        try:
            found = _differences(results, cell)
        except UserError as error:
            problems.append(str(error))
            continue
        if found is not None:
            differences.append(found)
    if not differences:
        return rows
    counts = wins_ties_losses(differences)[:, 0]
    return dataclasses.replace(rows, wins_ties_losses=counts, n_counted=len(differences))


def _differences(results: Results, cell: Sequence[Record]) -> Differences | None:
    """Paired differences between the classifiers of one cell; None if the cell has too few clips and classes."""
    of_slots = not all(results.keeps_predictions(record) for record in cell)
    draws = results.draws(cell[0])
    kept = [(results, record, kept_of(results, record, of_slots, draws)) for record in cell]
    protocol = cell[0]["identity"]["protocol"]
    _, class_of_clip = classes_of_clips(draws, protocol)
    try:
        pool = make_pool(draws["clips"].astype(np.int64), class_of_clip, protocol["k_shot"], sides_of_clips(draws))
    except ValueError as error:
        raise UserError(f"{results.path}: the file of draws {cell[0]['draws']} is damaged ({error})") from error
    covariance = scored(kept, draws, pool.with_supports(draws.get("support_count")), of_slots).covariance
    if covariance.clips is None and covariance.classes is None:
        return None
    return compare([held_fixed(covariance)])
