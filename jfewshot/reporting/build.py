"""Puts a report together: from result records to tables, figures, exports and one page."""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from jfewshot.printable import counted
from jfewshot.reporting.along_curve import places_along
from jfewshot.reporting.analysis import Analysis, analyse, check_test
from jfewshot.reporting.answer import Answer, find_answer
from jfewshot.reporting.cautions import find_cautions
from jfewshot.reporting.choices import Choices
from jfewshot.reporting.chosen import chosen_grid, one_pooling_grid
from jfewshot.reporting.classifier_blocks import classifier_blocks
from jfewshot.reporting.costs import cost_sections
from jfewshot.reporting.document import Document, Prose, Section, TableBlock
from jfewshot.reporting.exports import write_exports
from jfewshot.reporting.figures.fonts import without_font
from jfewshot.reporting.leaderboard import Leaderboard, leaderboards, reorder, without_repeats
from jfewshot.reporting.page import html_page
from jfewshot.reporting.sections import (
    about_section,
    along_sections,
    answer_section,
    board_section,
    classes_section,
    conditions_section,
    outside_sections,
    scores_sections,
    strengths_sections,
    trend_sections,
)
from jfewshot.reporting.series import (
    Series,
    all_series,
    inductive_first,
)
from jfewshot.reporting.spaces import Link, space_blocks
from jfewshot.reporting.writer import Writer
from jfewshot.results import Results

# The page shows leaderboards with at most so many results, best rows first; exports/cells.csv has all results.
MOST_ON_PAGE = 10_000


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """A report that was written.

    Attributes:
      boards: the leaderboards, fullest first.
      series: leaderboards that differ in shots alone, together; the first ones are those that the answer is about.
      answer: the answer at the beginning of the report.
      problems: a sentence for each record or file that could not be used.
    """

    boards: tuple[Leaderboard, ...]
    series: tuple[Series, ...]
    answer: Answer
    problems: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Beside:
    """Additional contents of a report.

    Attributes:
      lead: the line below the title; empty for the default.
      cautions: further cautions, which come before those from the results.
      sections: further sections, made from the analysis of the results, which come after the answer. The diagnostics of
          the embeddings are added to the section whose anchor is `state`.
      link: address of a clip's recording, for the page; empty if it is unknown.
    """

    lead: str = ""
    cautions: tuple[str, ...] = ()
    sections: Callable[[Analysis, tuple[Series, ...]], Sequence[Section]] = lambda analysis, series: ()
    link: Link = lambda clip_id: ""


def build_report(results: Results, folder: Path, choices: Choices, title: str, beside: Beside = Beside()) -> Report:
    """Write the whole report of a result folder.

    Args:
      results: the result folder as it was read.
      folder: folder to write the report to.
      choices: what the report shows.
      title: title of the page.
      beside: additional contents of the report.

    Returns:
      what was written, and what could not be used.

    Raises:
      UserError: if the choices contradict each other.
    """
    check_test(choices.pool, choices.permutation)
    writer = Writer(folder, choices.formats)
    problems = list(results.problems)
    boards = without_repeats(leaderboards(results.records, choices.interval))
    shown = boards_that_fit(boards)
    names = list(dict.fromkeys(name for board in boards for name in board.upstreams))
    every, apart = inductive_first(all_series(boards))
    main = analyse(results, every[0].main, problems, choices.pool, choices.permutation, choices.compare_at_most)
    places = places_along(results, every[0], main, problems, choices.pool, choices.compare_at_most)
    answer = find_answer(every[0], main, [*beside.cautions, *find_cautions(results, every)], places)
    sections: list[Section] = []
    titles = _short_titles([board.title for board in shown])
    for number, board in enumerate(shown):
        draw = number < choices.figures_at_most
        at_most = choices.compare_at_most if draw else 0
        known = main if draw and board is every[0].main else None
        analysis = known or analyse(results, board, problems, choices.pool, choices.permutation, at_most)
        section = board_section(writer, number, board, analysis, choices, draw)
        sections.append(dataclasses.replace(section, title=titles[number]))
    if main.paired:
        number = next((number for number, board in enumerate(shown) if board is main.board), 0)
        sections.insert(0, classes_section(writer, number, main, names))
    if len(shown) < len(boards):
        sections.append(conditions_section(writer, boards, len(shown)))
    sections += cost_sections(writer, every[0], names)
    blocks = tuple(space_blocks(writer, every[0].main, beside.link))
    own = list(beside.sections(main, tuple(every)))
    at = next((number for number, section in enumerate(own) if section.anchor == "state"), None)
    if at is not None:
        own[at] = dataclasses.replace(own[at], blocks=(*own[at].blocks, *blocks))
    elif blocks:
        sections.append(Section("embeddings", "The embeddings", blocks))
    sections += along_sections(writer, every, places)
    sections += trend_sections(writer, results, choices, names)
    chosen = {
        "one-pooling": one_pooling_grid(results.records),
        "chosen-on-validation": chosen_grid(results.records),
    }
    tables = {name: table for name, table in chosen.items() if table is not None}
    if tables:
        blocks = tuple(TableBlock(writer.table(name, table), sortable=True) for name, table in tables.items())
        sections.append(Section("chosen", "Chosen on validation", blocks))
    sections += strengths_sections(writer, results)
    sections += scores_sections(writer, results, names)
    sections += outside_sections(writer, shown, choices)
    sections.append(about_section(writer, results))
    sections = [dataclasses.replace(section, folded=True) for section in sections]
    classifiers = classifier_blocks(writer, results, problems)
    sections[:0] = [answer_section(writer, every, apart, main, answer, classifiers, names), *own]
    missing = without_font([*names, *(name for one in main.paired for name in (one.dataset, *one.class_names))])
    if missing:
        sections[-1] = dataclasses.replace(sections[-1], blocks=(Prose((missing,)), *sections[-1].blocks))
    problems = list(dict.fromkeys(problems))
    if problems:
        lead = (f"{len(problems)} files could not be used; everything else is reported.", *problems)
        sections.insert(0, Section("problems", "Problems", (Prose(lead, warning=True),)))
    upstreams = {name for board in boards for name in board.upstreams}
    datasets = {name for board in boards for name in board.datasets}
    summary = (
        f"Few-shot accuracy: {counted(len(upstreams), 'upstream')}, {counted(len(datasets), 'dataset')}, "
        f"{counted(len(results.records), 'result')} under {counted(len(boards), 'condition')}."
    )
    write_exports(results.records, folder / "exports", choices.hub_dataset)
    writer.text("index.html", html_page(Document(title, beside.lead or summary, tuple(sections))))
    return Report(tuple(boards), tuple(every), answer, tuple(problems))


def boards_that_fit(boards: Sequence[Leaderboard], at_most: int = MOST_ON_PAGE) -> list[Leaderboard]:
    """The first leaderboards, as many as fit on the page; of a single large one its best rows.

    Args:
      boards: fullest first.
      at_most: how many results fit.
    """
    shown: list[Leaderboard] = []
    room = at_most
    for board in boards:
        if len(board.cells) > room:
            break
        shown.append(board)
        room -= len(board.cells)
    if not shown and boards:
        rows = range(max(at_most // len(boards[0].datasets), 1))
        first = reorder(boards[0], rows[: len(boards[0].upstreams)])
        note = f"The best {len(first.upstreams)} of {len(boards[0].upstreams)} upstreams; exports/cells.csv has all."
        shown.append(dataclasses.replace(first, notes=(*first.notes, note)))
    return shown


def _short_titles(titles: Sequence[str]) -> list[str]:
    """Titles of sections without their common parts; the tables below have the complete titles."""
    parts = [title.split(" · ") for title in titles]
    if len(parts) < 2:
        return list(titles)
    shared = set.intersection(*map(set, parts))
    return [
        " · ".join(part for part in own if part not in shared) or whole
        for own, whole in zip(parts, titles, strict=True)
    ]


def _count(things: Collection[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
