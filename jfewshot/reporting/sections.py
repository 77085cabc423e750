"""The sections of a report: each writes its files, and returns what the page shows."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jfewshot.reporting.along_curve import Places, crossovers_grid, ranking_grid_along
from jfewshot.reporting.analysis import Analysis, hardest_grid, pairs_grid, ranks_grid
from jfewshot.reporting.answer import Answer, answer_text, ranking_grid
from jfewshot.reporting.charts import histogram_chart, ranking_chart, regression_chart, trend_chart
from jfewshot.reporting.choices import Choices
from jfewshot.reporting.conditions import classifier_name, query_words, way_and_shots
from jfewshot.reporting.curves_json import curves_json
from jfewshot.reporting.document import Block, BoardBlock, Points, Prose, Section, TableBlock
from jfewshot.reporting.figures import bars, classes, correlation, curves, ranks
from jfewshot.reporting.file_names import file_names
from jfewshot.reporting.fusions import chosen_weights_grid
from jfewshot.reporting.grid import MISSING, grid, to_csv
from jfewshot.reporting.labels_needed import needed_grid, needed_grid_of_datasets
from jfewshot.reporting.leaderboard import Leaderboard, reorder
from jfewshot.reporting.outside import beside_published, correlate_board, matched_rows, superb_table
from jfewshot.reporting.paper import correlation_grid
from jfewshot.reporting.scored import calibration_grid, open_set_grid, risk_trends
from jfewshot.reporting.series import (
    Series,
    across_grid,
    average_interval,
    chance_of,
    series_trend,
)
from jfewshot.reporting.strengths import chosen_strengths
from jfewshot.reporting.tables import Format, render
from jfewshot.reporting.trends import MOST_CURVES, trends
from jfewshot.reporting.writer import Writer
from jfewshot.results import Results

_MOST_CONDITIONS = 200  # that the page lists
_MOST_BARS = 40  # upstreams in a figure of bars, the best ones
_MOST_TRENDS = 12  # figures of curves
_MOST_RISKS = 2
# Confusion matrices and hardest classes are drawn for this many datasets of the fullest leaderboard.
_MOST_CLASS_FIGURES = 4


def answer_section(
    writer: Writer,
    every: Sequence[Series],
    apart: Sequence[Series],
    main: Analysis,
    answer: Answer,
    classifiers: Sequence[Block],
    names: Sequence[str],
) -> Section:
    """The beginning of the report: the answer in sentences, one figure, one table, and the cautions.

    Args:
      writer: writes the section's files.
      every: the leaderboards, joined where they differ in shots alone; the first are those that the answer is about.
      apart: those with transductive classifiers too; empty where there are none.
      main: the analysis of the leaderboard that the answer is about.
      answer: what the report says first.
      classifiers: tables of classifiers; empty where no two of them have the same cells.
      names: all upstreams, which gives each its colour.

    Returns:
      the section.
    """
    series = every[0]
    board, interval = series.main, series.about
    writer.text("answer.txt", answer_text(answer))
    blocks: list[Block] = [Points("", answer.sentences)]
    if answer.cautions:
        blocks.append(Points("Be careful", answer.cautions, warning=True))
    trend = series_trend(series)
    if trend is not None:
        blocks.append(trend_chart(trend, f"95% interval for {interval}", names, chance_of(board)))
        drawn = curves.curve_panels(
            trend.panels, trend.x_label, trend.ticks, trend.log, names, chance_of(board), trend.title
        )
        writer.figure("answer", drawn, f"Accuracy over shots. {trend.title}")
    else:
        means = board.average if len(board.datasets) > 1 else board.mean[:, 0]
        widths = average_interval(board, series.intervals)
        blocks.append(ranking_chart(means, widths, board.upstreams, board.title, interval, chance_of(board)))
    blocks.append(TableBlock(writer.table("answer-across", across_grid(every)), sortable=True))
    if apart:
        of_all = across_grid(apart, "All encoders, transductive classifiers")
        blocks.append(TableBlock(writer.table("answer-transductive", of_all), sortable=True))
    blocks += classifiers
    for name, table in (
        ("answer-ranking", ranking_grid(series, main, answer.probability)),
        ("answer-labels", needed_grid(series)),
    ):
        if table is not None:
            blocks.append(TableBlock(writer.table(name, table)))
    return Section("answer", "The answer", tuple(blocks))


def conditions_section(writer: Writer, boards: Sequence[Leaderboard], n_shown: int) -> Section:
    """All conditions with their best upstream, if not all tables fit on the page.

    Args:
      writer: writes the section's files.
      boards: the leaderboards, fullest first.
      n_shown: how many of them the page shows.

    Returns:
      the section.
    """
    rows = []
    for number, board in enumerate(boards):
        best = f"{100 * board.average[0]:.2f}" if len(board.upstreams) and board.complete[0] else MISSING
        where = f"board-{number + 1}" if number < n_shown else "exports/cells.csv"
        rows.append([board.title, where, str(len(board.cells)), board.upstreams[0], best])
    notes = [
        f"The page shows the first {n_shown} of {len(boards)} conditions; exports/cells.csv has every result of all."
    ]
    headings = ["Condition", "Table", "Results", "Best upstream", "its average"]
    writer.text("tables/conditions.csv", to_csv(grid("Conditions", headings, rows, notes, n_labels=2)))
    if len(rows) > _MOST_CONDITIONS:
        notes.append(f"{len(rows) - _MOST_CONDITIONS} more conditions are in tables/conditions.csv.")
    table = grid("Conditions", headings, rows[:_MOST_CONDITIONS], notes, n_labels=2)
    return Section("conditions", "All conditions", (TableBlock(table, sortable=True),))


def board_section(
    writer: Writer, number: int, board: Leaderboard, analysis: Analysis, choices: Choices, draw: bool
) -> Section:
    """One leaderboard: its table, comparisons in pairs, ranks, and figures.

    Args:
      writer: writes the section's files.
      number: of the leaderboard, from 0.
      board: the leaderboard.
      analysis: of the leaderboard.
      choices: what the report shows.
      draw: whether figures are drawn.

    Returns:
      the section, with a title to be shortened.
    """
    name = f"board-{number + 1}"
    endings: tuple[tuple[str, Format], ...] = (
        ("txt", "terminal"),
        ("md", "markdown"),
        ("tex", "latex"),
        ("csv", "csv"),
        ("json", "json"),
    )
    for ending, form in endings:
        writer.text(f"tables/{name}.{ending}", render(board, form, choices.style))
    blocks: list[Block] = [BoardBlock(board)]
    for suffix, table in (("pairs", pairs_grid(analysis)), ("ranks", ranks_grid(analysis))):
        if table is not None:
            blocks.append(TableBlock(writer.table(f"{name}-{suffix}", table), sortable=suffix == "pairs"))
    if draw:
        chance = chance_of(board)
        best = reorder(board, range(min(_MOST_BARS, len(board.upstreams))))
        figure = bars.accuracy_bars(best.mean, best.half_widths, best.upstreams, best.datasets, chance, best.title)
        writer.figure(f"{name}-bars", figure, "Accuracy of every upstream on every dataset")
        if (
            analysis.ranks is not None
            and analysis.ranks.critical_difference is not None
            and len(analysis.ranks.average_rank) > 2
        ):
            most = np.argsort(analysis.ranks.average_rank, kind="stable")[:30]
            names = [board.upstreams[analysis.complete_rows[i]] for i in most]
            diagram = ranks.critical_difference_diagram(
                analysis.ranks.average_rank[most], analysis.ranks.critical_difference, names, len(board.datasets)
            )
            alt = "Critical-difference diagram: average ranks, joined where they do not differ at 5 percent"
            blocks.append(writer.figure(f"{name}-ranks", diagram, alt, f"{alt}. The table of ranks has the numbers."))
        if analysis.counts is not None and len(analysis.compared) > 2:
            names = [board.upstreams[row] for row in analysis.compared]
            matrix = ranks.wins_and_losses(analysis.counts, names)
            alt = "Wins, ties and losses of every upstream against every other"
            blocks.append(writer.figure(f"{name}-wins", matrix, alt, f"{alt}. The table of pairs has the numbers."))
    return Section(name, board.title, tuple(blocks))


def classes_section(writer: Writer, number: int, analysis: Analysis, names: Sequence[str]) -> Section:
    """The hardest classes and confusions of the fullest leaderboard, and how the accuracy of episodes is distributed.

    Args:
      writer: writes the section's files.
      number: of the leaderboard, from 0.
      analysis: of the leaderboard.
      names: all upstreams, which gives each its colour.

    Returns:
      the section.
    """
    board = analysis.board
    files = file_names([one.dataset for one in analysis.paired])
    blocks: list[Block] = [Prose((f"Of the condition that the answer is about: {board.title}.",))]
    for one in analysis.paired[:_MOST_CLASS_FIGURES]:
        name = f"board-{number + 1}-{files[one.dataset]}"
        upstreams = [board.upstreams[row] for row in one.rows]
        blocks.append(TableBlock(writer.table(f"{name}-hardest", hardest_grid(one, board.upstreams)), sortable=True))
        best = board.upstreams[one.best]
        if one.confusion is not None:
            alt = f"Confusion matrix of {best} on {one.dataset}"
            matrix = classes.confusion_matrix(
                one.confusion, one.class_names, f"What {best} takes the classes of {one.dataset} for"
            )
            picture = writer.figure(
                f"{name}-confusion", matrix, alt, f"{alt}; the table of hardest classes names the worst."
            )
            blocks.append(picture)
        hardest = classes.hardest_classes(one.class_accuracy, one.class_names, upstreams, one.dataset, names)
        writer.figure(f"{name}-classes", hardest, f"Accuracy of the hardest classes of {one.dataset}")
        blocks.append(histogram_chart(one.histogram[:8], upstreams[:8], one.dataset, names))
    spread = classes.episode_histograms(
        [one.histogram for one in analysis.paired],
        [[board.upstreams[row] for row in one.rows] for one in analysis.paired],
        [one.dataset for one in analysis.paired],
        names,
    )
    writer.figure(f"board-{number + 1}-episodes", spread, "How accuracy spreads over episodes")
    return Section(f"board-{number + 1}-classes", "Classes and episodes", tuple(blocks))


def trend_sections(writer: Writer, results: Results, choices: Choices, names: Sequence[str]) -> list[Section]:
    """Accuracy over shots, strengths, layers and whatever else varies.

    Args:
      writer: writes the section's files.
      results: the result folder as it was read.
      choices: what the report shows.
      names: all upstreams, which gives each its colour.

    Returns:
      a section for each thing that varies.
    """
    interval = "pool_ci95" if choices.interval == "both" else choices.interval
    sections = []
    for number, trend in enumerate(trends(results.records, interval, _MOST_TRENDS)):
        name = f"{trend.name}-{number + 1}"
        figure = curves.curve_panels(
            trend.panels, trend.x_label, trend.ticks, trend.log, names, title=f"{trend.title}; band: {interval}"
        )
        writer.figure(name, figure, f"Accuracy over {trend.name}")
        blocks: list[Block] = [trend_chart(trend, interval, names)]
        if any(len(panel.curves) == MOST_CURVES for panel in trend.panels):
            blocks.append(Prose((f"Of each dataset at most {MOST_CURVES} curves are shown, those that end highest.",)))
        sections.append(Section(name, f"Over {trend.name}: {trend.title}", tuple(blocks)))
    return sections


def along_sections(writer: Writer, every: Sequence[Series], places: Sequence[Places]) -> list[Section]:
    """What changes along the curves over shots: the ranking, and which encoders change places.

    Args:
      writer: writes the section's files.
      every: the leaderboards, joined where they differ in shots alone; the first are those that the answer is about.
      places: the ranking along the curves over shots.

    Returns:
      the section, or none where no curve has several numbers of shots.
    """
    if all(len(series.boards) < 2 for series in every):
        return []
    writer.text("exports/curves.json", curves_json(every, places))
    blocks: list[Block] = []
    for name, table in (
        ("rank-agreement", ranking_grid_along(every)),
        ("crossovers", crossovers_grid(places)),
        ("labels-needed", needed_grid_of_datasets(every[0])),
    ):
        if table is not None:
            blocks.append(TableBlock(writer.table(name, table), sortable=True))
    return [Section("along", "From few labels to many", tuple(blocks))] if blocks else []


def strengths_sections(writer: Writer, results: Results) -> list[Section]:
    """The strengths, and the weights of fused parts, that episodes chose; no section if no episode chose any."""
    sections = []
    for name, table in (
        ("strengths", chosen_strengths(results.records)),
        ("weights", chosen_weights_grid(results.records)),
    ):
        if table is not None:
            block = TableBlock(writer.table(f"chosen-{name}", table), sortable=True)
            sections.append(Section(name, table.title, (block,)))
    return sections


def scores_sections(writer: Writer, results: Results, names: Sequence[str]) -> list[Section]:
    """Findings from kept scores: calibration of probabilities, and separation of unknown from known classes.

    Args:
      writer: writes the section's files.
      results: the result folder as it was read.
      names: all upstreams, which gives each its colour.

    Returns:
      the sections; none if no scores were kept.
    """
    table = calibration_grid(results.records)
    if table is None:
        return []
    blocks: list[Block] = [TableBlock(writer.table("calibration", table), sortable=True)]
    unknown = open_set_grid(results.records)
    if unknown is not None:
        blocks.append(TableBlock(writer.table("unknown-classes", unknown), sortable=True))
    for number, trend in enumerate(risk_trends(results.records, _MOST_RISKS)):
        figure = curves.curve_panels(trend.panels, trend.x_label, upstreams=names, title=trend.title)
        writer.figure(f"coverage-{number + 1}", figure, "Accuracy of the answers over the share of queries answered")
        blocks += [Prose((f"Accuracy over answered queries. {trend.title}",)), trend_chart(trend, "no interval", names)]
    return [Section("scores", table.title, tuple(blocks))]


def outside_sections(writer: Writer, boards: Sequence[Leaderboard], choices: Choices) -> list[Section]:
    """The results correlated with published tables, or with the user's own.

    Args:
      writer: writes the section's files.
      boards: the leaderboards, fullest first.
      choices: what the report shows.

    Returns:
      a section for each leaderboard that shares encoders with a table.
    """
    sections = []
    tables = [choices.outside] if choices.outside else []
    for number, board in enumerate(boards[: choices.figures_at_most]):
        blocks: list[Block] = []
        beside = beside_published(board) if choices.published else None
        if beside is not None:
            blocks.append(TableBlock(writer.table(f"board-{number + 1}-published", beside), sortable=True))
        for table in [*tables, *([superb_table()] if choices.published else [])]:
            matched = correlate_board(board, table, choices.correlation, choices.logit)
            how = f"{choices.correlation.title()} correlation{' of the logits' if choices.logit else ''} with {table.name}"
            if matched is None:
                if table is choices.outside:
                    text = f"Fewer than four upstreams are in both this table and {table.name}, too few to correlate."
                    blocks.append(Prose((text,)))
                continue
            found, upstreams, accuracy, values = matched
            name = f"board-{number + 1}-{file_names([table.name])[table.name]}"
            coefficients = correlation_grid(found, board.datasets, table.metrics, how)
            others = matched_rows(board, table)[2]
            if others:
                note = (
                    "Each upstream counts once, with its best row of this table. Further views and revisions, which are no "
                    f"independent upstreams, are left out: {', '.join(board.upstreams[row] for row in others)}."
                )
                coefficients = dataclasses.replace(coefficients, notes=(*coefficients.notes, note))
            blocks.append(TableBlock(writer.table(f"{name}-correlations", coefficients)))
            heat = correlation.correlation_heat_map(
                found, board.datasets, table.metrics, symbol=choices.correlation.title()
            )
            writer.figure(f"{name}-heat-map", heat, f"Correlations with {table.name}")
            first = dataclasses.replace(table, metrics=table.metrics[:1])
            one = found._replace(**{k: v[:, :1] for k, v in found._asdict().items()})
            label = f"{table.name} {first.metrics[0]}"
            blocks.append(regression_chart(values[:, 0], accuracy, upstreams, board.datasets, one, label))
        if blocks:
            title = f"Beside numbers from elsewhere: {board.title}"
            sections.append(Section(f"board-{number + 1}-outside", title, tuple(blocks)))
    return sections


def about_section(writer: Writer, results: Results) -> Section:
    """How to compute the numbers again, the meaning of the intervals, and the speed of solving."""
    speeds: dict[str, list[float]] = {}
    for record in results.records:
        rate = (record.get("timing") or {}).get("episodes_per_s")
        protocol = record["identity"]["protocol"]
        if rate:
            label = f"{classifier_name(record['identity']['classifier'])}, {way_and_shots(protocol)}"
            queries = "all queries" if protocol.get("every_query") else query_words(protocol)
            speeds.setdefault(f"{label}, {queries}", []).append(float(rate))
    text = (
        "Every number can be recomputed from the records, their kept predictions and the drawn clips alone. Files beside this "
        "page: tables/ (text, Markdown, LaTeX, CSV, JSON), figures/ (PNG, SVG, PDF), exports/ (tidy CSV and Parquet, model "
        "cards, MTEB-like JSON).",
        "ci95 is 1.96 standard deviations of the episodes' accuracies over the square root of their number, as the papers "
        "report; more episodes shrink it to nothing. pool_ci95 is for other classes and clips like these.",
    )
    blocks: list[Block] = [Prose(text)]
    if speeds:
        median = [float(np.median(rates)) for rates in speeds.values()]
        picture = writer.figure("speed", bars.speed_bars(median, list(speeds)), "Episodes per second by classifier")
        blocks.append(picture)
    return Section("about", "About these numbers", tuple(blocks))
