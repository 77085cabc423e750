"""What the reports of emotion and speech recognition share: refusals, the page, and the tables on the console."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import rich.console

from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.reporting.document import Document, Prose, Section
from jfewshot.reporting.grid import Grid, to_rich
from jfewshot.reporting.page import html_page
from jfewshot.reporting.writer import Writer

log = logging.getLogger(__name__)


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
