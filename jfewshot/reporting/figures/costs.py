"""Accuracy against parameters, operations and clips per second, with the Pareto front of each."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from jfewshot.reporting.figures.style import GREY, fitted, line_numbers, line_style, look, shorten

_LEAST = 0.1  # the linear part of an axis with zeros ends here


class CostPanel(NamedTuple):
    """One panel.

    Attributes:
      label: of the axis of the cost.
      values: cost of each encoder; NaN where unknown.
      is_rate: whether more is better.
      front: encoders on the front.
    """

    label: str
    values: Float[np.ndarray, " n"]
    is_rate: bool
    front: Bool[np.ndarray, " n"]


def cost_panels(
    accuracy: Float[np.ndarray, " n"],
    panels: Sequence[CostPanel],
    upstreams: Sequence[str],
    all_upstreams: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw accuracy against each cost, a panel for each, with a staircase through the encoders on the front.

    Args:
      accuracy: 0-1; NaN where unknown.
      panels: the costs.
      upstreams: names of the encoders.
      all_upstreams: all labels of the report, so that each keeps its colour and marker.
      title: of the figure.

    Returns:
      the figure.
    """
    number_of = line_numbers([*all_upstreams, *upstreams])
    rows = -(-len(upstreams) // 4)
    with look():
        figure = Figure(figsize=(2.3 * max(len(panels), 2), 2.5 + 0.16 * rows))
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        handles = {}
        for axis, panel in zip(axes, panels, strict=True):
            known = ~(np.isnan(accuracy) | np.isnan(panel.values))
            _front(axis, accuracy, panel)
            for at in np.flatnonzero(known).tolist():
                style = line_style(number_of[upstreams[at]]) | {"linestyle": "none"}
                (handles[upstreams[at]],) = axis.plot(panel.values[at], 100 * accuracy[at], markersize=5.5, **style)
            positive = panel.values[known & (panel.values > 0)]
            if (panel.values[known] == 0).any() and len(positive):
                axis.set_xscale("symlog", linthresh=_LEAST)
                axis.set_xlim(-_LEAST / 4, 2 * positive.max())
                ticks = [0, *(10.0**n for n in range(-1, int(np.ceil(np.log10(positive.max()))) + 1))]
                axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                axis.minorticks_off()
            elif len(positive):
                axis.set_xscale("log")
                low, high = positive.min() / 2, 2 * positive.max()
                axis.set_xlim(low, high)
                decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
                steps = (1, 2, 5) if len(decades) < 4 else (1,)
                ticks = [m * 10.0**n for n in decades for m in steps if low <= m * 10.0**n <= high]
                axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                axis.minorticks_off()
            axis.set_xlabel(f"{panel.label} {'(more is better)' if panel.is_rate else '(less is better)'}")
        axes[0].set_ylabel("accuracy (%)")
        figure.suptitle(fitted(title, figure), fontsize=8, x=0.01, ha="left")
        shown = [name for name in upstreams if name in handles]
        figure.legend(
            [handles[name] for name in shown],
            [shorten(name, 30) for name in shown],
            loc="outside lower center",
            ncols=4,
            frameon=False,
        )
    return figure


def _front(axis, accuracy: np.ndarray, panel: CostPanel) -> None:
    """A staircase: the accuracy that can be had at each cost."""
    at = np.flatnonzero(panel.front)
    at = at[np.argsort(panel.values[at])]
    if len(at) > 1:
        where = "steps-pre" if panel.is_rate else "steps-post"
        axis.plot(panel.values[at], 100 * accuracy[at], drawstyle=where, color=GREY, linewidth=1, zorder=0)
