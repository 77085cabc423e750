"""What the reports of downstream tasks share: refusals, cells, learning curves, the page, and the tables on the console."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import rich.console
from jaxtyping import Float
from matplotlib.figure import Figure

from jfewshot.commandline.progress import Progress
from jfewshot.downstream.summaries import Difference
from jfewshot.errors import UserError
from jfewshot.reporting.document import Document, Prose, Section
from jfewshot.reporting.figures.style import line_style, look, shorten
from jfewshot.reporting.grid import MISSING, Grid, to_rich
from jfewshot.reporting.page import html_page
from jfewshot.reporting.writer import Writer

log = logging.getLogger(__name__)

# A reader could not distinguish more colours.
_MOST_CURVES = 10


def with_half_width(value: float, half: float) -> str:
    """A share (0-1) in percent, with the half-width of its interval if that is known."""
    return f"{100 * value:.1f}" if np.isnan(half) else f"{100 * value:.1f} ± {100 * half:.1f}"


def bounds(value: float, half: float) -> tuple[float | None, float | None]:
    """Lower and upper bound of an interval; None for both if the half-width is not known."""
    return (None, None) if np.isnan(half) else (value - half, value + half)


def signed(found: Difference) -> str:
    """A difference in percentage points, its half-widths over speakers / over seeds, and a star if 0 is outside both."""
    if np.isnan(found.value):
        return MISSING
    text = f"{100 * found.value:+.1f}".replace("-", "−")
    halves = [f"{100 * half:.1f}" for half in (found.over_speakers, found.over_seeds) if not np.isnan(half)]
    return " ".join([text, *(["±", " / ".join(halves)] if halves else []), *(["*"] if found.is_shown else [])])


PAIRED = (
    "Percentage points ± 95% over speakers / 95% over seeds, paired by speaker and by seed. * 0 is outside both: "
    "the difference holds for other such speakers, and for other such seeds."
)
"""Note below a table of differences that `signed` writes."""


def notes_on_seeds(n_seeds: Sequence[int]) -> list[str]:
    """A note that warns of few seeds, if any features have fewer than three; else nothing."""
    return ["Fewer than 3 seeds: the spread over seeds is hardly known."] if min(n_seeds) < 3 else []


def learning_curves(names: Sequence[str], curves: Sequence[Float[np.ndarray, "_ _ 2"]], measure: str) -> Figure:
    """Draw the development score and loss over epochs: the mean over seeds, and a band from the lowest to the highest seed.

    Args:
      names: name of each line; the first ten are drawn.
      curves: for each line, score (0-1) and loss by seed and epoch.
      measure: name of the score.

    Returns:
      the figure, with one panel for the score and one for the loss.
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
    """Refuse a baseline that is not among the finished features; None stands for no baseline.

    Raises:
      UserError: naming the baseline and the finished features.
    """
    names = list(dict.fromkeys(finished))
    if baseline is not None and baseline not in names:
        raise UserError(f"--baseline {baseline}: no finished features of that name; there are {', '.join(names)}")


def write_page(writer: Writer, title: str, lead: str, sections: Sequence[Section], problems: Sequence[str]) -> None:
    """Write `index.html`: first the problems, then the sections.

    Args:
      writer: writes below the report's folder.
      title: title of the page.
      lead: sentences below the title.
      sections: sections of the page, in order.
      problems: a sentence for everything that is incomplete.
    """
    first = [Section("problems", "Problems", (Prose(tuple(problems), warning=True),))] if problems else []
    writer.text("index.html", html_page(Document(title, lead, (*first, *sections))))


@runtime_checkable
class ReportSettings(Protocol):
    """The settings of an experiment that its report depends on; see the options of the same names."""

    @property
    def out(self) -> Path: ...

    @property
    def formats(self) -> Sequence[str]: ...

    @property
    def baseline(self) -> str | None: ...


def report_and_print(
    records: Sequence[dict[str, Any]], build: Callable[..., Sequence[Grid]], config: ReportSettings
) -> None:
    """Write the report of an experiment to its folder `report`, and print the report's tables.

    Args:
      records: the finished runs.
      build: `build_report` of the task: from records, folder, formats and baseline to the tables.
      config: settings of the experiment.

    Raises:
      UserError: if no run has finished, or as `build`.
    """
    if not records:
        raise UserError(f"{config.out} has no finished run to report")
    console = rich.console.Console()
    with Progress("building the page, tables and figures"):
        tables = build(records, config.out / "report", config.formats, config.baseline)
    for table in tables:
        console.print(to_rich(table, console.width))
        console.print()
    log.info(
        "wrote %s, and tables and figures in the same folder; next: open it in a browser",
        config.out / "report" / "index.html",
    )
