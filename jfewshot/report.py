"""Results to tables, figures and one page: `python -m jfewshot.report RESULTS`.

`--paper` does it for the few-shot paper's published numbers, `--compare BEFORE AFTER` for two result folders.
"""

import dataclasses
import logging
from pathlib import Path
from typing import Annotated, Literal

import rich.console
import rich.logging
import rich.text
import tyro

from jfewshot.commandline import run_cli
from jfewshot.errors import UserError
from jfewshot.reporting.grid import to_rich
from jfewshot.results import read_results

_log = logging.getLogger("jfewshot.report")


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """Turn result records into tables, figures, exports and one HTML page that opens without a network.

    Everything is recomputed from the records, their kept predictions and the drawn clips. `report/index.html` is the page;
    `tables/`, `figures/` and `exports/` beside it hold the same for papers, pull requests and programs.
    """

    results: Annotated[Path, tyro.conf.Positional] = Path("results")
    """A folder that `python -m jfewshot.run` filled."""
    out: Path = Path("report")
    """Where to write."""
    interval: Literal["both", "ci95", "pool_ci95", "pool_ci95_classes_fixed"] = "both"
    """Beside every mean: `ci95` as the papers report it (these clips only), `pool_ci95` for other classes and clips,
    `pool_ci95_classes_fixed` for other clips of these classes; `both` shows the first two."""
    style: Literal["published", "dense"] = "published"
    """Tables as the papers print them, or with one decimal."""
    formats: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")
    """Formats of the figures."""
    pool: Literal["classes", "clips"] = "classes"
    """Paired differences ask whether they would hold for other classes with other clips, or for other clips only."""
    permutation: bool = False
    """p-values of average differences by sign-flip permutation over classes, rather than by Student's t."""
    compare_at_most: int = 12
    """Compare this many of the best upstreams in pairs."""
    figures_at_most: int = 2
    """Draw figures for this many of the fullest leaderboards."""
    published: bool = True
    """Put the published Table 3 and SUPERB's scores beside results of the same upstreams and datasets."""
    correlate_with: Path | None = None
    """A CSV of scores from elsewhere: upstream names in the first column, a metric in each other."""
    lower_is_better: tuple[str, ...] = ()
    """Columns of that CSV that are error rates."""
    correlation: Literal["spearman", "pearson"] = "spearman"
    """Coefficient for scores from elsewhere."""
    logit: bool = False
    """Correlate the logits of accuracies, and of scores that lie between 0 and 1."""
    title: str = "Few-shot evaluation of frozen audio encoders"
    """Heading of the page."""
    paper: bool = False
    """Report the few-shot paper's published numbers instead: its tables and figures, and each claim of its text, checked."""
    compare: tuple[Path, Path] | None = None
    """Two result folders, BEFORE AFTER: what moved, by how much, is it real."""


def main() -> int:
    """The command line."""
    options = tyro.cli(ReportOptions, prog="python -m jfewshot.report")
    console = rich.console.Console()
    logging.basicConfig(format="%(message)s", handlers=[_handler()])
    logging.getLogger("jfewshot").setLevel(logging.INFO)  # ours only: matplotlib and fontTools have much to say
    if options.paper:
        return _paper(options, console)
    if options.compare is not None:
        return _compare(options, console)
    return _report(options, console)


def _handler() -> logging.Handler:
    # Plain lines where the output is not a terminal.
    console = rich.console.Console(stderr=True)
    if console.is_terminal:
        return rich.logging.RichHandler(console=console, show_time=False, show_path=False)
    return logging.StreamHandler()


def _report(options: ReportOptions, console: rich.console.Console) -> int:
    from jfewshot.reporting.build import Choices, build_report
    from jfewshot.reporting.outside import read_outside_table
    from jfewshot.reporting.tables import rich_table

    if options.compare_at_most < 2:
        raise UserError(f"--compare-at-most is {options.compare_at_most}; pairs need at least 2")
    outside = None
    if options.correlate_with is not None:
        outside = read_outside_table(options.correlate_with, options.lower_is_better)
    results = read_results(options.results)
    if not results.records:
        raise UserError(f"{options.results} has no record that can be read: {results.problems[0]}")
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
    )
    boards, problems = build_report(results, options.out, choices, options.title)
    for board in boards[:5]:
        console.print(rich_table(board, console.width, options.style))
        console.print()
    if len(boards) > 5:
        console.print(f"... and {len(boards) - 5} more conditions in {options.out / 'tables'}")
    for problem in problems:
        _log.warning("not used: %s", problem)
    console.print(f"wrote {options.out / 'index.html'}, and tables, figures and exports beside it", soft_wrap=True)
    return 0


def _paper(options: ReportOptions, console: rich.console.Console) -> int:
    from jfewshot.reporting import paper
    from jfewshot.reporting.paper_report import build_paper_report

    claims = build_paper_report(options.out, options.formats)
    console.print(to_rich(paper.table_3(), console.width))
    console.print()
    for claim in claims:
        verdict = "[bold]holds[/]        " if claim.holds else "[bold]does not hold[/]"
        console.print(f"{verdict}  {claim.text}", soft_wrap=True)
        console.print(rich.text.Text(f"               {claim.found}", style="dim"), soft_wrap=True)
    for note in paper.notes():
        console.print(rich.text.Text(note, style="dim"), soft_wrap=True)
    console.print(f"\nwrote {options.out / 'index.html'}, and tables and figures beside it", soft_wrap=True)
    return 0


def _compare(options: ReportOptions, console: rich.console.Console) -> int:
    from jfewshot.reporting.compare import compare_folders, moves_grid
    from jfewshot.reporting.document import Document, Prose, Section, TableBlock
    from jfewshot.reporting.page import html_page
    from jfewshot.reporting.writer import Writer

    assert options.compare is not None
    before, after = (read_results(path) for path in options.compare)
    table = moves_grid(compare_folders(before, after), f"{before.path} → {after.path}")
    writer = Writer(options.out, options.formats)
    writer.table("compare", table)
    blocks = [TableBlock(table, sortable=True)]
    problems = (*before.problems, *after.problems)
    sections = [Section("moves", "What moved", tuple(blocks))]
    if problems:
        sections.append(Section("problems", "Problems", (Prose(problems, warning=True),)))
    lead = "The same episodes, before and after."
    writer.text("index.html", html_page(Document(f"{before.path} → {after.path}", lead, tuple(sections))))
    console.print(to_rich(table, console.width))
    for problem in problems:
        _log.warning("not used: %s", problem)
    console.print(f"wrote {options.out / 'index.html'}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    run_cli(main)
