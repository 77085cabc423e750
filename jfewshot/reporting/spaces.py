"""Diagnostics of the embeddings, if the stores still exist: tables, a figure, JSON, and clips to listen to."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.printable import counted
from jfewshot.reporting.document import Block, Points, TableBlock
from jfewshot.reporting.figures.similarity import SimilarityPanel, similarity_maps
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.leaderboard import Leaderboard, Record
from jfewshot.reporting.writer import Writer
from jfewshot.store import Store, open_store
from jfewshot.store.diagnostics.describing import (
    copies_heading,
    difference,
    pair_text,
    suspect_text,
    suspects_heading,
)
from jfewshot.store.diagnostics.diagnosing import Asked, Diagnosis, diagnose_spaces
from jfewshot.threads import one_blas_thread

Link = Callable[[str], str]
SAMPLE = 2000  # clips of each store; `jfewshot store inspect --diagnose` uses 20,000
MOST_SPACES = 40
_LARGEST_VIEW = 256 * 2**20  # bytes
_MOST_ROWS = 100
_SHOWN = 3


def space_blocks(writer: Writer, board: Leaderboard, link: Link = lambda clip_id: "") -> list[Block]:
    """Diagnose the embeddings of a leaderboard; write tables, figure and JSON, and make the page's blocks of them.

    Args:
      writer: writes the files.
      board: the leaderboard that the answer is about.
      link: address of a clip's recording, for the page; empty where it is not known.

    Returns:
      the blocks; none if no store exists any more.
    """
    spaces, left = spaces_of(board)
    try:
        # At this size several threads gain nothing on idle cores, and lose much time on busy ones.
        with one_blas_thread():
            diagnoses = diagnose_spaces(spaces, SAMPLE)
    except UserError:
        return []  # `jfewshot store verify` names the errors of a store, and a run refuses it
    if not diagnoses:
        return []
    writer.text("exports/diagnostics.json", _as_json(diagnoses))
    blocks: list[Block] = [Points("What the embeddings say", _sentences(diagnoses))]
    blocks.append(TableBlock(writer.table("embeddings", spaces_grid(diagnoses, left)), sortable=True))
    panels = [
        SimilarityPanel(one.dataset_title, [space.title for space in one.spaces], one.debiased_cka)
        for one in diagnoses
        if len(one.spaces) > 2
    ]
    if panels:
        title = "Similarity of embedding spaces (linear CKA, debiased)"
        alt = "Similarity of the embeddings of every two encoders over the same clips: 0 unrelated, 1 equal up to rotation"
        blocks.append(writer.figure("similarity", similarity_maps(panels, title), alt, f"{alt}."))
    for name, table in (
        ("near-copies", copies_grid(diagnoses, link)),
        ("suspect-labels", labels_grid(diagnoses, link)),
    ):
        if table is not None:
            blocks.append(TableBlock(writer.table(name, table), sortable=True))
    return blocks


def spaces_of(board: Leaderboard) -> tuple[list[Asked], int]:
    """The views of a leaderboard's results whose stores still exist, the best encoders first.

    Args:
      board: the leaderboard.

    Returns:
      at most `MOST_SPACES` of them, and how many more results there are.
    """
    found: list[Asked] = []
    for (row, _), record in sorted(board.cells.items()):
        if len(found) == MOST_SPACES:
            break
        store = _store_of(record)
        if store is not None:
            found.append(Asked(store, record["view"]["name"], board.upstreams[row]))
    return found, len(board.cells) - len(found)


def spaces_grid(diagnoses: Sequence[Diagnosis], left: int = 0) -> Grid:
    """A row for each dataset and encoder with the measures of its embeddings.

    Args:
      diagnoses: from `diagnose_spaces`.
      left: how many further results of the leaderboard were not diagnosed.

    Returns:
      the table.
    """
    rows = [
        [
            one.dataset_title,
            space.title,
            str(space.dim),
            f"{space.effective_rank:.1f}",
            str(space.directions),
            f"{space.mean_cosine:.2f}",
            MISSING if space.hubness is None else f"{space.hubness.skewness:.2f}",
            _number(space.silhouette),
            _number(space.label_alignment),
            MISSING if space.left_out_accuracy is None else f"{100 * space.left_out_accuracy:.1f}",
        ]
        for one in diagnoses
        for space in one.spaces
    ]
    notes = [
        "Of L2-normalised embeddings; a clip's embedding is the mean of its segments. Rank: effective rank. 90%: principal "
        "directions that hold 90% of the variance. Cosine: mean over all pairs of clips. Hubness: skewness of the 10-occurrence. "
        "Silhouette (cosine distance) and alignment (centred kernel-target alignment): do the clips of a class lie together? "
        "Recognised: share of the clips that a ridge classifier of all other clips recognises. That classifier has seen other "
        "clips of the same group (docs/diagnostics.md)."
    ]
    small = [one for one in diagnoses if one.n_drawn < one.n_clips]
    if small:
        drawn = ", ".join(f"{one.dataset_title} ({one.n_drawn:,} of {one.n_clips:,})" for one in small)
        notes.append(f"A sample of the clips was looked at: {drawn}.")
    if left:
        notes.append(
            f"{counted(left, 'result is', 'results are')} not shown: a report looks at {MOST_SPACES} views of at most 256 MB "
            "whose stores are in their place. `jfewshot store inspect --diagnose` looks at all."
        )
    labels = ["Dataset", "Upstream"]
    measures = ["Dim", "Rank", "90%", "Cosine", "Hubness", "Silhouette", "Alignment", "Recognised (%)"]
    return grid("The embeddings", [*labels, *measures], rows, notes, n_labels=2)


def copies_grid(diagnoses: Sequence[Diagnosis], link: Link = lambda clip_id: "") -> Grid | None:
    """A row for each pair of clips that seem to be one recording; None if there is none.

    Args:
      diagnoses: from `diagnose_spaces`.
      link: address of a clip's recording; empty where it is not known.
    """
    rows: list[list[str | TableEntry]] = [
        [
            one.dataset_title,
            *(TableEntry(clip.clip_id, link=link(clip.clip_id)) for clip in (pair.first, pair.second)),
            difference(pair.first, pair.second),
            f"{pair.strength:.1f}",
        ]
        for one in diagnoses
        for pair in one.near_copies
    ]
    note = (
        "Pairs of clips of different classes or groups that are alike beyond chance, most likely one recording twice. Listen to "
        "them: where one is a support clip and the other a query, the accuracy is too high."
    )
    headings = ["Dataset", "Clip", "is like", "Classes and groups", "Strength"]
    return grid("Near-duplicates", headings, rows[:_MOST_ROWS], _with_more(note, rows), n_labels=4) if rows else None


def labels_grid(diagnoses: Sequence[Diagnosis], link: Link = lambda clip_id: "") -> Grid | None:
    """A row for each clip whose label looks wrong; None if there is none.

    Args:
      diagnoses: from `diagnose_spaces`.
      link: address of a clip's recording; empty where it is not known.
    """
    rows: list[list[str | TableEntry]] = [
        [
            one.dataset_title,
            TableEntry(found.clip.clip_id, link=link(found.clip.clip_id)),
            found.clip.label,
            found.given_to,
            f"{found.margin:.2f}",
        ]
        for one in diagnoses
        for found in one.suspects
    ]
    note = (
        "Clips that all good encoders give to one other class, by a classifier of all other clips: mislabelled, or unlike the "
        "rest of their class. Listen to them."
    )
    headings = ["Dataset", "Clip", "Class", "Given to", "Margin"]
    return grid("Suspect labels", headings, rows[:_MOST_ROWS], _with_more(note, rows), n_labels=4) if rows else None


def _sentences(diagnoses: Sequence[Diagnosis]) -> tuple[str, ...]:
    said = []
    for one in diagnoses:
        for heading, texts in (
            (copies_heading(one), [pair_text(pair) for pair in one.near_copies]),
            (suspects_heading(one), [suspect_text(suspect) for suspect in one.suspects]),
        ):
            more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
            shown = f": {'; '.join(texts[:_SHOWN])}{more}" if texts else ""
            said.append(f"{one.dataset_title}: {heading}{shown}.")
    return tuple(said)


def _as_json(diagnoses: Sequence[Diagnosis]) -> str:
    return json.dumps([one.as_json() for one in diagnoses], indent=1, ensure_ascii=False) + "\n"


def _store_of(record: Record) -> Store | None:
    """The store of a result, if it still exists, has the same embeddings, and is not large."""
    path = str((record.get("store") or {}).get("path") or "")
    try:
        store = open_store(Path(path))
        name = record["view"]["name"]
        if not path or store.view_digest(name) != record["identity"]["embeddings"]:
            return None
        return store if store.view(name).nbytes <= _LARGEST_VIEW else None
    except (UserError, KeyError, OSError):
        return None


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}".replace("-", "−")


def _with_more(note: str, rows: Sequence[object]) -> list[str]:
    more = len(rows) - _MOST_ROWS
    return [note, *([f"{more} more are in exports/diagnostics.json."] if more > 0 else [])]
