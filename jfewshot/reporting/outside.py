"""Results beside numbers from elsewhere: the published Table 3, and correlations with any table of scores."""

import dataclasses
import re
from pathlib import Path

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.tables import read_cells
from jfewshot.reporting import published
from jfewshot.reporting.grid import Grid, grid
from jfewshot.reporting.leaderboard import Leaderboard
from jfewshot.statistics import Correlations, correlations, logit
from jfewshot.statistics.correlation import Method

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
    "watkinsmarinemammals": "Watkins",
    "watkinsmmsd": "Watkins",
    "birdclef2020": "BirdClef",
    "birdclefpruned": "BirdClef",
    "birdclef2020pruned": "BirdClef",
}


@dataclasses.dataclass(frozen=True)
class OutsideTable:
    """Scores from elsewhere, per upstream; NaN where there is none; higher is better throughout.

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

    Views and revisions of one upstream share its row of the outside table. They are no independent observations, so the one that
    stands highest on the leaderboard represents the upstream.

    Args:
      board: the leaderboard, best rows first.
      table: the outside table.

    Returns:
      The rows of the leaderboard, the row of the outside table for each of them, and the rows of the leaderboard that another
      row of the same upstream represents.
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
    """The logit of the columns that are shares, sign kept; others as they are."""
    out = values.copy()
    for column in range(values.shape[1]):
        known = values[:, column][~np.isnan(values[:, column])]
        sign = -1.0 if (known < 0).all() else 1.0
        if len(known) and ((sign * known > 0) & (sign * known < 1)).all():
            out[:, column] = sign * logit(sign * values[:, column])
    return out


def beside_published(board: Leaderboard) -> Grid | None:
    """The board's cells that Table 3 has too, with the difference, and whether it is outside both intervals."""
    table = published.table3()
    model_of = {_plain(name): i for i, name in enumerate(table.models)}
    model_of |= {
        _plain(row["name"]): model_of[_plain(row["title"])] for row in published.read_data_csv("upstreams.csv")
    }
    dataset_of = {_plain(name): i for i, name in enumerate(table.datasets)}
    dataset_of |= {alias: table.datasets.index(name) for alias, name in _DATASETS.items()}
    names = _names(board)
    rows = []
    for (row, column), record in sorted(board.cells.items()):
        model = next((model_of[alias] for alias in names[row] if alias in model_of), None)
        spellings = [_plain(record["dataset"]["name"]), _plain(board.datasets[column])]
        dataset = next((dataset_of[one] for one in spellings if one in dataset_of), None)
        if model is None or dataset is None:
            continue
        ours, width = record["accuracy"]["mean"], record["accuracy"]["ci95"]
        theirs, their_width = table.accuracy[model, dataset], table.ci95[model, dataset]
        outside = abs(ours - theirs) > width + their_width
        rows.append(
            [
                board.upstreams[row],
                board.datasets[column],
                f"{100 * ours:.2f} ± {100 * width:.2f}",
                f"{100 * theirs:.2f} ± {100 * their_width:.2f}",
                f"{100 * (ours - theirs):+.2f}".replace("-", "−"),
                "outside both" if outside else "within",
            ]
        )
    if not rows:
        return None
    protocol = board.condition["protocol"]
    same = (protocol["n_way"], protocol["k_shot"], protocol["n_query"]) == (5, 1, 1)
    notes = [
        "Published: Table 3 of arXiv 2402.01274, 5-way 1-shot with one query per class and SGD. 'Outside both': the two 95% "
        "intervals over episodes do not touch."
        + ("" if same else " These results are of another protocol, so differences are expected.")
    ]
    headings = ["Upstream", "Dataset", "here", "published", "difference", "intervals"]
    return grid("Beside the published numbers", headings, rows, notes, n_labels=2)


def _names(board: Leaderboard) -> list[list[str]]:
    """Every name that a row may be known by elsewhere."""
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
