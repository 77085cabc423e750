"""Few-shot accuracy against scores from elsewhere: regression panels and a heat map."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jfewshot.reporting.figures.style import BAND, COLORS, DIVERGING, ink_on, look, shorten
from jfewshot.statistics import Correlations, line_with_band


def regression_panels(
    score: Float[np.ndarray, " n_upstreams"],
    accuracy: Float[np.ndarray, "n_upstreams n_datasets"],
    datasets: Sequence[str],
    coefficient: Float[np.ndarray, " n_datasets"],
    rows: Sequence[Sequence[str]],
    score_name: str,
    symbol: str = "ρ",
    own: tuple[Float[np.ndarray, " n_own"], Float[np.ndarray, "n_own n_datasets"]] | None = None,
) -> Figure:
    """Draw accuracy against an outside score, a panel for each dataset.

    Each panel shows the least-squares line, its 95% band and the coefficient.

    Args:
      score: outside score of each upstream.
      accuracy: 0-1.
      datasets: names of the columns of `accuracy`.
      coefficient: coefficient of each dataset, written in the panel's corner.
      rows: names of the datasets in each row of panels.
      score_name: label of the horizontal axis.
      symbol: symbol of the coefficient: `ρ` for Spearman, `r` for Pearson.
      own: scores and accuracies of further upstreams, drawn as rings; lines and coefficients leave them out. NaN where unknown.

    Returns:
      the figure.
    """
    columns = max(len(row) for row in rows)
    with look():
        figure = Figure(figsize=(1.45 * columns + 0.3, 1.5 * len(rows) + 0.3))
        axes = figure.subplots(len(rows), columns, squeeze=False)
        at = np.linspace(score.min(), score.max(), 60)
        for line, names in enumerate(rows):
            for place in range(columns):
                axis = axes[line, place]
                if place >= len(names):
                    axis.set_visible(False)
                    continue
                number = list(datasets).index(names[place])
                y = 100 * accuracy[:, number]
                fit, band = line_with_band(score, y, at)
                color = BAND if line == 0 else COLORS[4]
                axis.fill_between(at, fit - band, fit + band, color=color, alpha=0.18, linewidth=0)
                axis.plot(at, fit, color=color)
                axis.plot(score, y, linestyle="none", marker="o" if line == 0 else "s", markersize=3, color="#222222")
                if own is not None:
                    rings = {"linestyle": "none", "marker": "o", "markersize": 5, "markerfacecolor": "none"}
                    axis.plot(own[0], 100 * own[1][:, number], color=COLORS[1], **rings)
                low, high = axis.get_ylim()
                axis.set_ylim(low, high + 0.17 * (high - low))  # room for the coefficient above the points
                text = f"{symbol} = {coefficient[number]:.2f}".replace("-", "−")
                axis.text(0.97, 0.98, text, transform=axis.transAxes, ha="right", va="top", fontsize=7.5)
                axis.set_title(shorten(names[place]), loc="left")
                axis.locator_params(axis="x", nbins=3)
                axis.locator_params(axis="y", nbins=4)
        figure.supxlabel(score_name, fontsize=8)
        figure.supylabel("few-shot accuracy (%)", fontsize=8)
    return figure


def correlation_heat_map(
    found: Correlations,
    tasks: Sequence[str],
    metrics: Sequence[str],
    groups: Mapping[str, Sequence[str]] | None = None,
    rule_before: int | None = None,
    symbol: str = "Spearman's ρ",
) -> Figure:
    """Coefficients of tasks (rows) and metrics (columns); bold where p is below 0.05 after Holm.

    Args:
      found: the coefficients.
      tasks: names of the rows.
      metrics: names of the columns.
      groups: names of groups of columns, in order, with their columns.
      rule_before: a row to draw a line before.
      symbol: name of the coefficient.

    Returns:
      the figure.
    """
    n_tasks, n_metrics = found.coefficient.shape
    with look():
        figure = Figure(figsize=(1.5 + 0.46 * n_metrics, 0.9 + 0.27 * n_tasks))
        axis = figure.subplots()
        picture = axis.imshow(found.coefficient, cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto")
        for t, m in np.ndindex(n_tasks, n_metrics):
            value = found.coefficient[t, m]
            if np.isnan(value):
                continue
            axis.text(
                m,
                t,
                f"{value:.2f}".replace("-", "−"),
                ha="center",
                va="center",
                fontsize=6.5,
                color=ink_on(picture.cmap(picture.norm(value))),
                fontweight="bold" if found.p_holm[t, m] < 0.05 else "normal",
            )
        axis.set_xticks(range(n_metrics), [shorten(name, 16) for name in metrics])
        axis.set_yticks(range(n_tasks), [shorten(name) for name in tasks])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        if n_metrics > 14:
            axis.tick_params(axis="x", rotation=60)
        start = 0
        for name, members in (groups or {}).items():
            center = start + (len(members) - 1) / 2
            axis.text(center, -0.75, name, ha="center", va="bottom", fontsize=7, fontstyle="italic")
            start += len(members)
            if start < n_metrics:
                axis.axvline(start - 0.5, color="white", linewidth=2.5)
        if rule_before is not None:
            axis.axhline(rule_before - 0.5, color="white", linewidth=2.5)
        bar = figure.colorbar(picture, ax=axis, shrink=0.8, pad=0.02)
        bar.set_label(symbol)
        bar.outline.set_visible(False)
    return figure
