"""Cautions about results: each is a sentence that names the problem and the remedy."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jfewshot.errors import UserError
from jfewshot.reporting.analysis import FEW_CLASSES
from jfewshot.reporting.leaderboard import Leaderboard, Record
from jfewshot.reporting.series import Series
from jfewshot.reporting.strengths import strength_advice
from jfewshot.results import Results
from jfewshot.store import open_store
from jfewshot.store.verifying import doubled_rows

_LARGEST_VIEW = 256 * 2**20  # bytes; larger views are not searched for doubled rows
_MOST_STORES = 20
_SHOWN = 3


def find_cautions(results: Results, every: Sequence[Series]) -> list[str]:
    """Find the cautions for the answer of a report.

    Args:
      results: the folder that the records come from.
      every: all series; the first is the one that the answer is about.
    """
    series = every[0]
    found = [
        _few_classes(series),
        _groups(results, series.main),
        _doubled(series.main),
        _not_converged(series),
        _left_out(series.main),
        *strength_advice(results.records),
        _incomplete(series.main),
    ]
    return [text for text in found if text]


def _few_classes(series: Series) -> str:
    few = sorted(
        {
            f"{series.main.datasets[column]} ({record['counts']['classes']})"
            for (_, column), record in series.main.cells.items()
            if (record.get("counts") or {}).get("classes", FEW_CLASSES) < FEW_CLASSES
        }
    )
    if not few:
        return ""
    return (
        f"Fewer than {FEW_CLASSES} classes: {_some(few)}. That is too few to say how other classes would do: the classes are "
        "taken as fixed, and the numbers are about new clips of these classes."
    )


def _groups(results: Results, board: Leaderboard) -> str:
    """Warn if groups were ignored: queries are easier if a support has the same group."""
    if board.condition["protocol"].get("group_aware"):
        return ""
    found = []
    for column, dataset in enumerate(board.datasets):
        record = next(
            (board.cells[row, column] for row in range(len(board.upstreams)) if (row, column) in board.cells), None
        )
        if record is None or "draws" not in record:
            continue
        try:
            draws = results.draws(record)
        except UserError:
            continue  # functions that need the draws will name the file
        groups = draws["group"][draws["group"] != ""] if "group" in draws else np.zeros(0, str)
        if "may_support" in draws and "may_query" in draws and "group" in draws:
            sides = (set(draws["group"][draws[name] > 0].tolist()) - {""} for name in ("may_support", "may_query"))
            if not set.intersection(*sides):
                continue  # no group is on both sides
        n_groups = len(np.unique(groups))
        if 1 < n_groups < len(groups):
            found.append(f"{dataset} ({n_groups} groups, {len(groups)} clips)")
    if not found:
        return ""
    return (
        f"Groups were ignored: {_some(found)}. Support and query clips of one speaker, recording or site make a task "
        "easier than it will be on a new one. Run again with --group-aware."
    )


def _doubled(board: Leaderboard) -> str:
    """Warn of clips with identical embeddings, which are most likely the same recording."""
    found: dict[str, list[str]] = {}
    looked: set[str] = set()
    for (_, column), record in sorted(board.cells.items()):
        dataset, path = board.datasets[column], str((record.get("store") or {}).get("path") or "")
        if dataset in looked or not path or len(looked) >= _MOST_STORES:
            continue
        pairs = _doubled_clips(Path(path), record)
        if pairs is not None:
            looked.add(dataset)
            if pairs:
                found[dataset] = pairs
    if not found:
        return ""
    parts = [f"{dataset}: {len(pairs)} ({_some(pairs)})" for dataset, pairs in found.items()]
    return (
        f"Clips that equal another clip to the last bit: {_some(parts, '; ')}. Where one is a support clip and its copy a "
        "query, the accuracy is too high: remove the copies."
    )


def _doubled_clips(path: Path, record: Record) -> list[str] | None:
    """Pairs of clips with equal rows; None if the store was removed, has changed, or is large."""
    try:
        store = open_store(path)
        name = record["view"]["name"]
        if store.manifest["views"][name]["sha256"] != record["identity"]["embeddings"]:
            return None
        view = store.view(name)
    except (UserError, KeyError, OSError):
        return None
    if view.nbytes > _LARGEST_VIEW:
        return None
    owner: dict[int, str] = {}
    clips = store.clips
    for clip, first, count in zip(clips.clip_id.tolist(), clips.first_segment, clips.n_segments, strict=True):
        owner |= dict.fromkeys(range(int(first), int(first + count)), clip)
    pairs = [(owner.get(a), owner.get(b)) for a, b in doubled_rows(view)]
    return list(dict.fromkeys(f"{a} = {b}" for a, b in pairs if a and b and a != b))


def _not_converged(series: Series) -> str:
    records = [record for board in series.boards for record in board.cells.values()]
    bad = [
        (record["solver"]["not_converged"] / record["identity"]["protocol"]["n_episodes"], record)
        for record in records
        if (record.get("solver") or {}).get("not_converged")
    ]
    if not bad:
        return ""
    share, worst = max(bad, key=lambda item: item[0])
    return (
        f"In {len(bad)} of {len(records)} results the solver did not converge in some episodes (at the most in "
        f"{100 * share:.1f}% of them: {worst['upstream']['name']} on {worst['dataset']['name']}). Their accuracy is a little "
        "uncertain."
    )


def _left_out(board: Leaderboard) -> str:
    found = []
    for column, dataset in enumerate(board.datasets):
        left = {
            str(item["class"])
            for row in range(len(board.upstreams))
            for item in ((board.cells.get((row, column)) or {}).get("counts") or {}).get("classes_left_out") or ()
        }
        if left:
            found.append(f"{dataset}: {len(left)} ({_some(sorted(left))})")
    return f"Classes left out, since they have too few clips: {_some(found, '; ')}." if found else ""


def _incomplete(board: Leaderboard) -> str:
    left = [name for name, complete in zip(board.upstreams, board.complete, strict=True) if not complete]
    if not left or len(left) == len(board.upstreams):
        return ""
    return f"Not ranked, since a dataset is missing: {_some(left)}."


def _some(items: Sequence[str], between: str = ", ") -> str:
    more = f"{between}and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return between.join(items[:_SHOWN]) + more
