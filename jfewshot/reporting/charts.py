"""Interactive Plotly charts for the page; only scatter and bar charts, which Plotly's basic bundle has."""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jfewshot.printable import in_a_line
from jfewshot.reporting.document import Chart
from jfewshot.reporting.figures.style import COLORS, GREY, line_numbers
from jfewshot.reporting.trends import Trend
from jfewshot.statistics import Correlations, line_with_band

_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon", "x", "star")
_MOST_PANELS = 12
_MOST_BARS = 40
_SHARE = ": %{y:.1f}% of episodes at %{x:.1f}%<extra></extra>"


def trend_chart(trend: Trend, interval: str, upstreams: Sequence[str] = (), chance: float | None = None) -> Chart:
    """Chart the curves of every dataset side by side, with bands.

    Args:
      trend: panels and curves.
      interval: name of the interval, for the hover text.
      upstreams: all labels of the report, so that each keeps its colour and marker.
      chance: accuracy of guessing, drawn as a dotted line; None for none.

    Returns:
      the chart.
    """
    panels = trend.panels[:_MOST_PANELS]
    number_of = line_numbers([*upstreams, *(curve.label for panel in panels for curve in panel.curves)])
    data: list[dict[str, Any]] = []
    named: set[str] = set()
    for number, panel in enumerate(panels):
        title = _as_text(panel.title)
        for curve in panel.curves:
            name = _as_text(curve.label)
            place = number_of[curve.label]
            widths = [0.0 if math.isnan(width) else 100 * width for width in curve.half_width]
            texts = [
                f"{name} on {title}<br>{trend.ticks[x]}: {100 * mean:.2f} ± {width:.2f} ({interval})"
                + (f"<br>± {100 * curve.inner[point]:.2f} for new episodes of these clips" if curve.inner else "")
                for point, (x, mean, width) in enumerate(zip(curve.x, curve.mean, widths, strict=True))
            ]
            shared = {"type": "scatter", "legendgroup": curve.label, **_axes(number)}
            means = [round(100 * mean, 2) for mean in curve.mean]
            inner = [0.0 if math.isnan(width) else 100 * width for width in curve.inner]
            for half, opacity in ((widths, 0.12), (inner, 0.3)):
                if any(half):
                    data.append({**shared, **_band(curve.x, means, half, place, opacity)})
            data.append(
                {
                    **shared,
                    "mode": "lines+markers",
                    "name": name,
                    "showlegend": name not in named,
                    "x": list(curve.x),
                    "y": means,
                    "line": {"color": _color(place)},
                    "marker": {"symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 7},
                    "hovertext": texts,
                    "hoverinfo": "text",
                }
            )
            named.add(name)
    axis = {"tickvals": list(trend.ticks), "ticktext": list(trend.ticks.values())}
    axis |= {"type": "log"} if trend.log else {}
    titles = [_as_text(panel.title) for panel in panels]
    x_axis = {**axis, "title": {"text": trend.x_label}}
    wide, narrow = (_panels(titles, x_axis, "accuracy (%)", columns, chance, len(named)) for columns in (3, 1))
    said = " The dotted line is chance." if chance is not None else ""
    return Chart(data, wide, f"Accuracy over {trend.name}, a panel per dataset. {trend.title}.{said}", narrow)


def _band(
    x: Sequence[float], means: Sequence[float], widths: Sequence[float], place: int, opacity: float
) -> dict[str, Any]:
    """A closed outline around a curve: forward along the lower edge, and back along the upper edge."""
    lower = [round(mean - width, 2) for mean, width in zip(means, widths, strict=True)]
    upper = [round(mean + width, 2) for mean, width in zip(means, widths, strict=True)]
    red, green, blue = (int(_color(place)[i : i + 2], 16) for i in (1, 3, 5))
    return {
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},{opacity})",
        "hoverinfo": "skip",
        "showlegend": False,
        "x": [*x, *reversed(x)],
        "y": [*lower, *reversed(upper)],
    }


def ranking_chart(
    mean: Float[np.ndarray, " n"],
    half_width: Float[np.ndarray, " n"],
    upstreams: Sequence[str],
    title: str,
    interval: str,
    chance: float,
) -> Chart:
    """Chart the accuracy of every upstream under one condition, the best on top.

    Args:
      mean: accuracies 0-1; NaN if unknown.
      half_width: half-widths of their intervals; NaN if unknown.
      upstreams: names of the upstreams, best first; the first 40 are shown.
      title: title of the chart.
      interval: the kind of new sample that the intervals are for, as text.
      chance: accuracy of guessing.

    Returns:
      the chart.
    """
    rows = [row for row in range(len(upstreams)) if not math.isnan(mean[row])][:_MOST_BARS][::-1]
    widths = [0.0 if math.isnan(half_width[row]) else round(100 * half_width[row], 2) for row in rows]
    names = [_as_text(upstreams[row]) for row in rows]
    means = [round(100 * mean[row], 2) for row in rows]
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": means,
        "error_x": {"type": "data", "array": widths, "thickness": 1.4, "width": 3},
        "marker": {"color": COLORS[0]},
        "hovertext": [f"{n}<br>{m:.2f} ± {w:.2f}" for n, m, w in zip(names, means, widths, strict=True)],
        "hoverinfo": "text",
    }
    line = {"type": "line", "x0": 100 * chance, "x1": 100 * chance, "y0": 0, "y1": 1, "yref": "paper"}
    layout = {
        "height": 110 + 26 * len(rows),
        "xaxis": {"title": {"text": "accuracy (%)"}, "range": [0, 100]},
        "yaxis": {"automargin": True, "type": "category"},
        "shapes": [{**line, "line": {"dash": "dot", "width": 1.2, "color": GREY}}],
    }
    alt = f"Accuracy of every upstream, {title}, with the 95% interval for {interval}. The dotted line is chance."
    return Chart([bars], layout, alt)


def regression_chart(
    score: Float[np.ndarray, " n_upstreams"],
    accuracy: Float[np.ndarray, "n_upstreams n_datasets"],
    upstreams: Sequence[str],
    datasets: Sequence[str],
    found: Correlations,
    score_name: str,
) -> Chart:
    """Chart the accuracy against an outside score, a panel for each dataset; hovering over a point names the upstream.

    Args:
      score: outside score of each upstream; NaN where unknown.
      accuracy: 0-1; NaN where unknown.
      upstreams: names of the upstreams.
      datasets: names of the datasets.
      found: correlation of each dataset's accuracy (row) with the score (column 0).
      score_name: label of the horizontal axis.

    Returns:
      the chart.
    """
    data: list[dict[str, Any]] = []
    titles, outside = [], _as_text(score_name)
    for number, dataset in enumerate(datasets[:_MOST_PANELS]):
        known = ~np.isnan(score) & ~np.isnan(accuracy[:, number])
        x, y = score[known], 100 * accuracy[known, number]
        coefficient = found.coefficient[number, 0]
        titles.append(
            f"{_as_text(dataset)}: {coefficient:.2f} [{found.low[number, 0]:.2f}, {found.high[number, 0]:.2f}]"
        )
        if len(x) > 2 and np.ptp(x) > 0:
            at = np.linspace(x.min(), x.max(), 30)
            line, band = line_with_band(x, y, at)
            shade = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "type": "scatter"}
            data.append({**shade, "x": at.tolist(), "y": (line - band).tolist(), **_axes(number)})
            fill = {"fill": "tonexty", "fillcolor": "rgba(0,114,178,0.18)"}
            data.append({**shade, **fill, "x": at.tolist(), "y": (line + band).tolist(), **_axes(number)})
            fit = {
                "type": "scatter",
                "mode": "lines",
                "line": {"color": COLORS[0]},
                "hoverinfo": "skip",
                "showlegend": False,
            }
            data.append({**fit, "x": at.tolist(), "y": line.tolist(), **_axes(number)})
        names = [name for name, has in zip(upstreams, known, strict=True) if has]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "showlegend": False,
                "x": x.tolist(),
                "y": y.tolist(),
                "marker": {"color": COLORS[4], "size": 7},
                "hovertext": [
                    f"{_as_text(n)}<br>{outside} {a:.4g}<br>{b:.2f}%" for n, a, b in zip(names, x, y, strict=True)
                ],
                "hoverinfo": "text",
                **_axes(number),
            }
        )
    x_axis = {"title": {"text": outside}, "nticks": 4}
    wide, narrow = (_panels(titles, x_axis, "accuracy (%)", columns) for columns in (3, 1))
    alt = f"Few-shot accuracy over {score_name}, a panel per dataset: regression line, its 95% band, rank correlation."
    return Chart(data, wide, alt, narrow)


def histogram_chart(
    counts: np.ndarray, upstreams: Sequence[str], dataset: str, all_upstreams: Sequence[str] = ()
) -> Chart:
    """Chart how the accuracy spreads over the episodes of one dataset.

    Args:
      counts: episodes of each upstream (row) by number of correct queries (column).
      upstreams: names of the rows.
      dataset: name of the dataset.
      all_upstreams: all labels of the report, so that each keeps its colour.

    Returns:
      the chart.
    """
    number_of = line_numbers([*all_upstreams, *upstreams])
    n_bins = counts.shape[1]
    x = [100 * i / (n_bins - 1) for i in range(n_bins)]
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "line": {"shape": "hvh", "color": _color(number_of[upstream])},
            "name": _as_text(upstream),
            "x": x,
            "y": (100 * row / row.sum()).round(3).tolist(),
            "hovertemplate": _as_text(upstream).replace("%{", "%&#123;") + _SHARE,
        }
        for upstream, row in zip(upstreams, counts, strict=True)
    ]
    layout = {
        "height": 320,
        "xaxis": {"title": {"text": "accuracy of an episode (%)"}},
        "yaxis": {"title": {"text": "% of episodes"}, "rangemode": "tozero"},
        "legend": {"orientation": "h", "y": -0.3},
    }
    return Chart(data, layout, f"How the accuracy of single episodes spreads on {dataset}.")


def _as_text(name: str) -> str:
    """A name for Plotly, with HTML escaped, since Plotly interprets some HTML."""
    return html.escape(in_a_line(name), quote=False)


def _color(place: int) -> str:
    # Black would be invisible on the dark page.
    color = COLORS[place % len(COLORS)]
    return "#8c8c8c" if color == "#000000" else color


def _axes(number: int) -> dict[str, str]:
    return {} if number == 0 else {"xaxis": f"x{number + 1}", "yaxis": f"y{number + 1}"}


def _panels(
    titles: Sequence[str], x_axis: dict, y_title: str, most_columns: int, chance: float | None = None, n_legend: int = 0
) -> dict:
    """Lay out panels in rows and columns, with `n_legend` entries of a legend below them."""
    columns = min(len(titles), most_columns)
    lines = -(-len(titles) // columns)
    panel = 330 if len(titles) == 1 else 230
    legend = 22 * -(-n_legend // (5 if most_columns > 1 else 2))
    height = 110 + panel * lines + legend
    layout: dict = {
        "grid": {"rows": lines, "columns": columns, "pattern": "independent", "xgap": 0.16, "ygap": 0.32},
        "height": height,
        "annotations": [],
        "shapes": [],
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        "margin": {"l": 60, "r": 20, "t": 30, "b": 60 + legend},
    }
    for number, title in enumerate(titles):
        suffix = "" if number == 0 else str(number + 1)
        last = number + columns >= len(titles)
        layout[f"xaxis{suffix}"] = {**x_axis, **({} if last else {"title": {"text": ""}})}
        layout[f"yaxis{suffix}"] = {"title": {"text": y_title if number % columns == 0 else ""}}
        layout["annotations"].append(
            {
                "text": title,
                "xref": f"x{suffix} domain",
                "yref": f"y{suffix} domain",
                "x": 0,
                "y": 1.0,
                "yanchor": "bottom",
                "xanchor": "left",
                "showarrow": False,
                "font": {"size": 12},
            }
        )
        if chance is not None:
            level = {"type": "line", "xref": f"x{suffix} domain", "x0": 0, "x1": 1, "yref": f"y{suffix}"}
            line = {"dash": "dot", "width": 1.2, "color": GREY}
            layout["shapes"].append({**level, "y0": round(100 * chance, 2), "y1": round(100 * chance, 2), "line": line})
    return layout
