"""Figures that rank upstreams over many datasets: the critical-difference diagram, and wins against losses."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.figure import Figure

from jfewshot.reporting.figures.style import COLORS, DIVERGING, fitted, ink_on, look, room_for, shorten
from jfewshot.statistics import indistinguishable_groups


def critical_difference_diagram(
    average_rank: Float[np.ndarray, " n"], critical_difference: float, labels: Sequence[str], n_datasets: int
) -> Figure:
    """Draw average ranks on a line, best left; a bar joins upstreams that do not differ at 5% (Demšar 2006).

    Args:
      average_rank: average rank of each upstream; 1 is best.
      critical_difference: smallest significant difference of average ranks.
      labels: names of the upstreams.
      n_datasets: number of datasets, written beside the critical difference.

    Returns:
      the figure.
    """
    order = np.argsort(average_rank, kind="stable")
    n = len(order)
    half = -(-n // 2)
    groups = [
        (average_rank[list(g)].min(), average_rank[list(g)].max())
        for g in indistinguishable_groups(average_rank, critical_difference)
    ]
    with look():
        room = room_for(labels) + 0.4
        figure = Figure(figsize=(3.2 + 2 * room, 1.2 + 0.19 * half + 0.1 * len(groups)))
        axis = figure.subplots()
        low, high = 1, max(n, 2)
        span = high - low
        beside = span * (room + 0.2) / 2.8  # in ranks: the line of ranks is 2.8 inches long
        axis.set_xlim(low - beside, high + beside)
        top, step = 0.0, 1.0
        bars_height = 0.5 * len(groups) + 0.6
        axis.plot([low, high], [top, top], color="black", linewidth=1)
        for tick in range(low, high + 1) if span <= 20 else np.linspace(low, high, 11).round().astype(int):
            axis.plot([tick, tick], [top, top + 0.25], color="black", linewidth=0.8)
            axis.text(tick, top + 0.4, str(tick), ha="center", va="bottom", fontsize=7)
        axis.plot([low, low + critical_difference], [top + 2.0] * 2, color="black", linewidth=1.6)
        axis.text(low, top + 2.25, f"critical difference {critical_difference:.2f} ({n_datasets} datasets)", fontsize=7)
        for number, (first, last) in enumerate(groups):
            y = top - 0.45 - 0.5 * number
            axis.plot([first - 0.04, last + 0.04], [y, y], color=COLORS[0], linewidth=3.2, solid_capstyle="round")
        for place, i in enumerate(order):
            left = place < half
            line = place if left else n - 1 - place
            y = top - bars_height - step * (line + 0.3)
            edge = low - 0.05 * span if left else high + 0.05 * span
            axis.plot([average_rank[i], average_rank[i], edge], [top, y, y], color="#333333", linewidth=0.7)
            text = (
                f"{shorten(labels[i])}  {average_rank[i]:.2f}"
                if left
                else f"{average_rank[i]:.2f}  {shorten(labels[i])}"
            )
            axis.text(edge + (-0.01 if left else 0.01) * span, y, text, ha="right" if left else "left", va="center")
        axis.set_ylim(top - bars_height - step * (half + 0.2), top + 3.2)
        axis.axis("off")
        title = "Average ranks, 1 is the best; a bar joins upstreams that do not differ at 5%"
        figure.suptitle(fitted(title, figure), fontsize=8, x=0.01, ha="left")
    return figure


def wins_and_losses(counts: Integer[np.ndarray, "n n 3"], labels: Sequence[str]) -> Figure:
    """Wins - ties - losses of the row against the column, coloured by wins minus losses."""
    n = min(len(labels), 25)
    balance = (counts[:n, :n, 0] - counts[:n, :n, 2]).astype(float)
    most = max(int(counts.sum(axis=2).max()), 1)
    np.fill_diagonal(balance, np.nan)
    with look():
        room = room_for(labels[:n])
        figure = Figure(figsize=(0.6 + room + 0.45 * n, 0.8 + 0.71 * room + 0.3 * n))
        axis = figure.subplots()
        picture = axis.imshow(balance, cmap=DIVERGING, vmin=-most, vmax=most, aspect="auto")
        for i, j in np.ndindex(n, n):
            if i != j:
                text = "-".join(str(v) for v in counts[i, j])
                ink = ink_on(picture.cmap(picture.norm(balance[i, j])))
                axis.text(j, i, text, ha="center", va="center", fontsize=6.5, color=ink)
        axis.set_yticks(range(n), [shorten(label) for label in labels[:n]])
        axis.set_xticks(range(n), [shorten(label) for label in labels[:n]], rotation=45, ha="left")
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        title = "Wins-ties-losses over datasets, row against column; a win is p < 0.05 after Holm"
        figure.suptitle(fitted(title, figure), fontsize=8, x=0.01, ha="left")
    return figure
