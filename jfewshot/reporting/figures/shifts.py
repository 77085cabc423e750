"""Domain shift: accuracy with supports of the same domain as the queries, and of others, side by side."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jfewshot.reporting.figures.style import COLORS, GREY, fitted, look, room_for, shorten

_MOST_ROWS = 20


def shift_bars(
    panels: Sequence[str],
    upstreams: Sequence[Sequence[str]],
    mean: Sequence[Float[np.ndarray, "n_upstreams n_conditions"]],
    half_width: Sequence[Float[np.ndarray, "n_upstreams n_conditions"] | None],
    conditions: Sequence[Sequence[str]],
    chance: float,
    title: str,
) -> Figure:
    """Draw a panel for each dataset and column, with a group of bars for each upstream.

    Args:
      panels: titles of the panels.
      upstreams: names of the rows of each panel; the first 20 are drawn.
      mean: accuracy 0-1 of each panel.
      half_width: of its intervals; None where they are not known.
      conditions: names of the conditions of each panel.
      chance: accuracy of guessing, drawn as a line.
      title: above all panels.

    Returns:
      the figure.
    """
    rows = [min(len(names), _MOST_ROWS) for names in upstreams]
    with look():
        labels = [shorten(name) for names in upstreams for name in names[:_MOST_ROWS]]
        heights = [0.6 + 0.42 * n for n in rows]
        figure = Figure(figsize=(room_for(labels) + 4.6, sum(heights) + 0.5))
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for number, axis in enumerate(axes):
            n_conditions = mean[number].shape[1]
            size = 0.8 / n_conditions
            place = np.arange(rows[number])[::-1]
            for condition in range(n_conditions):
                at = place + 0.4 - size * (condition + 0.5)
                values = 100 * mean[number][: rows[number], condition]
                widths = half_width[number]
                error = None if widths is None else 100 * widths[: rows[number], condition]
                axis.barh(
                    at,
                    values,
                    height=size,
                    color=COLORS[(5, 1, 2, 3)[condition % 4]],
                    label=conditions[number][condition],
                    xerr=error,
                    error_kw={"elinewidth": 0.8, "capsize": 1.5},
                )
            axis.axvline(100 * chance, color=GREY, linewidth=0.8, linestyle=":")
            axis.set_yticks(place, [shorten(name) for name in upstreams[number][: rows[number]]])
            axis.set_xlim(0, 100)
            axis.set_title(fitted(panels[number], figure, 9.0), loc="left")
            axis.legend(title="supports of", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        axes[-1].set_xlabel("accuracy (%)")
        figure.suptitle(
            fitted(f"{title}; whiskers: 95% intervals; dotted: chance", figure), fontsize=8, x=0.01, ha="left"
        )
    return figure
