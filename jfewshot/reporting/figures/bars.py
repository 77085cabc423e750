"""Bars: accuracy with intervals, and speed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from jfewshot.reporting.figures.style import COLORS, GREY, fitted, look, room_for, shorten

_MOST_ROWS, _MOST_PANELS = 20, 12


def accuracy_bars(
    mean: Float[np.ndarray, "n_upstreams n_datasets"],
    half_widths: dict[str, Float[np.ndarray, "n_upstreams n_datasets"]],
    upstreams: Sequence[str],
    datasets: Sequence[str],
    chance: float,
    title: str = "",
    measure: str = "accuracy",
) -> Figure:
    """Draw one panel for each dataset with one bar for each upstream.

    Whiskers are intervals: a thick whisker for the first interval, a thin one for the second.

    Args:
      mean: accuracy 0-1; NaN where missing.
      half_widths: half-widths of one or two intervals by the interval's name; NaN where unknown.
      upstreams: names of the rows, best first; the first 20 are drawn.
      datasets: names of the columns; the first 12 are drawn.
      chance: accuracy of guessing, drawn as a line.
      title: title above all panels.
      measure: what the bars show.

    Returns:
      the figure.
    """
    n_rows, n_panels = min(len(upstreams), _MOST_ROWS), min(len(datasets), _MOST_PANELS)
    columns = min(n_panels, 4)
    lines = -(-n_panels // columns)
    with look():
        labels = [shorten(name) for name in upstreams[:n_rows]]
        panel = 1.75 if n_panels > 1 else 3.4
        height = (0.7 + max(0.17 * n_rows, 0.5)) * lines + 0.5
        figure = Figure(figsize=(0.4 + room_for(labels) + panel * columns, height))
        axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
        place = np.arange(n_rows)[::-1]
        for panel, axis in enumerate(axes.ravel()):
            if panel >= n_panels:
                axis.set_visible(False)
                continue
            values = 100 * np.nan_to_num(mean[:n_rows, panel])
            axis.barh(place, values, height=0.72, color=COLORS[5], edgecolor="none")
            for number, width in enumerate(half_widths.values()):
                error = 100 * np.nan_to_num(width[:n_rows, panel])
                thick = number == 0
                axis.errorbar(
                    values,
                    place,
                    xerr=error,
                    fmt="none",
                    ecolor="#000000" if thick else GREY,
                    elinewidth=2.2 if thick and len(half_widths) > 1 else 0.8,
                    capsize=0 if thick and len(half_widths) > 1 else 2,
                    zorder=3 if thick else 2,
                )
            for row in np.flatnonzero(np.isnan(mean[:n_rows, panel])):
                axis.text(1, place[row], "not evaluated", va="center", fontsize=6, color=GREY)
            axis.axvline(100 * chance, color=GREY, linewidth=0.8, linestyle=":")
            axis.set_title(fitted(datasets[panel], figure, 9.0, share=1 / columns), loc="left")
            axis.set_xlim(0, 100)
            axis.set_yticks(place, labels)
            if panel + columns >= n_panels:
                axis.set_xlabel(f"{measure} (%)")
        said = f"{measure[:1].upper()}{measure[1:]} and {_whiskers(half_widths)}; dotted: chance"
        figure.suptitle(fitted(f"{said}. {title}" if title else said, figure), fontsize=8, x=0.01, ha="left")
    return figure


def _whiskers(half_widths: dict[str, Float[np.ndarray, "n_upstreams n_datasets"]]) -> str:
    names = list(half_widths)
    if len(names) < 2:
        return f"95% interval ({names[0]})" if names else "no interval"
    return f"95% intervals (thick: {names[0]}, thin: {', '.join(names[1:])})"


def speed_bars(episodes_per_s: Sequence[float], labels: Sequence[str]) -> Figure:
    """Episodes per second, on a logarithmic axis."""
    order = np.argsort(episodes_per_s)[-_MOST_ROWS:]
    with look():
        names = [shorten(labels[i]) for i in order]
        figure = Figure(figsize=(room_for(names) + 3.2, 0.9 + 0.2 * len(order)))
        axis = figure.subplots()
        values = np.asarray(episodes_per_s, dtype=float)[order]
        axis.barh(np.arange(len(order)), values, height=0.7, color=COLORS[2])
        for place, value in enumerate(values):
            axis.text(value, place, f" {value:,.0f}", va="center", fontsize=7)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlim(max(values.min() / 3, 1e-3), values.max() * 4)
        axis.set_yticks(np.arange(len(order)), names)
        axis.set_xlabel("episodes per second")
        title = "Speed: median over cells, without compilation"
        figure.suptitle(fitted(title, figure), fontsize=8, x=0.01, ha="left")
    return figure
