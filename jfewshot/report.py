"""Results to tables, figures and one page: `python -m jfewshot.report RESULTS`.

`--paper` does it for the few-shot paper's published numbers, `--compare BEFORE AFTER` for two result folders.
"""

import contextlib
import dataclasses
import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jfewshot.commandline import run_cli
from jfewshot.errors import UserError
from jfewshot.printable import in_a_line, printable

if TYPE_CHECKING:
    import rich.console

    from jfewshot.options import ReportOptions
    from jfewshot.results import Results

_log = logging.getLogger("jfewshot.report")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and write the report; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.options import ReportOptions

    options = start(ReportOptions, arguments, "report")
    import rich.console

    console = rich.console.Console()
    if options.paper:
        return _paper(options, console)
    if options.paper_speech_simclr:
        return _paper_speech_simclr(options, console)
    if options.beside:
        raise UserError("--beside is used with --paper or --paper-speech-simclr: name one of them")
    if options.compare is not None:
        return _compare(options, console)
    return _report(options, console)


def _report(options: "ReportOptions", console: "rich.console.Console") -> int:
    import rich.text

    from jfewshot.commandline.progress import Progress
    from jfewshot.reporting.build import Choices, build_report
    from jfewshot.reporting.grid import to_rich
    from jfewshot.reporting.hub import check_dataset_id
    from jfewshot.reporting.outside import read_outside_table
    from jfewshot.reporting.printing import print_answer
    from jfewshot.reporting.series import across_grid
    from jfewshot.reporting.tables import rich_table

    if options.compare_at_most < 2:
        raise UserError(f"--compare-at-most is {options.compare_at_most}; pairs need at least 2")
    outside = None
    if options.correlate_with is not None:
        outside = read_outside_table(options.correlate_with, options.lower_is_better)
    with Progress("reading results"), _growing():
        results = _read(options.results, options.metric)
    choices = Choices(
        interval=options.interval,
        style=options.style,
        formats=options.formats,
        pool=options.pool,
        permutation=options.permutation,
        compare_at_most=options.compare_at_most,
        figures_at_most=options.figures_at_most,
        published=options.published,
        outside=outside,
        correlation=options.correlation,
        logit=options.logit,
        hub_dataset=None if options.hub_dataset is None else check_dataset_id(options.hub_dataset),
    )
    with Progress("building the page, tables and figures"):
        report = build_report(results, options.out, choices, options.title)
    print_answer(console, report.answer)
    if len(report.boards) == 1:
        table = rich_table(report.boards[0], console.width, options.style)
    else:
        table = to_rich(across_grid(report.series), console.width)
    console.print(table)
    console.print()
    if len(report.boards) > 1:
        # A path may hold what rich takes for markup.
        text = printable(f"The tables of all {len(report.boards)} conditions are in {options.out / 'tables'}.")
        console.print(rich.text.Text(text), soft_wrap=True)
    for problem in report.problems:
        _log.warning("not used: %s", problem)
    _log.info(
        "wrote %s, and tables, figures and exports in the same folder; next: open it in a browser",
        options.out / "index.html",
    )
    return 0


def _read(path: Path, metric: str) -> "Results":
    """A folder's results, whose accuracies are the metric that the user asks for."""
    from jfewshot.reporting.metrics import with_metric
    from jfewshot.results import read_results

    results = read_results(path)
    if not results.records:
        raise UserError(f"{path} has no record that can be read: {results.problems[0]}")
    return dataclasses.replace(results, records=tuple(with_metric(results.records, metric)))


@contextlib.contextmanager
def _growing() -> Iterator[None]:
    """Switches Python's search for garbage off while millions of objects are made, and spares these objects from then on.

    The search goes through all objects again and again: with 100,000 records it took a seventh of the report's time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _paper(options: "ReportOptions", console: "rich.console.Console") -> int:
    import rich.text

    from jfewshot.commandline.progress import Progress
    from jfewshot.reporting import paper
    from jfewshot.reporting.claims import thresholds
    from jfewshot.reporting.grid import to_rich
    from jfewshot.reporting.leaderboard import Leaderboard, leaderboards
    from jfewshot.reporting.outside import beside_published
    from jfewshot.reporting.paper_report import boards_beside_the_paper, build_paper_report
    from jfewshot.results import read_results

    own: list[Leaderboard] = []
    for folder in options.beside:
        with Progress("reading results"):
            results = read_results(folder)
        found = boards_beside_the_paper(leaderboards(results.records))
        own += found
        for problem in results.problems:
            _log.warning("not used: %s", problem)
        if not found:
            raise UserError(
                f"{folder} has no 5-way 1-shot result of an encoder and a dataset of the paper's Table 3; "
                "`jfewshot run --protocol paper` makes them"
            )
    with Progress("building the page, tables and figures"):
        claims = build_paper_report(options.out, options.formats, options.correlation, options.logit, own)
    console.print(to_rich(paper.table_3(own), console.width))
    console.print()
    for claim in claims:
        verdict = "[bold]holds[/]        " if claim.holds else "[bold]does not hold[/]"
        console.print(f"{verdict}  {claim.text}", soft_wrap=True)
        console.print(rich.text.Text(f"               {claim.found}", style="dim"), soft_wrap=True)
    for board in own:
        console.print()
        cells = beside_published(board)
        assert cells is not None
        console.print(to_rich(cells, console.width))
    for note in (*thresholds(), *paper.notes(options.correlation, options.logit)):
        console.print(rich.text.Text(note, style="dim"), soft_wrap=True)
    _log.info(
        "wrote %s, and tables and figures in the same folder; next: open it in a browser", options.out / "index.html"
    )
    return 0


def _paper_speech_simclr(options: "ReportOptions", console: "rich.console.Console") -> int:
    import rich.text

    from jfewshot.commandline.progress import Progress
    from jfewshot.reporting.grid import to_rich
    from jfewshot.reporting.speech_simclr import build_speech_simclr_report, notes, read_own_scores

    own = [score for folder in options.beside for score in read_own_scores(folder)]
    with Progress("building the page and tables"):
        tables = build_speech_simclr_report(options.out, own)
    for table in tables:
        console.print(to_rich(table, console.width))
        console.print()
    for note in notes()[1:]:
        console.print(rich.text.Text(note, style="dim"), soft_wrap=True)
    _log.info("wrote %s, and tables in the same folder; next: open it in a browser", options.out / "index.html")
    return 0


def _compare(options: "ReportOptions", console: "rich.console.Console") -> int:
    import rich.text

    from jfewshot.commandline.progress import Progress
    from jfewshot.reporting.compare import changes, compare_folders, moves_grid
    from jfewshot.reporting.document import Block, Document, Points, Prose, Section, TableBlock
    from jfewshot.reporting.grid import to_rich
    from jfewshot.reporting.page import html_page
    from jfewshot.reporting.writer import Writer

    assert options.compare is not None
    with Progress("reading and comparing results"):
        before, after = (_read(path, options.metric) for path in options.compare)
        found = compare_folders(before, after)
        table = moves_grid(found, f"{before.path} → {after.path}")
        sentences = changes(found, str(before.path), str(after.path))
    writer = Writer(options.out, options.formats)
    writer.table("compare", table)
    writer.text("answer.txt", "\n".join(sentences) + "\n")
    blocks: tuple[Block, ...] = (Points("", tuple(sentences)), TableBlock(table, sortable=True))
    problems = (*before.problems, *after.problems)
    sections = [Section("moves", "What moved", blocks)]
    if problems:
        sections.append(Section("problems", "Problems", (Prose(problems, warning=True),)))
    lead = "The same episodes, before and after."
    writer.text("index.html", html_page(Document(f"{before.path} → {after.path}", lead, tuple(sections))))
    for number, sentence in enumerate(sentences):
        console.print(rich.text.Text(in_a_line(sentence), style="bold" if number == 0 else ""))
    console.print()
    if table.rows:
        console.print(to_rich(table, console.width))
    for problem in problems:
        _log.warning("not used: %s", problem)
    _log.info("wrote %s; next: open it in a browser", options.out / "index.html")
    return 0


if __name__ == "__main__":
    run_cli(main)
