"""Changes along a curve over shots: encoders that change their order, and agreement of the rankings from few and many labels."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jfewshot.reporting.analysis import Analysis, analyse, of_systems
from jfewshot.reporting.conditions import classifier_words, shots_words
from jfewshot.reporting.grid import MISSING, Grid, grid
from jfewshot.reporting.leaderboard import Leaderboard, reorder
from jfewshot.reporting.series import AVERAGE, Series, in_words, shots_of
from jfewshot.results import Results
from jfewshot.statistics import Agreement, Crossover, Differences, PoolCovariance, compare, crossovers, rank_agreement
from jfewshot.statistics.paired import PoolKind

REAL = 0.05  # a change of order is significant if its p-value after Holm's correction is below this
_SHOWN = 2  # changes of order that a sentence names


@dataclasses.dataclass(frozen=True, eq=False)
class Ranking:
    """The agreement of each number of shots with the largest one.

    Attributes:
      datasets: names of the datasets that every number of shots has.
      most: the largest number of shots; infinite for all labels.
      agreements: by number of shots, without the largest.
    """

    datasets: tuple[str, ...]
    most: float
    agreements: Mapping[float, Agreement]


@dataclasses.dataclass(frozen=True, eq=False)
class Places:
    """Paired differences between the same encoders along the curve of one dataset, or of the average.

    Attributes:
      where: the dataset, or `AVERAGE`.
      upstreams: the compared encoders.
      shots: numbers of shots at which they could be compared.
      differences: at each number of shots.
      crossovers: pairs that change their order, the most significant first; their points are indices into `shots`.
      about: the kind of new sample that the intervals are for, as text.
    """

    where: str
    upstreams: tuple[str, ...]
    shots: tuple[float, ...]
    differences: tuple[Differences, ...]
    crossovers: tuple[Crossover, ...]
    about: str


def ranking_along(series: Series) -> Ranking | None:
    """Compare the ranking at each number of shots with the ranking at the largest one.

    Args:
      series: the leaderboards over shots.

    Returns:
      the agreement; None for one number of shots, or if fewer than three encoders have all datasets at all of
      them.
    """
    boards = series.boards
    datasets = tuple(name for name in boards[-1].datasets if all(name in board.datasets for board in boards))
    names = [name for name in boards[-1].upstreams if all(name in board.upstreams for board in boards)]
    if len(boards) < 2 or not datasets or len(names) < 3:
        return None
    means = np.stack([_means(board, names, datasets) for board in boards])
    known = np.isfinite(means).all(axis=(0, 2))
    if known.sum() < 3:
        return None
    *few, many = means[:, known]
    agreements = {shots_of(board): rank_agreement(one, many) for board, one in zip(boards[:-1], few, strict=True)}
    return Ranking(datasets, shots_of(boards[-1]), agreements)


def places_along(
    results: Results, series: Series, main: Analysis, problems: list[str], pool: PoolKind, at_most: int
) -> tuple[Places, ...]:
    """Compare the encoders in pairs at every number of shots, and find those that change their order.

    Args:
      results: the folder that the leaderboards' records come from.
      series: the leaderboards over shots.
      main: paired comparisons of the series' main leaderboard; its encoders are compared along the curve.
      problems: receives a sentence for each file that could not be used.
      pool: which pool of clips and classes the intervals of differences account for (`statistics.compare`).
      at_most: compare this many encoders.

    Returns:
      the comparisons: first the average, if there are several datasets. Empty if there is nothing to compare.
    """
    if len(series.boards) < 2 or len(main.compared) < 2:
        return ()
    wanted = [series.main.upstreams[row] for row in main.compared]
    found = [
        main
        if board is series.main
        else analyse(results, _first(board, wanted), problems, pool, at_most=at_most, ranks=False)
        for board in series.boards
    ]
    names = [name for name in wanted if all(name in _compared(one) for one in found)]
    if len(names) < 2:
        return ()
    covariances: dict[str, dict[float, PoolCovariance]] = {}
    for board, one in zip(series.boards, found, strict=True):
        pick = [_compared(one).index(name) for name in names]
        for dataset, covariance in zip(one.shared, one.covariances, strict=True):
            covariances.setdefault(dataset, {})[shots_of(board)] = of_systems(covariance, pick)
    everywhere = [own for own in covariances.values() if len(own) == len(series.boards)]
    places = []
    if len(everywhere) > 1:
        average = {shots: [own[shots] for own in everywhere] for shots in everywhere[0]}
        places.append(_places(AVERAGE, names, average, pool))
    for dataset, own in covariances.items():
        if len(own) > 1:
            places.append(_places(dataset, names, {shots: [one] for shots, one in own.items()}, pool))
    return tuple(places)


def ranking_grid_along(every: Sequence[Series]) -> Grid | None:
    """Tabulate how well the ranking at each number of shots agrees with that at the largest.

    The table has every number of shots of the first series, and the smallest one of each other series.

    Args:
      every: all series, the one to read first at the front.

    Returns:
      the table; None without a ranking to compare.
    """
    found = [(series, ranking) for series in every if (ranking := ranking_along(series)) is not None]
    if not found:
        return None
    datasets = list(dict.fromkeys(name for _, ranking in found for name in ranking.datasets))
    rows = []
    for series, ranking in found:
        for shots, one in list(ranking.agreements.items())[: None if series is every[0] else 1]:
            texts = dict(
                zip([*ranking.datasets, AVERAGE], (_coefficient(one, i) for i in range(len(one.low))), strict=True)
            )
            own = [texts.get(name, MISSING) for name in (*datasets, *([AVERAGE] if len(datasets) > 1 else []))]
            label = [classifier_words(series.main.condition)] if len(found) > 1 else []
            rows.append([*label, f"{shots_words(shots)} and {shots_words(ranking.most)}", str(one.n_systems), *own])
    headings = ["Classifier"] * (len(found) > 1) + ["Shots", "encoders", *datasets]
    if len(datasets) > 1:
        headings.append("mean over datasets")
    notes = [
        "Spearman's coefficient between the accuracies at two numbers of labels per class. 1: both rank the encoders alike; 0: "
        "one says nothing about the other. In brackets the 95% interval for other encoders of this kind on these datasets, given "
        "from five encoders on."
    ]
    return grid(
        "Do few labels rank the encoders as many labels do?", headings, rows, notes, n_labels=1 + (len(found) > 1)
    )


def crossovers_grid(places: Sequence[Places]) -> Grid | None:
    """Tabulate the pairs of encoders that change their order along the curve; None if no pair does."""
    rows = []
    for one in places:
        for item in one.crossovers:
            first, second = one.upstreams[item.first], one.upstreams[item.second]
            early, late = item.surest
            rows.append(
                [
                    *([one.where] if len(places) > 1 else []),
                    first,
                    second,
                    f"{shots_words(one.shots[item.between[0]])} and {shots_words(one.shots[item.between[1]])}",
                    f"{_lead(one.differences[early], item.first, item.second)} ({shots_words(one.shots[early])})",
                    f"{_lead(one.differences[late], item.second, item.first)} ({shots_words(one.shots[late])})",
                    f"{item.p_holm:.3g}",
                    "more than chance" if item.p_holm < REAL else "within chance",
                ]
            )
    if not rows:
        return None
    headings = ["Dataset"] * (len(places) > 1) + [
        "Leads first",
        "Leads later",
        "change between shots",
        "first lead (shots)",
        "later lead (shots)",
        "p (Holm)",
        "verdict",
    ]
    notes = [
        f"Leads in points with 95% intervals of the paired difference for {places[0].about}, each at the number of labels per "
        "class in brackets, where the two leads are surest. The p-value is the larger one of both leads, after Holm over all "
        "pairs and numbers of labels of the dataset."
    ]
    return grid("Which encoders change places?", headings, rows, notes, n_labels=2 + (len(places) > 1))


def sentences_along(ranking: Ranking | None, places: Sequence[Places]) -> list[str]:
    """The findings along the curve, in sentences for the answer.

    Args:
      ranking: from `ranking_along`.
      places: from `places_along`; empty if the predictions were not read.

    Returns:
      one sentence or two; empty for one number of shots.
    """
    said = []
    if ranking is not None:
        few, one = next(iter(ranking.agreements.items()))
        interval = "" if np.isnan(one.low[-1]) else f" (95% interval {_range(one)} for other encoders of this kind)"
        over = f", on average over {len(ranking.datasets)} datasets" if len(ranking.datasets) > 1 else ""
        if np.isfinite(one.coefficient[-1]):
            said.append(
                f"The ranking with {_labels(few)} and the ranking with {_labels(ranking.most)} have a Spearman correlation of "
                f"{_signed(one.coefficient[-1])}{interval}{over}."
            )
    if places:
        said += _said_of_places(places[0])
    return said


def _said_of_places(one: Places) -> list[str]:
    real = [item for item in one.crossovers if item.p_holm < REAL]
    rest = len(one.crossovers) - len(real)
    if not one.crossovers:
        return []
    where = "on average" if one.where == AVERAGE else f"on {one.where}"
    if not real:
        what = "One pair of encoders changes" if rest == 1 else f"{rest} pairs of encoders change"
        ends = f"between {shots_words(one.shots[0])} and {_labels(one.shots[-1])}"
        return [f"{what} places {where} {ends}, none by more than chance."]
    parts = []
    for item in real[:_SHOWN]:
        early, late = (shots_words(one.shots[place]) for place in item.surest)
        parts.append(
            f"{one.upstreams[item.first]} leads {one.upstreams[item.second]} with {early} and is behind with {late}"
        )
    more = f", and {len(real) - _SHOWN} more pairs" if len(real) > _SHOWN else ""
    chance = f" ({rest} more within chance)" if rest else ""
    return [f"Encoders that change places {where} by more than chance: {'; '.join(parts)}{more}{chance}."]


def _places(
    where: str, names: Sequence[str], points: Mapping[float, Sequence[PoolCovariance]], pool: PoolKind
) -> Places:
    differences = tuple(compare(covariances, pool) for covariances in points.values())
    fixed = {pool == "clips" or one.classes is None for covariances in points.values() for one in covariances}
    about = in_words({"pool_ci95_classes_fixed" if own else "pool_ci95" for own in fixed})
    return Places(where, tuple(names), tuple(points), differences, tuple(crossovers(differences)), about)


def _first(board: Leaderboard, names: Sequence[str]) -> Leaderboard:
    """The leaderboard with some encoders on top, so that these are compared."""
    return reorder(
        board, [row for name in names for row in range(len(board.upstreams)) if board.upstreams[row] == name]
    )


def _compared(analysis: Analysis) -> list[str]:
    return [analysis.board.upstreams[row] for row in analysis.compared]


def _means(board: Leaderboard, names: Sequence[str], datasets: Sequence[str]) -> np.ndarray:
    rows = [board.upstreams.index(name) for name in names]
    columns = [board.datasets.index(name) for name in datasets]
    return board.mean[np.ix_(rows, columns)]


def _lead(difference: Differences, row: int, column: int) -> str:
    return f"{100 * difference.difference[row, column]:.2f} ± {100 * difference.half_width[row, column]:.2f}"


def _coefficient(one: Agreement, place: int) -> str:
    if np.isnan(one.coefficient[place]):
        return MISSING
    text = _signed(one.coefficient[place])
    return text if np.isnan(one.low[place]) else f"{text} ({_signed(one.low[place])} to {_signed(one.high[place])})"


def _range(one: Agreement) -> str:
    return f"{_signed(one.low[-1])} to {_signed(one.high[-1])}"


def _labels(shots: float) -> str:
    return "all labels" if np.isinf(shots) else f"{shots_words(shots)} label{'' if shots == 1 else 's'} per class"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
