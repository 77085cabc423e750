"""Labels per class that an accuracy needs, in sentences and tables: from a series' curve, or extrapolated from it."""

from collections.abc import Sequence

import numpy as np

from jfewshot.reporting.grid import MISSING, Grid, grid
from jfewshot.reporting.series import Series, average_interval, chance_of, interval_of, shots_of
from jfewshot.reporting.trends import EPISODES
from jfewshot.statistics import FARTHEST, Needed, labels_beyond, labels_needed
from jfewshot.statistics.intervals import Z95

TARGETS = (0.8, 0.9, 0.95)
_OF_EACH_DATASET = 0.9


def needed_labels(series: Series, name: str, dataset: str | None = None) -> tuple[Needed, ...]:
    """Labels per class that one upstream needs for each target.

    Args:
      series: the leaderboards over shots.
      name: of the upstream.
      dataset: which dataset's curve; None for the average over the datasets, or the only dataset.

    Returns:
      an answer for each of `TARGETS`: from the curve if the curve reaches the target, else extrapolated if the curve
      has enough points. Empty for a single number of shots.
    """
    shots, means, widths, errors = [], [], [], []
    own = dict.fromkeys((name for board in series.boards for name in board.datasets), EPISODES)
    for board in series.boards:
        if np.isinf(shots_of(board)):
            continue  # the number of "all labels" differs between datasets
        if name not in board.upstreams or (dataset is not None and dataset not in board.datasets):
            continue
        row = board.upstreams.index(name)
        if dataset is None:
            mean = board.average[row]
            width, error = average_interval(board, series.intervals)[row], average_interval(board, own)[row]
        else:
            column = board.datasets.index(dataset)
            mean = board.mean[row, column]
            width, error = interval_of(board, series.intervals)[row, column], interval_of(board, own)[row, column]
        if np.isfinite(mean):
            shots.append(int(shots_of(board)))
            means.append(float(mean))
            widths.append(float(width))
            errors.append(float(error) / Z95)
    if len(shots) < 2:
        return ()
    mean, width, error = np.array(means), np.array(widths), np.array(errors)
    read = labels_needed(shots, mean, width, TARGETS)
    beyond = [one.target for one in read if one.labels is None]
    above_chance = mean[-1] - (0.0 if np.isnan(width[-1]) else width[-1]) > chance_of(series.main)
    # The interval also includes the error from episodes, which is independent for each point of the curve.
    shared = 0.0 if np.isnan(width[-1]) else float(np.sqrt(max((width[-1] / Z95) ** 2 - error[-1] ** 2, 0.0)))
    found = labels_beyond(shots, mean, error, beyond, shared) if beyond and above_chance else None
    extrapolated = {one.target: one for one in found or ()}
    return tuple(extrapolated.get(one.target, one) for one in read)


def needed_words(one: Needed, shots: Sequence[int] | Sequence[float]) -> str:
    """`5 (3 to more than 20)`, `about 45 (30 to 120), extrapolated`, or `not reached with 20`.

    Args:
      one: the answer for one target.
      shots: evaluated numbers of shots, ascending; all labels do not count.
    """
    last = max(int(number) for number in shots if np.isfinite(number))
    most = f"more than {FARTHEST * last if one.extrapolated else last}"
    if one.labels is None and one.low is None:
        return f"{most}, extrapolated" if one.extrapolated else f"not reached with {last}"
    middle = most if one.labels is None else str(one.labels)
    about = "about " if one.extrapolated and one.labels is not None else ""
    after = ", extrapolated" if one.extrapolated else ""
    if one.low is None:
        return f"{about}{middle}{after}"
    high = most if one.high is None else str(one.high)
    return (
        f"{about}{middle}{after}" if str(one.low) == middle == high else f"{about}{middle} ({one.low} to {high}){after}"
    )


def needed_grid(series: Series) -> Grid | None:
    """Labels per class of every upstream for each target; None for a single number of shots."""
    rows = []
    for name in series.main.upstreams:
        needed = needed_labels(series, name)
        if needed:
            rows.append([name, *(needed_words(one, series.shots) for one in needed)])
    if not rows:
        return None
    headings = ["Upstream", *(f"{100 * target:.0f}%" for target in TARGETS)]
    return grid("Labels per class for an accuracy", headings, rows, _notes(series))


def needed_grid_of_datasets(series: Series) -> Grid | None:
    """Labels per class of every upstream for 90% on each dataset; None for one dataset, or one number of shots."""
    datasets = series.main.datasets
    if len(datasets) < 2:
        return None
    rows = []
    for name in series.main.upstreams:
        texts = []
        for dataset in datasets:
            needed = [one for one in needed_labels(series, name, dataset) if one.target == _OF_EACH_DATASET]
            texts.append(needed_words(needed[0], series.shots) if needed else MISSING)
        rows.append([name, *texts])
    if all(text == MISSING for row in rows for text in row[1:]):
        return None
    title = f"Labels per class for {100 * _OF_EACH_DATASET:.0f}% on each dataset"
    return grid(title, ["Upstream", *datasets], rows, _notes(series))


def _notes(series: Series) -> list[str]:
    return [
        "The fewest labels per class at which the accuracy over shots reaches the target, between evaluated numbers of shots on "
        f"a logarithmic axis. In brackets, where the edges of the 95% interval for {series.about} reach it. A number beyond the "
        f"last evaluated one is extrapolated, up to {FARTHEST} times as many, by a law that is fitted to five points or more; "
        "its interval is a 90% one."
    ]
