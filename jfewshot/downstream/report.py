"""What the reports of downstream tasks share: refusals, cells, learning curves, the page, and the tables on the console."""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich.console
from jaxtyping import Float
from matplotlib.figure import Figure

from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.reporting.document import Document, Prose, Section
from jfewshot.reporting.figures.style import line_style, look, shorten
from jfewshot.reporting.grid import MISSING, Grid, to_rich
from jfewshot.reporting.page import html_page
from jfewshot.reporting.writer import Writer

log = logging.getLogger(__name__)

# More would not be told apart.
_MOST_CURVES = 10


@dataclasses.dataclass(frozen=True)
class Difference:
    """A difference of two scores.

    Attributes:
      value: mean over the seeds that both have.
      over_speakers: 95% half-width over speakers, these seeds (of encoder and head) given.
      over_seeds: 95% half-width over seeds, these speakers given; NaN for one seed.
    """

    value: float
    over_speakers: float
    over_seeds: float

    @property
    def is_shown(self) -> bool:
        """Whether 0 is outside both intervals."""
        return abs(self.value) > self.over_speakers and abs(self.value) > self.over_seeds


def with_half_width(value: float, half: float) -> str:
    """A share (0-1) in percent, with the half-width of its interval if that is known."""
    return f"{100 * value:.1f}" if np.isnan(half) else f"{100 * value:.1f} ± {100 * half:.1f}"


def signed(found: Difference) -> str:
    """A difference in percentage points with its half-widths over speakers / over seeds, and a star where 0 is outside both."""
    if np.isnan(found.value):
        return MISSING
    text = f"{100 * found.value:+.1f}".replace("-", "−")
    halves = [f"{100 * half:.1f}" for half in (found.over_speakers, found.over_seeds) if not np.isnan(half)]
    return " ".join([text, *(["±", " / ".join(halves)] if halves else []), *(["*"] if found.is_shown else [])])


def learning_curves(names: Sequence[str], curves: Sequence[Float[np.ndarray, "_ _ 2"]], measure: str) -> Figure:
    """Draw the development score and loss over epochs: the mean over seeds, and a band that reaches over the seeds.

    Args:
      names: name of each line; the first ten are drawn.
      curves: for each line, score (0-1) and loss by seed and epoch.
      measure: name of the score.

    Returns:
      the figure, with a panel for each of the two.
    """
    with look():
        figure = Figure(figsize=(6.8, 2.6))
        for place, axis in enumerate(figure.subplots(1, 2)):
            for number, (name, curve) in enumerate(list(zip(names, curves, strict=True))[:_MOST_CURVES]):
                values = curve[:, :, place] * (1 if place else 100)
                epochs = np.arange(1, values.shape[1] + 1)
                style: dict[str, Any] = line_style(number) | {"marker": ""}
                axis.plot(epochs, values.mean(axis=0), label=shorten(name), **style)
                axis.fill_between(
                    epochs, values.min(axis=0), values.max(axis=0), color=style["color"], alpha=0.15, lw=0
                )
            axis.set_xlabel("epochs")
            axis.set_ylabel("development loss" if place else f"development {measure} (%)")
        figure.legend(*axis.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def refuse_nothing_finished(summaries: Sequence[Any]) -> None:
    """Refuse to report before any features have run all folds of a seed.

    Raises:
      UserError: if there are no summaries.
    """
    if not summaries:
        raise UserError("no features have run all folds of a seed yet: run the same command again to continue")


def refuse_unknown_baseline(baseline: str | None, finished: Iterable[str]) -> None:
    """Refuse a baseline that is not among the finished features; None is no baseline.

    Raises:
      UserError: naming the baseline and the finished features.
    """
    names = list(dict.fromkeys(finished))
    if baseline is not None and baseline not in names:
        raise UserError(f"--baseline {baseline}: no finished features of that name; there are {', '.join(names)}")


def write_page(writer: Writer, title: str, lead: str, sections: Sequence[Section], problems: Sequence[str]) -> None:
    """Write `index.html`: what is incomplete comes first, then the sections.

    Args:
      writer: writes below the report's folder.
      title: title of the page.
      lead: sentences below the title.
      sections: sections of the page, in order.
      problems: a sentence for everything that is incomplete.
    """
    first = [Section("problems", "Problems", (Prose(tuple(problems), warning=True),))] if problems else []
    writer.text("index.html", html_page(Document(title, lead, (*first, *sections))))


def report_and_print(build: Callable[[Path], list[Grid]], out: Path) -> None:
    """Write the report of an experiment, and print its tables.

    Args:
      build: writes the report to a folder and returns its tables.
      out: folder of the experiment; the report goes to its folder `report`.
    """
    console = rich.console.Console()
    with Progress("building the page, tables and figures"):
        tables = build(out / "report")
    for table in tables:
        console.print(to_rich(table, console.width))
        console.print()
    log.info(
        "wrote %s, and tables and figures in the same folder; next: open it in a browser",
        out / "report" / "index.html",
    )
