"""Compare contributions: a standing for each track and family of tasks, and tables of it."""

from collections.abc import Iterator, Sequence

import numpy as np

from jfewshot.reporting.grid import Grid, TableEntry, grid
from jfewshot.reporting.leaderboard import best_and_second
from jfewshot.suite.contribution import ALL_TRACKS, Contribution, dataset_values, tasks_of
from jfewshot.suite.definition import Suite
from jfewshot.suite.scores import LEAST_DATASETS, SCORE_DECIMALS, Standing, standing

ALL_FAMILIES = "all"


def track_names(suite: Suite) -> tuple[str, ...]:
    """All tracks together, and then each track; one track alone where there is only one.

    Args:
      suite: which tracks there are.
    """
    names = tuple(track.name for track in suite.tracks)
    return (ALL_TRACKS, *names) if len(names) > 1 else names


def track_title(suite: Suite, track: str) -> str:
    """The title of a track in headings.

    Args:
      suite: which tracks there are.
      track: its name, or `all`.
    """
    return "All tracks" if track == ALL_TRACKS else suite.track(track).title


def family_names(suite: Suite) -> tuple[str, ...]:
    """All families together, and then each; `all` alone where there is only one.

    Args:
      suite: which families there are.
    """
    return (ALL_FAMILIES, *suite.families) if len(suite.families) > 1 else (ALL_FAMILIES,)


def standing_of(
    suite: Suite, contributions: Sequence[Contribution], track: str, family: str = ALL_FAMILIES
) -> Standing:
    """Rank encoders under one track, or under all, on the datasets of one family, or on all.

    Args:
      suite: tasks and anchors.
      contributions: complete ones, at least one.
      track: name of the track, or `all`.
      family: a family of datasets, or `all`.

    Returns:
      the standing; columns are the titles of the datasets.
    """
    datasets = [one for one in suite.datasets if family in (ALL_FAMILIES, one.family)]
    shape = len(contributions), len(datasets)
    accuracy, half_width, score = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for row, one in enumerate(contributions):
        of_tasks = {name: task.accuracy for name, task in one.tasks.items()}
        for column, dataset in enumerate(datasets):
            accuracy[row, column], score[row, column] = dataset_values(suite, of_tasks, dataset.name, track)
            widths = np.array([one.tasks[task.name].ci95 for task in tasks_of(suite, dataset.name, track)])
            # Tracks share episodes, so their errors may be correlated; the mean half-width is an upper limit for that
            # of their mean.
            half_width[row, column] = widths.mean()
    return standing(
        [encoder_title(one) for one in contributions], [one.title for one in datasets], accuracy, half_width, score
    )


def encoder_title(contribution: Contribution) -> str:
    """The title of an encoder in tables, and its name if that differs.

    Args:
      contribution: of the encoder.
    """
    name, title = contribution.encoder.name, contribution.encoder.title
    return name if not title or title == name else f"{title} ({name})"


def standing_grid(title: str, one: Standing) -> Grid:
    """A standing as a table: accuracies in percent, average, rank and score.

    Args:
      title: one line above the table.
      one: the standing.

    Returns:
      the table, with a note on its intervals.
    """
    columns = ("Encoder", *one.datasets, "Avg", "Avg Rank", "Score")
    marks = [
        *(best_and_second(one.accuracy[:, column]) for column in range(len(one.datasets))),
        best_and_second(one.average),
        best_and_second(one.rank, largest=False, scale=1.0),
        best_and_second(one.total, decimals=SCORE_DECIMALS, scale=1.0),
    ]
    rows = []
    for row, name in enumerate(one.encoders):
        texts = [
            *(percent(mean, width) for mean, width in zip(one.accuracy[row], one.half_width[row], strict=True)),
            percent(one.average[row], one.average_half_width[row]),
            f"{one.rank[row]:.2f}",
            f"{one.total[row]:.{SCORE_DECIMALS}f}",
        ]
        entries = [TableEntry(text, mark[row]) for text, mark in zip(texts, marks, strict=True)]
        rows.append([TableEntry(name), *entries])
    notes = [
        "Accuracy in percent, mean ± 95% interval over episodes.",
        "Score: 0 is chance and 1000 the upper anchor of the suite.",
    ]
    if one.over_datasets is not None:
        lines = [
            f"{name} {low:.0f} to {high:.0f}"
            for name, (low, high) in zip(one.encoders, one.over_datasets["total"], strict=True)
        ]
        notes.append(f"95% interval of the score over datasets: {'; '.join(lines)}.")
    return grid(title, columns, rows, notes)


def left_out_grid(one: Standing) -> Grid | None:
    """Scores with each dataset left out in turn; None for a single dataset.

    Args:
      one: the standing.

    Returns:
      the table, an encoder a row.
    """
    if one.without is None:
        return None
    columns = ("Encoder", *(f"without {name}" for name in one.datasets), "all")
    marks = [best_and_second(row, decimals=SCORE_DECIMALS, scale=1.0) for row in (*one.without, one.total)]
    rows = []
    for number, name in enumerate(one.encoders):
        values = [*one.without[:, number], one.total[number]]
        entries = [
            TableEntry(f"{value:.{SCORE_DECIMALS}f}", mark[number]) for value, mark in zip(values, marks, strict=True)
        ]
        rows.append([TableEntry(name), *entries])
    few = len(one.datasets) < LEAST_DATASETS
    notes = [one.hinge]
    if few:
        notes.append(f"No interval over datasets is given for fewer than {LEAST_DATASETS} datasets.")
    return grid("Score with one dataset left out", columns, rows, notes)


def run_grids(suite: Suite, contributions: Sequence[Contribution]) -> Iterator[Grid]:
    """The tables that a run prints: one for each track, and last the scores with a dataset left out.

    Args:
      suite: tasks and anchors.
      contributions: complete ones, at least one.
    """
    names = track_names(suite)
    for track in (*names[1:], *names[:1]):
        last = standing_of(suite, contributions, track)
        yield standing_grid(f"{suite.title}, version {suite.version}: {track_title(suite, track)}", last)
    left_out = left_out_grid(last)
    if left_out is not None:
        yield left_out


def percent(mean: float, half_width: float) -> str:
    """A mean with its half-width, both in percent.

    Args:
      mean: 0-1.
      half_width: 0-1.
    """
    return f"{100 * mean:.2f} ± {100 * half_width:.2f}"
