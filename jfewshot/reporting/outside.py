"""Compare results with other numbers: with the published Table 3, and by correlation with any table of scores."""

import dataclasses
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import special

from jfewshot.errors import UserError
from jfewshot.files.tables import read_cells
from jfewshot.reporting import published
from jfewshot.reporting.conditions import shots_of
from jfewshot.reporting.grid import Grid, grid
from jfewshot.reporting.leaderboard import Leaderboard
from jfewshot.statistics import Correlations, correlations, logit
from jfewshot.statistics.correlation import Method
from jfewshot.statistics.intervals import Z95
from jfewshot.statistics.multiple import holm

# Other spellings of Table 3's datasets, without case and punctuation.
_DATASETS = {
    "speechcommands": "SCv2",
    "speechcommandsv2": "SCv2",
    "speechaccentarchive": "SAA",
    "accentarchive": "SAA",
    "commonvoicev12delta": "CommonVoice",
    "voxceleb1": "VoxCeleb",
    "cremad": "Crema-D",
    "fsdkaggle2018": "Kaggle18",
    "fsdkaggle18": "Kaggle18",
    "fdskaggle18": "Kaggle18",
    "watkinsmarinemammal": "Watkins",
    "watkinsmarinemammals": "Watkins",
    "watkinsmmsd": "Watkins",
    "birdclef2020": "BirdClef",
    "birdclefpruned": "BirdClef",
    "birdclef2020pruned": "BirdClef",
}


@dataclasses.dataclass(frozen=True)
class OutsideTable:
    """Other scores of upstreams; NaN if there is none; for all scores, higher is better.

    Attributes:
      name: of the source.
      upstreams: names of the rows.
      metrics: names of the columns.
      values: error metrics negated.
    """

    name: str
    upstreams: tuple[str, ...]
    metrics: tuple[str, ...]
    values: np.ndarray


def superb_table() -> OutsideTable:
    """SUPERB's metrics and its overall score."""
    scores = published.superb()
    values = np.column_stack([published.superb_score(scores), scores.higher_is_better()])
    return OutsideTable("SUPERB", scores.models, ("score", *scores.labels), values)


def read_outside_table(path: Path, lower_is_better: tuple[str, ...] = ()) -> OutsideTable:
    """Read a CSV whose first column names upstreams and whose other columns are metrics; empty cells are missing.

    Args:
      path: the file.
      lower_is_better: columns to negate.

    Raises:
      UserError: if it cannot be read as such.
    """
    header, rows, lines = read_cells(path, (), "give a CSV with a column of upstream names and columns of scores")
    if not rows or len(header) < 2:
        raise UserError(f"{path}: needs a header, a column of upstream names, and at least one column of scores")
    metrics = tuple(name.strip() for name in header[1:])
    unknown = sorted(set(lower_is_better) - set(metrics))
    if unknown:
        raise UserError(f"{path} has no column '{unknown[0]}'; it has {', '.join(metrics)}")
    seen: dict[str, int] = {}
    values = np.full((len(rows), len(metrics)), np.nan)
    for number, (line, row) in enumerate(zip(lines, rows, strict=True)):
        name = _plain(row[0])
        if not row[0].strip():
            raise UserError(f"{path}: line {line} names no upstream; name it, or remove the line")
        if name and name in seen:
            raise UserError(
                f"{path}: lines {seen[name]} and {line} are both for '{row[0].strip()}' (case and punctuation do not tell "
                "upstreams apart); keep one"
            )
        seen[name] = line
        for column, cell in enumerate(row[1:]):
            if cell.strip():
                try:
                    values[number, column] = float(cell)
                except ValueError as error:
                    raise UserError(
                        f"{path}, line {line}: {cell[:40]!r} under {metrics[column]!r} is no number"
                    ) from error
                if np.isinf(values[number, column]):
                    raise UserError(f"{path}, line {line}: {cell[:40]!r} under {metrics[column]!r} is not finite")
    values *= [-1.0 if name in lower_is_better else 1.0 for name in metrics]
    return OutsideTable(path.stem, tuple(row[0].strip() for row in rows), metrics, values)


def correlate_board(
    board: Leaderboard, table: OutsideTable, method: Method = "spearman", with_logit: bool = False
) -> tuple[Correlations, tuple[str, ...], np.ndarray, np.ndarray] | None:
    """Correlate a leaderboard's datasets with an outside table over the upstreams that both have (`matched_rows`).

    Args:
      board: the leaderboard.
      table: the outside table.
      method: `spearman` or `pearson`.
      with_logit: take the logit of accuracies, and of the table's columns that lie between 0 and 1 (or, negated, -1 and 0).

    Returns:
      The coefficients, the upstreams, their accuracies and their scores; None if fewer than four are in both.
    """
    rows, outside_rows, _ = matched_rows(board, table)
    if len(rows) < 4:
        return None
    accuracy, values = board.mean[rows], table.values[outside_rows]
    if with_logit:
        found = correlations(_logit_where_it_can(accuracy), _logit_where_it_can(values), method)
    else:
        found = correlations(accuracy, values, method)
    return found, tuple(board.upstreams[row] for row in rows), accuracy, values


def matched_rows(board: Leaderboard, table: OutsideTable) -> tuple[list[int], list[int], list[int]]:
    """Find the upstreams that a leaderboard and an outside table both have, each of them once.

    Views and revisions of one upstream share its row of the outside table. They are not independent observations, so
    the best one on the leaderboard represents the upstream.

    Args:
      board: the leaderboard, best rows first.
      table: the outside table.

    Returns:
      The rows of the leaderboard, the row of the outside table for each of them, and the rows of the leaderboard that
      are represented by another row of the same upstream.
    """
    known = {_plain(name): i for i, name in enumerate(table.upstreams)}
    row_of: dict[int, int] = {}
    others: list[int] = []
    for row, aliases in enumerate(_names(board)):
        match = next((known[alias] for alias in aliases if alias in known), None)
        if match is None:
            continue
        if match in row_of:
            others.append(row)
        else:
            row_of[match] = row
    return list(row_of.values()), list(row_of), others


def _logit_where_it_can(values: np.ndarray) -> np.ndarray:
    """The logit of the columns that are shares, with their sign; other columns unchanged."""
    out = values.copy()
    for column in range(values.shape[1]):
        known = values[:, column][~np.isnan(values[:, column])]
        sign = -1.0 if (known < 0).all() else 1.0
        if len(known) and ((sign * known > 0) & (sign * known < 1)).all():
            out[:, column] = sign * logit(sign * values[:, column])
    return out


def dataset_title(name: str) -> str | None:
    """Table 3's name of a dataset that other tables and stores may spell differently; None if Table 3 does not have it.

    Args:
      name: in any spelling.
    """
    titles = {_plain(title): title for title in published.table3().datasets} | _DATASETS
    return titles.get(_plain(name))


class PublishedCell(NamedTuple):
    """A cell of a leaderboard that Table 3 also has.

    Attributes:
      row, column: in the leaderboard.
      model, dataset: in Table 3.
      mean, half_width: the leaderboard's accuracy, and its 95% interval over episodes.
    """

    row: int
    column: int
    model: int
    dataset: int
    mean: float
    half_width: float


def published_cells(board: Leaderboard) -> list[PublishedCell]:
    """The board's cells that Table 3 also has, by row and column."""
    table = published.table3()
    model_of = {_plain(name): i for i, name in enumerate(table.models)}
    model_of |= {
        _plain(row["name"]): model_of[_plain(row["title"])] for row in published.read_data_csv("upstreams.csv")
    }
    names = _names(board)
    found = []
    for (row, column), record in sorted(board.cells.items()):
        model = next((model_of[alias] for alias in names[row] if alias in model_of), None)
        title = dataset_title(record["dataset"]["name"]) or dataset_title(board.datasets[column])
        if model is not None and title is not None:
            accuracy = record["accuracy"]
            dataset = table.datasets.index(title)
            found.append(PublishedCell(row, column, model, dataset, accuracy["mean"], accuracy["ci95"]))
    return found


def beside_published(board: Leaderboard) -> Grid | None:
    """A table of the board's cells that Table 3 also has, with the differences and which of these are significant."""
    table, cells = published.table3(), published_cells(board)
    if not cells:
        return None
    theirs = np.array([table.accuracy[cell.model, cell.dataset] for cell in cells])
    their_width = np.array([table.ci95[cell.model, cell.dataset] for cell in cells])
    difference = np.array([cell.mean for cell in cells]) - theirs
    # Both are means over episodes that were drawn independently of each other.
    width = np.hypot([cell.half_width for cell in cells], their_width)
    p_holm = holm(2 * special.ndtr(-np.abs(difference) / np.maximum(width / Z95, 1e-12)))
    rows = [
        [
            board.upstreams[cell.row],
            board.datasets[cell.column],
            f"{100 * cell.mean:.2f} ± {100 * cell.half_width:.2f}",
            f"{100 * theirs[i]:.2f} ± {100 * their_width[i]:.2f}",
            f"{100 * difference[i]:+.2f} ± {100 * width[i]:.2f}".replace("-", "−"),
            f"{p_holm[i]:.2g}",
            "larger than sampling" if p_holm[i] < 0.05 else "within sampling",
        ]
        for i, cell in enumerate(cells)
    ]
    protocol = board.condition["protocol"]
    same = (protocol["n_way"], shots_of(protocol), protocol["n_query"]) == (5, 1, 1)
    notes = [
        "Published: Table 3 of arXiv 2402.01274, 5-way 1-shot with one query per class and SGD. The difference's 95% interval is "
        f"over the episodes of both; p is after Holm over these {len(cells)} cells. 'Within sampling': p is 0.05 or more."
        + ("" if same else " These results are of another protocol, so differences are expected.")
    ]
    headings = ["Upstream", "Dataset", "here", "published", "difference", "p (Holm)", "the difference is"]
    return grid("Beside the published numbers", headings, rows, notes, n_labels=2)


def _names(board: Leaderboard) -> list[list[str]]:
    """All names that another table may use for a row."""
    aliases: list[list[str]] = [[_plain(label)] for label in board.upstreams]
    titles = {row["name"]: row["title"] for row in published.read_data_csv("upstreams.csv")}
    for (row, _), record in board.cells.items():
        upstream = record["upstream"]
        for name in (upstream["name"], upstream.get("title"), titles.get(upstream["name"])):
            if name and _plain(name) not in aliases[row]:
                aliases[row].append(_plain(name))
    return aliases


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
