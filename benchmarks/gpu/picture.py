"""Shows the rows as a short table of text, and as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.files import atomic_write

_COLOURS = {"jfewshot": "#0b6e4f"}
_OTHER = "#8d99ae"
_MOST_BARS = 60


def rate(row: dict[str, Any], *kinds: str) -> float | None:
    """The median rate of the first of these kinds that the row has; None if it has none of them."""
    rates = row.get("rates", {})
    for kind in kinds:
        if rates.get(kind):
            return float(np.median(rates[kind]))
    return None


def name(row: dict[str, Any]) -> str:
    """A short description of a row."""
    words = [row.get("classifier"), row.get("episode"), row.get("store")]
    if row.get("episodes"):
        words.append(f"{row['episodes']:,} per call")
    if row.get("block") or row.get("asked_block"):
        words.append(f"blocks of {row.get('block') or row['asked_block']:,}")
    return ", ".join(str(word) for word in words if word)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A table with a line for each row, and one line for all rows of the check of predictions."""
    lines = [f"{'part':<17} {'side':<34} {'call/s':>11} {'solve/s':>11} {'draw/s':>11}  what"]
    lines += [line for line in [check_line(rows)] if line]
    for row in rows:
        if row["part"] == "check" and "failed" not in row:
            continue
        start = f"{row['part']:<17} {row.get('side', ''):<34} "
        if "failed" in row:
            lines.append(start + f"FAILED {name(row)}: {row['failed'][:120]}")
        elif "limits" in row:
            lines.append(start + ", ".join(f"{key} {value:.3g}/s" for key, value in row["limits"].items()))
        else:
            numbers = (rate(row, "call", "steps"), rate(row, "solve", "kernel"), rate(row, "draw"))
            cells = " ".join(f"{'' if x is None else _number(x):>11}" for x in numbers)
            lines.append(start + cells + "  " + name(row))
    return "\n".join(lines) + "\n"


def check_line(rows: Sequence[dict[str, Any]]) -> str | None:
    """A line with the number of predictions that differ from the CPU's; None if none were compared."""
    found = [row for row in rows if row["part"] == "check" and "predictions" in row]
    if not found:
        return None
    total = {key: sum(row[key] for row in found) for key in ("predictions", "different_clear", "different_near_ties")}
    draws = sum(not row["same_draws"] for row in found)
    choices = sum(row.get("different_choices", 0) for row in found)
    verdict = "PASSED" if not total["different_clear"] and not draws else "FAILED"
    return (
        f"check {verdict}: {len(found)} problems, {total['predictions']:,} predictions; {total['different_clear']} clear ones "
        f"differ, {total['different_near_ties']} near-ties differ; the draws of {draws} problems differ; {choices} episodes "
        "chose another strength"
    )


def _number(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def _short(x: float | None) -> str:
    """A rate with three digits, such as 1.23 M or 45.6 k."""
    if x is None:
        return ""
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if x >= size:
            return f"{x / size:.3g}{unit}"
    return f"{x:.3g}"


def draw_figure(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Draw the rates as bars on a logarithmic axis, with a panel for each part. Without any rate, no file is written."""
    shown = [row for row in rows if rate(row, "call", "steps", "solve", "kernel")][:_MOST_BARS]
    if not shown:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    parts = list(dict.fromkeys(row["part"] for row in shown))
    by_part = [[row for row in shown if row["part"] == part] for part in parts]
    heights = [len(group) + 1 for group in by_part]
    figure, axes = pyplot.subplots(
        len(parts), 1, figsize=(11, 0.24 * sum(heights) + 0.3 * len(parts) + 0.8), squeeze=False, sharex=True,
        gridspec_kw={"height_ratios": heights}, layout="constrained",
    )  # fmt: skip
    for part, group, axis in zip(parts, by_part, axes[:, 0], strict=True):
        values = [rate(row, "call", "steps", "solve", "kernel") for row in group]
        axis.barh(range(len(group)), values, color=[_COLOURS.get(row["side"], _OTHER) for row in group])
        solving = [(at, value) for at, row in enumerate(group) if (value := rate(row, "solve"))]
        axis.plot([value for _, value in solving], [at for at, _ in solving], "k|", markersize=9)
        axis.set_yticks(range(len(group)), [f"{row['side']}: {name(row)}" for row in group], fontsize=7)
        axis.set_xscale("log")
        for at, (row, value) in enumerate(zip(group, values, strict=True)):
            end = max(value or 0.0, rate(row, "solve") or 0.0)  # right of both the bar and the tick
            axis.annotate(f"  {_short(value)}", (end, at), fontsize=7, va="center")
        axis.invert_yaxis()
        axis.set_title(part, fontsize=8, loc="left")
        axis.tick_params(axis="x", labelsize=7)
    largest = max(value for row in shown if (value := rate(row, "call", "steps", "solve", "kernel")))
    axes[-1, 0].set_xlim(right=6 * largest)
    label = "episodes (or steps) per second; bar: drawing included for jfewshot, solving alone for torch; tick: solving alone"
    axes[-1, 0].set_xlabel(label, fontsize=8)
    figure.suptitle(title, fontsize=9)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=110)
    pyplot.close(figure)
