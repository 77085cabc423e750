"""Draws the rows: episodes per second of jfewshot and of its competitors, on a logarithmic axis."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite.rows import ON_DISK
from benchmarks.suite.table import question_of
from jfewshot.files import atomic_write

_COLOURS = {"ours": "#0b6e4f", "theirs": "#8d99ae"}
_PANELS = 6  # at most this many panels, so that the figure stays readable


def draw_figure(results: Sequence[dict[str, Any]], machine: dict[str, Any], path: Path) -> None:
    """Draw the questions with the most competitors, for small and for large stores. Each panel shows all competitors.

    Args:
      results: measured rows. If no row has a competitor, nothing is drawn.
      machine: the machine's description, for the caption.
      path: the PNG file to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    by_question: dict[Any, list[dict[str, Any]]] = {}
    for row in results:
        if "ratio" in row:
            by_question.setdefault(question_of(row), []).append(row)
    chosen = _panels(by_question)
    if not chosen:
        return
    heights = [1 + len(by_question[question]) for question in chosen]
    figure, axes = pyplot.subplots(
        len(chosen), 1, figsize=(8.5, 0.28 * sum(heights) + 0.75 * len(chosen) + 0.6), squeeze=False, sharex=True,
        gridspec_kw={"height_ratios": heights},
    )  # fmt: skip
    for question, axis in zip(chosen, axes[:, 0], strict=True):
        rows = sorted(by_question[question], key=lambda row: float(np.median(row["theirs"])))
        ours = [rate for row in rows for rate in row["ours"]]
        names = [row["competitor"] for row in rows] + ["jfewshot"]
        rates = [row["theirs"] for row in rows] + [ours]
        for place, (name, values) in enumerate(zip(names, rates, strict=True)):
            middle = float(np.median(values))
            axis.barh(place, middle, color=_COLOURS["ours" if name == "jfewshot" else "theirs"], height=0.75)
            axis.plot([min(values), max(values)], [place, place], color="black", linewidth=1)
            axis.text(1.15 * max(values), place, f"{middle:,.0f}", va="center", fontsize=7.5)
        where = "read from disk" if question.segments >= ON_DISK else "in memory"
        axis.set_title(
            f"{question.classifier}, {question.episode}, {question.segments:,} x {question.dim} {where}, "
            f"{question.n_episodes:,} per call",
            fontsize=9,
            loc="left",
        )
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.set_xscale("log")
        axis.margins(x=0.12)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    axes[-1, 0].set_xlabel(
        "episodes per second with drawing (logarithmic; median, line: smallest to largest round)", fontsize=8
    )
    caption = f"{machine['cores']} cores of {machine['processor']}, {machine['device']}, {machine['date']}"
    figure.suptitle(caption, fontsize=8, x=0.01, ha="left")
    figure.subplots_adjust(hspace=0.6)
    with atomic_write(path) as file:
        # The saved figure grows to fit long names and numbers, which a fixed width would cut off.
        figure.savefig(file, dpi=130, format="png", bbox_inches="tight")
    pyplot.close(figure)


def _panels(by_question: dict[Any, list[dict[str, Any]]]) -> list[Any]:
    """The questions that get a panel, in the order of the results.

    Each size of store in turn contributes its question with the most competitors.
    """
    by_store: dict[int, list[Any]] = {}
    for question in sorted(by_question, key=lambda question: -len(by_question[question])):
        by_store.setdefault(question.segments, []).append(question)
    in_turn = [x for place in itertools.zip_longest(*by_store.values()) for x in place if x is not None]
    return [question for question in by_question if question in in_turn[:_PANELS]]
