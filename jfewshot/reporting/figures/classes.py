"""Figures of one dataset: which classes are hard, which classes are confused, and the distribution of accuracy over
episodes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.figure import Figure

from jfewshot.reporting.figures.style import (
    SEQUENTIAL,
    fitted,
    ink_on,
    line_numbers,
    line_style,
    look,
    room_for,
    shorten,
)

MOST_CLASSES = 40


@dataclasses.dataclass(frozen=True)
class ConfusionLabels:
    """The labels of a confusion matrix: what its rows, columns and numbers are."""

    true: str = "class of the query"
    predicted: str = "given to"
    share: str = "% of queries, where both classes are in the episode"


def confusion_matrix(
    confusion: Float[np.ndarray, "n n"],
    names: Sequence[str],
    title: str,
    labels: ConfusionLabels = ConfusionLabels(),
) -> Figure:
    """Draw the share of each class's queries (row) that was assigned to each class (column).

    Shares are over the episodes that hold both classes. Only the 40 classes with the lowest accuracy are drawn.

    Args:
      confusion: shares 0-1; NaN where no episode holds both classes.
      names: names of the classes.
      title: title of the figure.
      labels: labels of the axes and of the colour bar.

    Returns:
      the figure.
    """
    keep = np.argsort(np.diag(confusion), kind="stable")[:MOST_CLASSES]
    keep = np.sort(keep)
    n = len(keep)
    with look():
        ticks = [shorten(names[i]) for i in keep]
        room = room_for(ticks)
        side = max(0.17, 0.3 - 0.005 * n) * n
        figure = Figure(figsize=(side + room + 1.6, side + 0.87 * room + 1.0))
        axis = figure.subplots()
        picture = axis.imshow(100 * confusion[np.ix_(keep, keep)], cmap=SEQUENTIAL, vmin=0, vmax=100, aspect="equal")
        if n <= 14:
            for i, j in np.ndindex(n, n):
                value = confusion[keep[i], keep[j]]
                if not np.isnan(value):
                    ink = ink_on(picture.cmap(picture.norm(100 * value)))
                    axis.text(j, i, f"{100 * value:.0f}", ha="center", va="center", fontsize=6, color=ink)
        axis.set_xticks(range(n), ticks, rotation=60, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(n), ticks)
        axis.tick_params(length=0)
        axis.set_xlabel(labels.predicted)
        axis.set_ylabel(labels.true)
        figure.suptitle(fitted(title, figure), fontsize=8, x=0.01, ha="left")
        bar = figure.colorbar(picture, ax=axis, shrink=0.7, pad=0.02)
        bar.set_label(labels.share)
        bar.outline.set_visible(False)
    return figure


def hardest_classes(
    accuracy: Float[np.ndarray, "n_upstreams n_classes"],
    names: Sequence[str],
    upstreams: Sequence[str],
    title: str,
    all_upstreams: Sequence[str] = (),
) -> Figure:
    """Draw the accuracy of the 20 hardest classes for 8 upstreams; the class that is hardest on average is on top.

    Args:
      accuracy: 0-1.
      names: names of the classes.
      upstreams: names of the rows.
      title: title of the figure.
      all_upstreams: all labels of the report, so that each keeps its colour and marker.

    Returns:
      the figure.
    """
    number_of = line_numbers([*all_upstreams, *upstreams])
    order = np.argsort(accuracy.mean(axis=0), kind="stable")[:20]
    with look():
        room = room_for([names[i] for i in order]) + room_for(upstreams[:8])
        figure = Figure(figsize=(3.6 + room, max(0.9 + 0.21 * len(order), 0.9 + 0.19 * len(upstreams[:8]))))
        axis = figure.subplots()
        place = np.arange(len(order))[::-1]
        axis.hlines(place, 0, 100, color="#dddddd", linewidth=0.5, zorder=0)
        for number, upstream in enumerate(upstreams[:8]):
            style = line_style(number_of[upstream])
            axis.plot(
                100 * accuracy[number, order],
                place,
                linestyle="none",
                marker=style["marker"],
                color=style["color"],
                label=shorten(upstream),
            )
        axis.set_yticks(place, [shorten(names[i]) for i in order])
        axis.set_xlim(0, 100)
        axis.set_xlabel("accuracy of the class's own queries (%)")
        figure.suptitle(fitted(f"Hardest classes of {title}", figure), fontsize=8, x=0.01, ha="left")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def episode_histograms(
    counts: Sequence[Integer[np.ndarray, "..."]],
    upstreams: Sequence[Sequence[str]],
    datasets: Sequence[str],
    all_upstreams: Sequence[str] = (),
) -> Figure:
    """Draw the distribution of accuracy over episodes, one panel for each dataset.

    Args:
      counts: for each dataset, episodes of each upstream (row) by number of correct queries; the first 8 upstreams are
        drawn.
      upstreams: for each dataset, the names of the rows.
      datasets: titles of the panels; the first 12 are drawn.
      all_upstreams: all labels of the report, so that each keeps its colour.

    Returns:
      the figure.
    """
    n_panels = min(len(datasets), 12)
    columns = min(n_panels, 3)
    lines = -(-n_panels // columns)
    number_of = line_numbers([*all_upstreams, *(name for names in upstreams for name in names[:8])])
    with look():
        width = 2.5 if n_panels > 1 else 3.8
        shown = [name for names in upstreams for name in names[:8]]
        figure = Figure(figsize=(width * columns + 0.6 + room_for(shown), 1.9 * max(lines, width / 2.5) + 0.4))
        axes = figure.subplots(lines, columns, squeeze=False)
        handles: dict[str, Any] = {}
        for number, axis in enumerate(axes.ravel()):
            if number >= n_panels:
                axis.set_visible(False)
                continue
            x = 100 * np.arange(counts[number].shape[1]) / (counts[number].shape[1] - 1)
            for row, name in zip(counts[number], upstreams[number][:8], strict=False):
                style = line_style(number_of[name])
                share = 100 * row / row.sum()
                (line,) = axis.step(x, share, where="mid", color=style["color"], linestyle=style["linestyle"])
                handles.setdefault(name, line)
            axis.set_title(fitted(datasets[number], figure, 9.0, share=1 / (columns + 1)), loc="left")
            axis.set_ylim(bottom=0)
            if number % columns == 0:
                axis.set_ylabel("% of episodes")
            if number + columns >= n_panels:
                axis.set_xlabel("accuracy of an episode (%)")
        figure.suptitle("How accuracy spreads over episodes", fontsize=8, x=0.01, ha="left")
        figure.legend(
            list(handles.values()), [shorten(name) for name in handles], loc="outside right center", frameon=False
        )
    return figure
