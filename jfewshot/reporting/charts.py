"""Plotly charts for the page: what responds to the pointer. Scatter and bar only, the kinds of its basic bundle."""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jfewshot.printable import in_a_line
from jfewshot.reporting.document import Chart
from jfewshot.reporting.figures.style import COLORS, line_numbers
from jfewshot.reporting.trends import Trend
from jfewshot.statistics import Correlations, line_with_band

_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon", "x", "star")
_MOST_PANELS = 12
_SHARE = ": %{y:.1f}% of episodes at %{x:.1f}%<extra></extra>"


def trend_chart(trend: Trend, interval: str, upstreams: Sequence[str] = ()) -> Chart:
    """Chart the curves of every dataset side by side.

    Args:
      trend: panels and curves.
      interval: name of the interval, for the hover text.
      upstreams: all labels of the report, so that each keeps its colour and marker.

    Returns:
      the chart.
    """
    panels = trend.panels[:_MOST_PANELS]
    number_of = line_numbers([*upstreams, *(curve.label for panel in panels for curve in panel.curves)])
    data: list[dict[str, Any]] = []
    for number, panel in enumerate(panels):
        title = _as_text(panel.title)
        for curve in panel.curves:
            name = _as_text(curve.label)
            place = number_of[curve.label]
            widths = [0.0 if math.isnan(width) else 100 * width for width in curve.half_width]
            texts = [
                f"{name} on {title}<br>{trend.ticks[x]}: {100 * mean:.2f} ± {width:.2f} ({interval})"
                for x, mean, width in zip(curve.x, curve.mean, widths, strict=True)
            ]
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": name,
                    "legendgroup": curve.label,
                    "showlegend": not any(d["name"] == name for d in data),
                    "x": list(curve.x),
                    "y": [100 * mean for mean in curve.mean],
                    "error_y": {"type": "data", "array": widths, "thickness": 1, "width": 3},
                    "line": {"color": _color(place)},
                    "marker": {"symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 7},
                    "hovertext": texts,
                    "hoverinfo": "text",
                    **_axes(number),
                }
            )
    axis = {"tickvals": list(trend.ticks), "ticktext": list(trend.ticks.values())}
    axis |= {"type": "log"} if trend.log else {}
    layout = _panels(
        [_as_text(panel.title) for panel in panels], {**axis, "title": {"text": trend.x_label}}, "accuracy (%)"
    )
    return Chart(data, layout, f"Accuracy over {trend.name}, a panel per dataset. {trend.title}.")


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
    layout = _panels(titles, {"title": {"text": outside}, "nticks": 4}, "accuracy (%)")
    alt = f"Few-shot accuracy over {score_name}, a panel per dataset: regression line, its 95% band, rank correlation."
    return Chart(data, layout, alt)


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
    """A name for Plotly, which reads some HTML in its texts."""
    return html.escape(in_a_line(name), quote=False)


def _color(place: int) -> str:
    # Black would vanish on the dark page.
    color = COLORS[place % len(COLORS)]
    return "#8c8c8c" if color == "#000000" else color


def _axes(number: int) -> dict[str, str]:
    return {} if number == 0 else {"xaxis": f"x{number + 1}", "yaxis": f"y{number + 1}"}


def _panels(titles: Sequence[str], x_axis: dict, y_title: str) -> dict:
    columns = min(len(titles), 3)
    lines = -(-len(titles) // columns)
    layout: dict = {
        "grid": {"rows": lines, "columns": columns, "pattern": "independent", "xgap": 0.16, "ygap": 0.32},
        "height": 160 + 230 * lines,
        "annotations": [],
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        "margin": {"l": 60, "r": 20, "t": 30, "b": 100},
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
    return layout
