"""Compare two result folders: which results differ, by how much, and whether the difference is significant."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import canonical_json
from jfewshot.reporting.conditions import Conditions, condition_of, describe, flatten
from jfewshot.reporting.grid import MISSING, Grid, grid
from jfewshot.reporting.labels import UpstreamNames
from jfewshot.reporting.pairing import classes_of_clips, sides_of_clips
from jfewshot.reporting.scoring import kept_of, scored
from jfewshot.results import Results
from jfewshot.statistics import compare, holm, make_pool

Record = Mapping[str, Any]
_SHOWN = 5  # of a list in a sentence


@dataclasses.dataclass(frozen=True)
class Move:
    """One cell that both folders have, on the same episodes; accuracies 0-1.

    Attributes:
      upstream, dataset, condition: what it is.
      before, after: the mean accuracies.
      half_width: half-width of the difference's 95% interval, which accounts for the limited numbers of clips and
          classes; None if there are too few.
      p_value: p-value of the hypothesis of no difference; None if there are too few clips and classes.
      p_holm: p-value adjusted over all cells.
      identical: whether all predictions are the same; False if predictions were not kept.
    """

    upstream: str
    dataset: str
    condition: str
    before: float
    after: float
    half_width: float | None
    p_value: float | None
    p_holm: float | None
    identical: bool


@dataclasses.dataclass(frozen=True)
class Moves:
    """The cells that two folders have in common, and the cells that only one of them has.

    Attributes:
      moves: all matched cells, the largest differences first.
      notes: sentences on what could not be matched or read.
      only: for the folder before and the folder after, the cells that the other one lacks: upstream, dataset and condition.
      settings: fields of the conditions in which the folders differ, each with the values that only one of them has.
    """

    moves: tuple[Move, ...]
    notes: tuple[str, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    settings: tuple[str, ...] = ()


def compare_folders(before: Results, after: Results) -> Moves:
    """Match the cells of two folders and compare their predictions episode by episode.

    Cells match if upstream, view, dataset, clips and condition are the same. If each folder has one revision of an
    upstream, the revisions may differ; if there are several revisions, each is compared with itself. If each folder has
    only one upstream, its name and view may differ, as for two versions of an encoder.

    Raises:
      UserError: if nothing matches; the message lists the contents of each folder.
    """
    single = all(len({_upstream(r) for r in folder.records}) == 1 for folder in (before, after))
    several = {name for folder in (before, after) for name, found in _revisions(folder).items() if len(found) > 1}
    notes: list[str] = []
    first, second = (_by_key(folder, single, several, notes) for folder in (before, after))
    names = UpstreamNames([*before.records, *after.records])
    both = [key for key in first if key in second]
    if not both:
        raise UserError(
            f"{before.path} and {after.path} have no cell in common (upstream, view, dataset, clips and protocol). "
            f"The first has {_inventory(before)}; the second {_inventory(after)}"
        )
    notes += [
        f"{len(one) - len(both)} of {len(one)} results of {folder.path} have no counterpart."
        for one, folder in ((first, before), (second, after))
        if len(one) > len(both)
    ]
    moves = []
    for key in both:
        try:
            moves.append(_move(before, first[key], after, second[key], names))
        except UserError as error:
            notes.append(str(error))
    adjusted = holm(np.array([np.nan if move.p_value is None else move.p_value for move in moves]))
    moves = [
        dataclasses.replace(move, p_holm=None if np.isnan(p) else float(p))
        for move, p in zip(moves, adjusted, strict=True)
    ]
    moves.sort(key=lambda move: -abs(move.after - move.before))
    only = (_without(first, both, names), _without(second, both, names))
    return Moves(tuple(moves), tuple(notes), only, _settings(before, after))


def changes(found: Moves, before: str, after: str) -> list[str]:
    """The differences in sentences, the most important first.

    Args:
      found: from `compare_folders`.
      before: name of the one folder.
      after: name of the other folder.

    Returns:
      the sentences.
    """
    real = [move for move in found.moves if is_real(move)]
    unclear = [move for move in found.moves if not is_real(move) and not move.identical]
    same = len(found.moves) - len(real) - len(unclear)
    sentences = []
    if real:
        counted = f"{len(real)} of {len(found.moves)} shared results changed by more than chance"
        sentences.append(f"{counted}; the largest: {'; '.join(_said(move) for move in real[:_SHOWN])}.")
    else:
        sentences.append(f"None of {len(found.moves)} shared results changed by more than chance.")
    if unclear:
        most = unclear[0]
        sentences.append(f"{len(unclear)} changed within chance, the most: {_said(most)}.")
    for name, cells in zip((before, after), found.only, strict=True):
        if cells:
            more = f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else ""
            sentences.append(f"In {name} only: {'; '.join(cells[:_SHOWN])}{more}.")
    if found.settings:
        sentences.append(f"Settings that differ: {'; '.join(found.settings)}.")
    if same:
        sentences.append(f"{same} {'has' if same == 1 else 'have'} the same predictions in both.")
    return sentences


def is_real(move: Move) -> bool:
    """Whether a change is significant: p below 0.05 after Holm's correction over all shared results."""
    return move.p_holm is not None and move.p_holm < 0.05 and not move.identical


def _said(move: Move) -> str:
    width = "no interval" if move.half_width is None else f"± {100 * move.half_width:.2f}"
    return f"{move.upstream} on {move.dataset} {100 * (move.after - move.before):+.2f} {width}".replace("-", "−", 1)


def _without(own: Mapping[str, Record], both: Sequence[str], names: UpstreamNames) -> tuple[str, ...]:
    left = [record for key, record in own.items() if key not in both]
    cells = [
        f"{names.of(r)} on {r['dataset'].get('title') or r['dataset']['name']}, {describe(condition_of(r))}"
        for r in left
    ]
    return tuple(sorted(cells))


def _settings(before: Results, after: Results) -> tuple[str, ...]:
    """Fields of the conditions whose values are not the same in both folders."""
    values: list[dict[str, set[str]]] = []
    for folder in (before, after):
        conditions = Conditions()
        found: dict[str, set[str]] = {}
        distinct = {conditions.key(record): record for record in folder.records}
        for record in distinct.values():
            for name, value in flatten(condition_of(record)).items():
                found.setdefault(name, set()).add(value)
        values.append(found)
    first, second = values
    differing = [name for name in sorted({*first, *second}) if first.get(name) != second.get(name)]
    texts = [f"{name} is {_listed(first.get(name))} before and {_listed(second.get(name))} after" for name in differing]
    return tuple(texts)


def _listed(values: set[str] | None) -> str:
    return "absent" if values is None else " or ".join(sorted(values)[:_SHOWN])


def moves_grid(found: Moves, title: str) -> Grid:
    """A table of the results that differ; results with the same predictions in both folders are counted below it."""
    moved = [move for move in found.moves if not move.identical]
    conditions = {move.condition for move in moved}
    rows = []
    for move in moved:
        width = MISSING if move.half_width is None else f"{100 * move.half_width:.2f}"
        if move.p_holm is None:
            verdict = "cannot tell: the pool is too small"
        else:
            verdict = "real" if is_real(move) else "within chance"
        rows.append(
            [
                move.upstream,
                move.dataset,
                *([move.condition] if len(conditions) > 1 else []),
                f"{100 * move.before:.2f}",
                f"{100 * move.after:.2f}",
                f"{100 * (move.after - move.before):+.2f} ± {width}".replace("-", "−"),
                MISSING if move.p_holm is None else f"{move.p_holm:.3g}",
                verdict,
            ]
        )
    headings = ["Upstream", "Dataset", *(["Condition"] if len(conditions) > 1 else [])]
    notes = [
        *([f"All: {next(iter(conditions))}."] if len(conditions) == 1 else []),
        "Differences in points on the same episodes, with a 95% interval that accounts for the limited number of clips and, "
        "where there are enough classes to tell, of classes; 'real' is p below 0.05 after Holm over all rows.",
        *(
            [f"Not shown: {len(found.moves) - len(moved)} with the same predictions."]
            if len(moved) < len(found.moves)
            else []
        ),
        *found.notes,
    ]
    n_labels = len(headings)
    return grid(title, [*headings, "before", "after", "difference", "p (Holm)", "verdict"], rows, notes, n_labels)


def _move(before: Results, first: Record, after: Results, second: Record, names: UpstreamNames) -> Move:
    both = ((before, first), (after, second))
    of_slots = not all(folder.keeps_predictions(record) for folder, record in both)
    draws = before.draws(first)
    kept = [kept_of(*one, of_slots, draws) for one in both]
    if not np.array_equal(draws["clips"], after.draws(second)["clips"]):
        raise UserError(
            f"{names.of(first)} on {first['dataset']['name']}: the two folders hold different episodes under "
            "one protocol and seed; evaluate one of them again"
        )
    protocol = first["identity"]["protocol"]
    _, class_of_clip = classes_of_clips(draws, protocol)
    try:
        pool = make_pool(draws["clips"].astype(np.int64), class_of_clip, protocol["k_shot"], sides_of_clips(draws))
    except ValueError as error:
        raise UserError(f"{before.path}: the file of draws {first['draws']} is damaged ({error})") from error
    of_both = [(*one, its_own) for one, its_own in zip(both, kept, strict=True)]
    covariance = scored(of_both, draws, pool, of_slots).covariance
    half_width = p_value = None
    if covariance.clips is not None or covariance.classes is not None:
        found = compare([covariance])
        half_width, p_value = float(found.half_width[0, 1]), float(found.p_value[0, 1])
    was, now = names.of(first), names.of(second)
    return Move(
        was if was == now else f"{was} → {now}",
        str(first["dataset"].get("title") or first["dataset"]["name"]),
        describe(condition_of(first)),
        first["accuracy"]["mean"],
        second["accuracy"]["mean"],
        half_width,
        p_value,
        None,
        not of_slots and bool(np.array_equal(kept[0], kept[1])),
    )


def _upstream(record: Record) -> tuple[str, str, str]:
    return str(record["upstream"]["name"]), _revision(record), str(record["view"]["name"])


def _revision(record: Record) -> str:
    return str(record["upstream"].get("revision") or "")


def _revisions(folder: Results) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for record in folder.records:
        found.setdefault(str(record["upstream"]["name"]), set()).add(_revision(record))
    return found


def _by_key(folder: Results, single: bool, several: set[str], notes: list[str]) -> dict[str, Record]:
    """The records of a folder by the settings that have to be equal in the other folder.

    If a cell has two results, both are left out, with a note, since it is unknown which of them matches the other
    folder's result.
    """
    found: dict[str, list[Record]] = {}
    for record in folder.records:
        name, revision, view = _upstream(record)
        upstream = () if single else (name, view, revision if name in several else None)
        parts = [upstream, record["dataset"]["name"], record["identity"]["clip_table"], condition_of(record)]
        found.setdefault(canonical_json(parts), []).append(record)
    for own in found.values():
        if len(own) > 1:
            notes.append(
                f"{folder.path} has {len(own)} results for upstream '{own[0]['upstream']['name']}' on dataset "
                f"'{own[0]['dataset']['name']}' ({', '.join(record['key'] for record in own)}), so none of them is compared. "
                "Keep one of them."
            )
    return {key: own[0] for key, own in found.items() if len(own) == 1}


def _inventory(folder: Results) -> str:
    upstreams = sorted({_upstream(r)[0] for r in folder.records})
    datasets = sorted({str(r["dataset"]["name"]) for r in folder.records})
    return f"{', '.join(upstreams[:5])} on {', '.join(datasets[:5])}"
