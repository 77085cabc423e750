"""Tables, figures and one page from an experiment's records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.downstream.emotion.summary import Summary, summarise
from jfewshot.downstream.report import (
    PAIRED,
    bounds,
    learning_curves,
    notes_on_seeds,
    refuse_nothing_finished,
    refuse_unknown_baseline,
    signed,
    with_half_width,
    write_page,
)
from jfewshot.downstream.summaries import CONTROLS
from jfewshot.reporting.document import Block, Section, TableBlock
from jfewshot.reporting.figures import bars, classes
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.speech_simclr import (
    OURS,
    SCORES_FILE,
    WITH_RECONSTRUCTION,
    OwnScore,
    published_scores,
    scores_text,
)
from jfewshot.reporting.writer import Writer

DEVELOPMENT = {
    "group": "checkpoints chosen on the next fold's speakers, none of them trained on or tested",
    "random20": "checkpoints chosen on a random fifth of the utterances that are not tested, of speakers trained on",
}


def build_report(
    records: Sequence[dict[str, Any]], folder: Path, formats: Sequence[str] = ("svg",), baseline: str | None = None
) -> list[Grid]:
    """Write `index.html`, `tables/` and `figures/`.

    Args:
      records: records of one experiment.
      folder: folder of the report.
      formats: file formats of the figures.
      baseline: name of features that the others are compared with, in addition to the controls.

    Returns:
      the tables: scores, differences, folds.

    Raises:
      UserError: if no features have run all folds of a seed, or no finished features have the name of the baseline.
    """
    summaries, problems = summarise(records)
    refuse_nothing_finished(summaries)
    writer = Writer(folder, formats)
    first = records[0]
    writer.text(SCORES_FILE, scores_text(own_scores(summaries, first)))
    title = f"Emotion recognition: {first['dataset']['title']}, {first['head']} head"
    tables = [
        writer.table("scores", scores_grid(summaries, first, title)),
        writer.table("differences", differences_grid(summaries, baseline)),
        writer.table("folds", folds_grid(summaries, records)),
    ]
    blocks: list[Block] = [TableBlock(table) for table in tables[:2]]
    mean, half = np.array([each.uar() for each in summaries]).T
    picture = bars.accuracy_bars(
        mean[:, None],
        {"speakers": half[:, None]},
        [each.name for each in summaries],
        [first["dataset"]["title"]],
        1 / len(first["classes"]),
        measure="UAR",
    )
    blocks.append(
        writer.figure(
            "uar", picture, "Unweighted average recall of each kind of features, with intervals over speakers"
        )
    )
    told = "Development UAR and loss after each epoch, mean over folds and seeds; bands reach over the seeds"
    curves = writer.figure(
        "learning", learning_curves([each.name for each in summaries], [each.curve for each in summaries], "UAR"), told
    )
    sections = [
        Section("scores", "Scores", tuple(blocks)),
        Section("curves", "Learning curves", (curves,)),
        Section("confusion", "Confusion", tuple(_confusions(writer, summaries, first["classes"]))),
        Section("folds", "Folds", (TableBlock(tables[2], sortable=True),)),
    ]
    if first["dataset"]["name"] == "iemocap":
        paper = writer.table("paper", paper_grid(summaries, first))
        tables.append(paper)
        sections.append(Section("paper", "Compared with the paper", (TableBlock(paper),)))
    lead = f"{len(records)} runs; {DEVELOPMENT[first['development']]}."
    write_page(writer, title, lead, sections, problems)
    return tables


def scores_grid(summaries: Sequence[Summary], record: dict[str, Any], title: str) -> Grid:
    """Tabulate the UAR and the accuracy of each kind of features.

    Args:
      summaries: one summary for each row, from `summarise`.
      record: any record of the experiment; it gives the classes, the number of folds and how checkpoints are chosen.
      title: title of the table.

    Returns:
      the table.
    """
    values = [each.uar()[0] for each in summaries]
    rows: list[list[str | TableEntry]] = []
    for each, value in zip(summaries, values, strict=True):
        rows.append(
            [
                each.name,
                TableEntry(with_half_width(*each.uar()), "best" if value == max(values) else ""),
                with_half_width(*each.accuracy()),
                ", ".join(f"{100 * of_seed:.1f}" for of_seed in each.by_seed),
                MISSING if np.isnan(each.over_seeds()) else f"± {100 * each.over_seeds():.1f}",
            ]
        )
    n_speakers = len(summaries[0].speakers)
    notes = [
        f"In percent; ± is the 95% interval over {n_speakers} speakers (jackknife), in the last column over seeds (Student's t). "
        f"Every utterance is tested once per seed, folds pooled; {record['fold']['of']} folds; "
        f"{DEVELOPMENT[record['development']]}.",
        f"Guessing gives a UAR of {100 / len(record['classes']):.1f}.",
    ]
    notes += notes_on_seeds([len(each.seeds) for each in summaries])
    return grid(title, ["Features", "UAR", "Accuracy", "UAR of each seed", "over seeds"], rows, notes)


def differences_grid(summaries: Sequence[Summary], baseline: str | None = None) -> Grid:
    """Tabulate the UAR minus that of each control and of the baseline, paired by speaker and by seed."""
    refuse_unknown_baseline(baseline, [each.name for each in summaries])
    others = [each for each in summaries if each.kind in CONTROLS or each.name == baseline]
    rows = [
        [each.name, *(MISSING if each is other else signed(each.less(other)) for other in others)] for each in summaries
    ]
    return grid("Difference in UAR", ["Features", *(f"less {each.name}" for each in others)], rows, (PAIRED,))


def own_scores(summaries: Sequence[Summary], record: dict[str, Any]) -> list[OwnScore]:
    """List UAR and accuracy of each kind of features, for other reports and for programs.

    Args:
      summaries: one for each kind of features.
      record: any record of the experiment.

    Returns:
      two scores for each kind of features; intervals are over speakers.
    """
    found = []
    for each in summaries:
        for metric, (value, half) in (("UAR", each.uar()), ("accuracy", each.accuracy())):
            title = record["dataset"]["title"]
            found.append(OwnScore("emotion", title, each.name, metric, value, *bounds(value, half), len(each.seeds)))
    return found


def folds_grid(summaries: Sequence[Summary], records: Sequence[dict[str, Any]]) -> Grid:
    """Tabulate UAR and accuracy of each fold, as means over seeds."""
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
    """Tabulate the UARs of the Speech SimCLR paper on IEMOCAP, and ours."""
    # The paper's Table 4 is headed accuracy, while its text calls these numbers UAR.
    rows = [
        [f"{score.row} (the paper, {score.pretraining} {score.hours:g} h)", f"{score.value:g}", ""]
        for score in published_scores()
        if score.dataset == "IEMOCAP" and score.row in (OURS, WITH_RECONSTRUCTION, "All")
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
        title = f"{each.name}: rows are true emotions, columns recognised ones, all seeds"
        blocks.append(TableBlock(writer.table(f"confusion-{number + 1}", grid(title, ["", *names], rows))))
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        labels = classes.ConfusionLabels("true", "recognised", "% of the true emotion")
        figure = classes.confusion_matrix(shares, names, each.name, labels)
        blocks.append(writer.figure(f"confusion-{number + 1}", figure, f"Confusion matrix of {each.name}"))
    return blocks
