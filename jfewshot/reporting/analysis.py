"""Analyse a leaderboard's kept predictions: paired differences, ranks, hard classes."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jfewshot.errors import UserError
from jfewshot.reporting.grid import MISSING, Grid, grid
from jfewshot.reporting.leaderboard import Leaderboard
from jfewshot.reporting.pairing import PairedDataset, pair_dataset
from jfewshot.results import Results
from jfewshot.statistics import (
    DatasetBootstrap,
    Differences,
    PoolCovariance,
    RankTest,
    bootstrap_over_datasets,
    compare,
    holm_of_pairs,
    permutation_p_value,
    rank_test,
    wins_ties_losses,
)
from jfewshot.statistics.paired import PoolKind

FEW_CLASSES = 8  # with fewer classes, no intervals for other classes are given


@dataclasses.dataclass(frozen=True, eq=False)
class Analysis:
    """The findings about one leaderboard.

    Attributes:
      board: the leaderboard.
      paired: paired comparisons of each dataset with readable predictions.
      compared: rows of the leaderboard that were compared in pairs.
      overall: differences of their averages over the datasets that all of them have; None if there are fewer than two
          rows.
      pool: the kind of new sample that `overall`'s intervals are for: `clips` if no dataset of the comparison has
          enough classes.
      permuted: whether `overall`'s p-values are by permutation.
      counts: wins, ties and losses over those datasets; None if there are fewer than two rows.
      ranks: ranks of the complete rows, and their test.
      bootstrap: intervals over datasets for the complete rows; None for few datasets.
      notes: what was left out, and why.
      shared: names of the datasets that all compared rows have.
      covariances: of the compared rows, on each of these datasets.
      asked_pool: the pool that was asked for.
    """

    board: Leaderboard
    paired: tuple[PairedDataset, ...]
    compared: tuple[int, ...]
    overall: Differences | None
    pool: PoolKind
    permuted: bool
    counts: np.ndarray | None
    ranks: RankTest | None
    bootstrap: DatasetBootstrap | None
    notes: tuple[str, ...]
    shared: tuple[str, ...]
    covariances: tuple[PoolCovariance, ...]
    asked_pool: PoolKind

    @property
    def complete_rows(self) -> list[int]:
        """Rows that have every dataset, in the board's order."""
        return [int(row) for row in np.flatnonzero(self.board.complete)]


def analyse(
    results: Results,
    board: Leaderboard,
    problems: list[str],
    pool: PoolKind = "classes",
    permutation: bool = False,
    at_most: int = 12,
    ranks: bool = True,
) -> Analysis:
    """Compare a leaderboard's upstreams on the same episodes.

    Args:
      results: the folder that the board's records come from.
      board: the leaderboard.
      problems: receives a sentence for each file that could not be used.
      pool: which pool of clips and classes the intervals of differences account for (`statistics.compare`).
      permutation: p-values of average differences by sign flips over classes instead of Student's t.
      at_most: compare this many of the best upstreams; the predictions of each have to be read.
      ranks: also test ranks over datasets.

    Returns:
      the comparisons, and notes on what they leave out.

    Raises:
      UserError: if p-values over classes are requested together with intervals over clips.
    """
    check_test(pool, permutation)
    rows = list(range(min(len(board.upstreams), at_most)))
    notes = []
    if len(rows) < len(board.upstreams):
        notes.append(f"Pairs are compared among the best {at_most} of {len(board.upstreams)} upstreams.")
    found = [pair_dataset(results, board, column, rows, problems) for column in range(len(board.datasets))]
    paired = tuple(one for one in found if one is not None)
    compared = _most_comparable(paired, rows)
    shared = [one for one in paired if set(compared) <= set(one.rows) and _can_tell(one, pool)]
    overall = counts = None
    permuted = False
    covariances: list[PoolCovariance] = []
    over = pool
    if len(compared) > 1 and shared:
        covariances = [held_fixed(_select(one, compared)) for one in shared]
        overall = compare(covariances, pool)
        counts = wins_ties_losses([compare([covariance], pool) for covariance in covariances])
        too_few = [one.dataset for one, own in zip(shared, covariances, strict=True) if own.classes is None]
        if len(too_few) == len(shared):
            over = "clips"
        without = [one.dataset for one in shared if one.pseudo_values is None or one.dataset in too_few]
        if permutation and not without:
            overall = _permuted(overall, shared, compared)
            permuted = True
        elif permutation:
            notes.append(f"No permutation over classes, since there are too few classes: {', '.join(without)}.")
        if pool == "classes" and too_few:
            notes.append(f"Too few classes to tell about new ones, so classes are held fixed: {', '.join(too_few)}.")
        if len(shared) < len(board.datasets):
            left = sorted(set(board.datasets) - {one.dataset for one in shared})
            notes.append(f"Not in the comparison of pairs, for want of predictions or clips: {', '.join(left)}.")
    complete = board.mean[board.complete]
    return Analysis(
        board=board,
        paired=paired,
        compared=tuple(compared),
        overall=overall,
        pool=over,
        permuted=permuted,
        counts=counts,
        ranks=rank_test(complete) if ranks and len(complete) > 1 and len(board.datasets) > 1 else None,
        bootstrap=bootstrap_over_datasets(complete) if ranks and len(complete) else None,
        notes=tuple(notes),
        shared=tuple(one.dataset for one in shared) if covariances else (),
        covariances=tuple(covariances),
        asked_pool=pool,
    )


def check_test(pool: PoolKind, permutation: bool) -> None:
    """Refuse p-values over classes together with intervals over clips.

    Args:
      pool: which pool the intervals of differences account for.
      permutation: whether p-values are by sign flips over classes.

    Raises:
      UserError: if the two are about different pools.
    """
    if permutation and pool == "clips":
        raise UserError(
            "--permutation flips signs over classes, and --pool clips holds the classes fixed: the p-values and the intervals "
            "would be about different things. Leave out one of the two"
        )


def _most_comparable(paired: Sequence[PairedDataset], rows: list[int]) -> list[int]:
    """The rows to compare if cells are missing.

    Of all thresholds on the number of datasets of a row, it takes the one that gives the most comparisons (pairs of
    rows x datasets that all of them have)."""
    counts = {row: sum(row in one.rows for one in paired) for row in rows}
    best: list[int] = []
    most = 0
    for least in sorted(set(counts.values()) - {0}, reverse=True):
        chosen = [row for row in rows if counts[row] >= least]
        shared = sum(set(chosen) <= set(one.rows) for one in paired)
        comparisons = len(chosen) * (len(chosen) - 1) // 2 * shared
        if comparisons > most:
            best, most = chosen, comparisons
    return best


def _can_tell(one: PairedDataset, pool: PoolKind) -> bool:
    of_classes = pool == "classes" and one.covariance.classes is not None
    return of_classes or one.covariance.clips is not None


def _select(one: PairedDataset, rows: Sequence[int]) -> PoolCovariance:
    return of_systems(one.covariance, [one.rows.index(row) for row in rows])


def of_systems(covariance: PoolCovariance, systems: Sequence[int]) -> PoolCovariance:
    """The covariance of some of its systems, in the order in which they are given."""
    pick = list(systems)
    square = np.ix_(pick, pick)
    return covariance._replace(
        mean=covariance.mean[pick],
        episodes=covariance.episodes[square],
        clips=None if covariance.clips is None else covariance.clips[square],
        classes=None if covariance.classes is None else covariance.classes[square],
    )


def held_fixed(covariance: PoolCovariance) -> PoolCovariance:
    """With few classes the variance over classes is uncertain, so intervals hold the classes fixed, if the clips allow it."""
    few = covariance.n_classes < FEW_CLASSES and covariance.clips is not None
    return covariance._replace(classes=None) if few else covariance


def _permuted(overall: Differences, shared: Sequence[PairedDataset], rows: Sequence[int]) -> Differences:
    p_value = np.full(overall.p_value.shape, np.nan)
    for i in range(len(rows)):
        for j in range(i):
            units = []
            for one in shared:
                values = one.pseudo_values
                if values is not None:
                    units.append(values[one.rows.index(rows[i])] - values[one.rows.index(rows[j])])
            p_value[i, j] = p_value[j, i] = permutation_p_value(units)
    return overall._replace(p_value=p_value, p_holm=holm_of_pairs(p_value))


def pairs_grid(analysis: Analysis) -> Grid | None:
    """Every compared pair: difference of the averages with its interval, p-values, wins, ties and losses."""
    overall, counts = analysis.overall, analysis.counts
    if overall is None or counts is None:
        return None
    names = [analysis.board.upstreams[row] for row in analysis.compared]
    rows = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            rows.append(
                [
                    names[i],
                    names[j],
                    f"{100 * overall.difference[i, j]:+.2f} ± {100 * overall.half_width[i, j]:.2f}".replace("-", "−"),
                    f"{overall.p_value[i, j]:.3g}",
                    f"{overall.p_holm[i, j]:.3g}",
                    "-".join(str(v) for v in counts[i, j]),
                ]
            )
    if analysis.pool == "clips":
        interval, test = "number of clips, for these classes alone", "the normal distribution with the pool's variance"
    else:
        interval, test = "number of clips and classes", "Student's t with the pool's variance"
    how = "sign-flip permutation over classes" if analysis.permuted else test
    notes = [
        "Difference of the average accuracies in points, on the same episodes, with a 95% interval that accounts for the limited "
        f"{interval}; p by {how}; Holm's correction over all pairs. Wins-ties-losses: datasets on which the difference "
        f"stands, its p{f' by {test}' if analysis.permuted else ''} below 0.05 after Holm over the dataset's pairs.",
        *analysis.notes,
    ]
    headings = ["A", "B", "A − B", "p", "p (Holm)", "wins-ties-losses"]
    return grid("Which differences are real?", headings, rows, notes, n_labels=2)


def ranks_grid(analysis: Analysis) -> Grid | None:
    """Average accuracy and rank with intervals over datasets."""
    ranks, board = analysis.ranks, analysis.board
    if ranks is None:
        return None
    rows = []
    order = analysis.complete_rows
    for place, row in enumerate(order):
        cells = [board.upstreams[row], f"{100 * board.average[row]:.2f}", f"{ranks.average_rank[place]:.2f}"]
        if analysis.bootstrap is not None:
            accuracy, rank = analysis.bootstrap.accuracy[place], analysis.bootstrap.rank[place]
            cells += [f"{100 * accuracy[0]:.2f} to {100 * accuracy[1]:.2f}", f"{rank[0]:.2f} to {rank[1]:.2f}"]
        else:
            cells += [MISSING, MISSING]
        rows.append(cells)
    notes = [
        f"Friedman's test that all are the same: p = {ranks.p_value:.3g}. Two average ranks differ at 5% if they are "
        f"{ranks.critical_difference:.2f} apart (Nemenyi). Intervals: bootstrap over {len(board.datasets)} datasets"
        + ("." if analysis.bootstrap is not None else ", not given below five.")
    ]
    headings = ["Upstream", "Avg", "Avg Rank", "95% of Avg", "95% of Avg Rank"]
    return grid("Ranks over datasets", headings, rows, notes)


def hardest_grid(one: PairedDataset, upstreams: Sequence[str], n: int = 10) -> Grid:
    """Tabulate the classes with the lowest accuracy, and the class with which the best upstream confuses each.

    Args:
      one: accuracies and confusions on one dataset.
      upstreams: names of the leaderboard's upstreams.
      n: number of classes to show.

    Returns:
      the table.
    """
    order = np.argsort(one.class_accuracy.mean(axis=0), kind="stable")[:n]
    rows = []
    for c in order:
        others = np.full(len(one.class_names), np.nan) if one.confusion is None else one.confusion[c].copy()
        others[c] = np.nan
        mistaken = int(np.nanargmax(others)) if np.isfinite(others).any() else int(c)
        best = one.rows.index(one.best)
        share = "" if mistaken == int(c) else f"{one.class_names[mistaken]} ({100 * others[mistaken]:.0f}%)"
        rows.append(
            [
                one.class_names[c],
                share,
                f"{100 * one.class_accuracy[:, c].mean():.1f}",
                f"{100 * one.class_accuracy[best, c]:.1f}",
            ]
        )
    best_name = upstreams[one.best]
    headings = ["Class", f"{best_name} takes it for", "mean accuracy (%)", f"{best_name} (%)"]
    note = "Accuracy of the class's own queries; the share of them given to another class is over episodes with both."
    return grid(f"Hardest classes of {one.dataset}", headings, rows, [note], n_labels=2)
