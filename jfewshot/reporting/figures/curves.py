"""Accuracy over shots, ways or layers, with bands."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jfewshot.reporting.figures.style import (
    GREY,
    fitted,
    line_numbers,
    line_style,
    look,
    plain_logarithmic,
    room_for,
    shorten,
)

_MOST_LINES = 16


@dataclasses.dataclass(frozen=True)
class Curve:
    """One line; of the lines of a panel the best is first.

    Attributes:
      label: name of the line.
      x: places on the axis.
      mean: accuracies 0-1.
      half_width: half-widths of the light band; NaN for none.
      inner: half-widths of a darker band inside the light one, for the episodes alone; empty for none.
    """

    label: str
    x: tuple[float, ...]
    mean: tuple[float, ...]
    half_width: tuple[float, ...]
    inner: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Panel:
    """The curves of one dataset."""

    title: str
    curves: tuple[Curve, ...]


def curve_panels(
    panels: Sequence[Panel],
    x_label: str,
    ticks: dict[float, str] | None = None,
    log: bool = False,
    upstreams: Sequence[str] = (),
    chance: float | None = None,
    title: str = "",
) -> Figure:
    """Draw curves, one panel for each dataset.

    Args:
      panels: panels in order; the first 24 are drawn, with their first 16 curves.
      x_label: label of the horizontal axis.
      ticks: names of places on the horizontal axis; None for numbers.
      log: whether equal factors are equal distances, as for shots 1, 5 and 20.
      upstreams: all labels of the report, so that each keeps its colour; empty to take the labels of these panels.
      chance: accuracy of guessing, drawn as a dotted line; None for none.
      title: what is equal for all curves.

    Returns:
      the figure.
    """
    panels = panels[:24]
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    order = list(dict.fromkeys(curve.label for panel in panels for curve in panel.curves))[:_MOST_LINES]
    number_of = line_numbers([*upstreams, *(curve.label for panel in panels for curve in panel.curves)])
    with look():
        panel = 2.35 if len(panels) > 1 else 3.6
        figure = Figure(figsize=(panel * columns + 0.7 + room_for(order), 1.9 * max(lines, panel / 2.35) + 0.5))
        axes = figure.subplots(lines, columns, squeeze=False, sharex=True)
        for number, axis in enumerate(axes.ravel()):
            if number >= len(panels):
                axis.set_visible(False)
                continue
            for curve in panels[number].curves:
                if curve.label not in order:
                    continue
                style = line_style(number_of[curve.label])
                x, mean, width = (np.asarray(v, dtype=float) for v in (curve.x, curve.mean, curve.half_width))
                for half, alpha in ((width, 0.13), (np.asarray(curve.inner, dtype=float), 0.35)):
                    if len(half):
                        low, high = 100 * (mean - half), 100 * (mean + half)
                        axis.fill_between(x, low, high, color=style["color"], alpha=alpha, lw=0)
                axis.plot(x, 100 * mean, label=shorten(curve.label), **style)
            if chance is not None:
                axis.axhline(100 * chance, color=GREY, linewidth=0.8, linestyle=":")
            axis.set_title(fitted(panels[number].title, figure, 9.0, share=1 / (columns + 1)), loc="left")
            if log:
                axis.set_xscale("log")
                plain_logarithmic(axis.xaxis)
            if ticks:
                axis.set_xticks(list(ticks), list(ticks.values()))
                axis.set_xticks([], minor=True)
            if number % columns == 0:
                axis.set_ylabel("accuracy (%)")
            if number + columns >= len(panels):
                axis.set_xlabel(x_label)
                axis.tick_params(labelbottom=True)
        handles: dict[str, Any] = {}
        for axis in axes.ravel():
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(list(handles.values()), list(handles), loc="outside right center", frameon=False)
        if title:
            figure.suptitle(fitted(f"Few-shot accuracy. {title}", figure), fontsize=8, x=0.01, ha="left")
    return figure
