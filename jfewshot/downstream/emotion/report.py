"""Tables, figures and one page from an experiment's records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.downstream.emotion.summary import CONTROLS, Summary, summarise
from jfewshot.errors import UserError
from jfewshot.published import read_data_csv
from jfewshot.reporting.document import Block, Document, Prose, Section, TableBlock
from jfewshot.reporting.figures import bars, classes
from jfewshot.reporting.grid import MISSING, Cell, Grid, grid
from jfewshot.reporting.page import html_page
from jfewshot.reporting.writer import Writer

DEVELOPMENT = {
    "group": "checkpoints chosen on the next fold's speakers, none of them trained on or tested",
    "random20": "checkpoints chosen on a random fifth of the utterances that are not tested, of speakers trained on",
}


def build_report(records: Sequence[dict[str, Any]], folder: Path, formats: Sequence[str] = ("svg",)) -> list[Grid]:
    """Write `index.html`, `tables/` and `figures/`.

    Returns:
      the tables: scores, differences, folds.

    Raises:
      UserError: no features have run all folds of a seed.
    """
    summaries, problems = summarise(records)
    if not summaries:
        raise UserError("no features have run all folds of a seed yet: run the same command again to continue")
    writer = Writer(folder, formats)
    first = records[0]
    title = f"Emotion recognition: {first['dataset']['title']}, {first['head']} head"
    tables = [
        writer.table("scores", scores_grid(summaries, first, title)),
        writer.table("differences", differences_grid(summaries)),
        writer.table("folds", folds_grid(summaries, records)),
    ]
    blocks: list[Block] = [TableBlock(table) for table in tables[:2]]
    mean, half = np.array([each.uar() for each in summaries]).T
    picture = bars.accuracy_bars(
        mean[:, None],
        {"speakers": half[:, None]},
        [each.name for each in summaries],
        ["UAR"],
        1 / len(first["classes"]),
    )
    blocks.append(
        writer.figure(
            "uar", picture, "Unweighted average recall of each kind of features, with intervals over speakers"
        )
    )
    sections = [
        Section("scores", "Scores", tuple(blocks)),
        Section("confusion", "Confusion", tuple(_confusions(writer, summaries, first["classes"]))),
        Section("folds", "Folds", (TableBlock(tables[2], sortable=True),)),
    ]
    if problems:
        sections.insert(0, Section("problems", "Problems", (Prose(tuple(problems), warning=True),)))
    if first["dataset"]["name"] == "iemocap":
        paper = writer.table("paper", paper_grid(summaries, first))
        tables.append(paper)
        sections.append(Section("paper", "Beside the paper", (TableBlock(paper),)))
    lead = f"{len(records)} runs; {DEVELOPMENT[first['development']]}."
    writer.text("index.html", html_page(Document(title, lead, tuple(sections))))
    return tables


def scores_grid(summaries: Sequence[Summary], record: dict[str, Any], title: str) -> Grid:
    """UAR and accuracy of each kind of features."""
    values = [each.uar()[0] for each in summaries]
    rows: list[list[str | Cell]] = []
    for each, value in zip(summaries, values, strict=True):
        low, high = each.seed_range()
        rows.append(
            [
                each.name,
                Cell(_with(*each.uar()), "best" if value == max(values) else ""),
                _with(*each.accuracy()),
                f"{100 * low:.1f} to {100 * high:.1f}",
                MISSING if np.isnan(each.over_seeds()) else f"{100 * each.over_seeds():.2f}",
                str(len(each.seeds)),
            ]
        )
    n_speakers = len(summaries[0].speakers)
    notes = [
        f"In percent; ± is the 95% interval over {n_speakers} speakers (jackknife). Every utterance is tested once per seed, "
        f"folds pooled; {record['fold']['of']} folds; {DEVELOPMENT[record['development']]}.",
        f"Guessing gives a UAR of {100 / len(record['classes']):.1f}.",
    ]
    if min(len(each.seeds) for each in summaries) < 3:
        notes.append("Fewer than 3 seeds: the spread over seeds is not known.")
    return grid(title, ["Features", "UAR", "Accuracy", "UAR over seeds", "std", "Seeds"], rows, notes)


def differences_grid(summaries: Sequence[Summary]) -> Grid:
    """UAR less that of each control, paired by speaker."""
    controls = [each for each in summaries if each.kind in CONTROLS]
    rows = []
    for each in summaries:
        texts = [MISSING if each is control else _signed(*each.less(control)) for control in controls]
        rows.append([each.name, *texts])
    notes = (
        "Percentage points ± 95% interval over speakers, paired by speaker. An interval that holds 0 shows no difference.",
    )
    return grid("Difference in UAR", ["Features", *(f"less {each.name}" for each in controls)], rows, notes)


def folds_grid(summaries: Sequence[Summary], records: Sequence[dict[str, Any]]) -> Grid:
    """UAR and accuracy of each fold, mean over seeds."""
    folds = {record["fold"]["number"]: record["fold"] for record in records}
    rows = []
    for each in summaries:
        for number in sorted(folds):
            fold = folds[number]
            sizes = f"{fold['training']} / {fold['development']} / {fold['test']}"
            scores = [f"{100 * np.mean(part[:, number]):.1f}" for part in (each.fold_uar, each.fold_accuracy)]
            rows.append([each.name, fold["tests"], sizes, *scores])
    columns = ["Features", "Tested", "Train / develop / test", "UAR", "Accuracy"]
    return grid("Each fold, mean over seeds", columns, rows, ("In percent.",), n_labels=2)


def paper_grid(summaries: Sequence[Summary], record: dict[str, Any]) -> Grid:
    """The Speech SimCLR paper's UARs on IEMOCAP, and these."""
    rows = [
        [f"{row['row']} (the paper, {row['trained_on']})", row["value"], ""]
        for row in read_data_csv("speech_simclr_published.csv")
        if row["metric"] == "UAR"
    ]
    rows += [[each.name, f"{100 * each.uar()[0]:.1f}", f"± {100 * each.uar()[1]:.1f}"] for each in summaries]
    notes = (
        "The paper's numbers are as printed, without an interval. "
        f"Here: {record['head']} head, {DEVELOPMENT[record['development']]}.",
    )
    return grid("IEMOCAP, UAR in percent", ["", "UAR", "95% over speakers"], rows, notes)


def _confusions(writer: Writer, summaries: Sequence[Summary], names: Sequence[str]) -> list[Block]:
    blocks: list[Block] = []
    for number, each in enumerate(summaries):
        counts = each.counts.sum(axis=(0, 1))
        rows = [[name, *(f"{count:,}" for count in line)] for name, line in zip(names, counts.tolist(), strict=True)]
        title = f"{each.name}: rows said, columns heard, all seeds"
        blocks.append(TableBlock(writer.table(f"confusion-{number + 1}", grid(title, ["", *names], rows))))
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        figure = classes.confusion_matrix(shares, names, each.name)
        blocks.append(writer.figure(f"confusion-{number + 1}", figure, f"Confusion matrix of {each.name}"))
    return blocks


def _with(value: float, half: float) -> str:
    return f"{100 * value:.1f}" if np.isnan(half) else f"{100 * value:.1f} ± {100 * half:.1f}"


def _signed(value: float, half: float) -> str:
    text = f"{100 * value:+.1f}".replace("-", "−")
    return text if np.isnan(half) else f"{text} ± {100 * half:.1f}"
