"""Tables, figures and one page from an experiment's records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.downstream.phones.summary import Summary, sets_tested, summarise
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
from jfewshot.reporting.document import Section, TableBlock
from jfewshot.reporting.figures import bars
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.speech_simclr import FRAME_ACCURACY, SCORES_FILE, OwnScore, scores_text
from jfewshot.reporting.writer import Writer


def build_report(
    records: Sequence[dict[str, Any]], folder: Path, formats: Sequence[str] = ("svg",), baseline: str | None = None
) -> list[Grid]:
    """Write `index.html`, `tables/`, `figures/` and `scores.json`.

    Args:
      records: records of one experiment.
      folder: folder of the report.
      formats: file formats of the figures.
      baseline: name of features that the others are compared with, in addition to the controls.

    Returns:
      the tables: scores, differences, phones.

    Raises:
      UserError: if no features have run all folds of a seed, or no finished features have the name of the baseline.
    """
    summaries, problems = summarise(records)
    refuse_nothing_finished(summaries)
    writer = Writer(folder, formats)
    first = records[0]
    writer.text(SCORES_FILE, scores_text(own_scores(summaries, first)))
    title = f"Phones of frames: {first['dataset']['title']}"
    test = sets_tested(summaries)[0]
    tables = [
        writer.table("scores", scores_grid(summaries, first, title)),
        writer.table("differences", differences_grid(summaries, baseline)),
        writer.table("phones", phones_grid(summaries, first)),
    ]
    mean, half = np.array([each.accuracy(test) for each in summaries]).T
    picture = bars.accuracy_bars(
        mean[:, None], {"speakers": half[:, None]}, [each.title for each in summaries], [test],
        most_frequent(summaries[0], test), measure="frame accuracy",
    )  # fmt: skip
    drawn = writer.figure("accuracy", picture, "Frame accuracy of each kind of features, with intervals over speakers")
    curves = learning_curves([each.title for each in summaries], [each.curve for each in summaries], "accuracy")
    told = "Development frame accuracy and loss after each epoch, mean over folds and seeds; bands reach over the seeds"
    sections = [
        Section("scores", "Scores", (TableBlock(tables[0]), TableBlock(tables[1]), drawn)),
        Section("curves", "Learning curves", (writer.figure("learning", curves, told),)),
        Section("phones", "Phones", (TableBlock(tables[2], sortable=True),)),
    ]
    lead = f"{len(records)} runs; checkpoints chosen on development speakers, none of them trained on or tested."
    write_page(writer, title, lead, sections, problems)
    return tables


def scores_grid(summaries: Sequence[Summary], record: dict[str, Any], title: str) -> Grid:
    """Tabulate the frame accuracies of each kind of features on each test set.

    Args:
      summaries: one summary for each row, from `summarise`.
      record: any record of the experiment; it gives the phones.
      title: title of the table.

    Returns:
      the table.
    """
    tests = sets_tested(summaries)
    best = {
        (probe, test): max(each.accuracy(test)[0] for each in summaries if each.probe == probe)
        for probe in {each.probe for each in summaries}
        for test in tests
    }
    rows: list[list[str | TableEntry]] = []
    for each in summaries:
        row: list[str | TableEntry] = [each.name, each.probe]
        for test in tests:
            value, half = each.accuracy(test)
            shown = with_half_width(value, half)
            row += [
                TableEntry(shown, "best") if value == best[each.probe, test] else shown,
                with_half_width(*each.accuracy(test, True)),
            ]
        by_seed = ", ".join(f"{100 * of_seed:.1f}" for of_seed in each.by_seed(tests[0]))
        over = each.over_seeds(tests[0])
        rows.append([*row, by_seed, MISSING if np.isnan(over) else f"± {100 * over:.1f}"])
    counted = ", ".join(f"{len(summaries[0].speakers[test])} of {test}" for test in tests)
    phones = record["phones"]
    notes = [
        f"Frame accuracy in percent, every 10 ms, in {len(phones['scored'])} phones ({len(phones['trained'])} are trained); ± is "
        f"the 95% interval over speakers ({counted}; jackknife), in the last column over seeds (Student's t).",
        "Answering with the most frequent phone throughout gives "
        + ", ".join(f"{100 * most_frequent(summaries[0], test):.1f} on {test}" for test in tests)
        + ".",
    ]
    notes += notes_on_seeds([len(each.seeds) for each in summaries])
    columns = ["Features", "Probe"]
    for test in tests:
        columns += [test, f"{test}, speech only"]
    return grid(title, [*columns, f"{tests[0]}, each seed", "over seeds"], rows, notes, n_labels=2)


def most_frequent(summary: Summary, test: str) -> float:
    """Share of the most frequent scored phone among the labelled frames of a test set."""
    said = summary.counts[test][0].sum(axis=(0, 2))
    return float(said.max() / max(said.sum(), 1))


def differences_grid(summaries: Sequence[Summary], baseline: str | None = None) -> Grid:
    """Tabulate the frame accuracy minus that of each control and of the baseline, probe by probe, paired by speaker and seed."""
    refuse_unknown_baseline(baseline, [each.name for each in summaries])
    others = list(dict.fromkeys(each.name for each in summaries if each.kind in CONTROLS or each.name == baseline))
    tests = sets_tested(summaries)
    of = {(each.name, each.probe): each for each in summaries}
    rows = []
    for each in summaries:
        row = [each.name, each.probe]
        for test in tests:
            for name in others:
                other = of.get((name, each.probe))
                row.append(MISSING if other is None or other is each else signed(each.less(other, test)))
        rows.append(row)
    columns = ["Features", "Probe", *(f"{test}, less {name}" for test in tests for name in others)]
    return grid("Difference in frame accuracy", columns, rows, (PAIRED,), n_labels=2)


def phones_grid(summaries: Sequence[Summary], record: dict[str, Any]) -> Grid:
    """Tabulate the share of correctly classified frames of each scored phone, on the first test set, all seeds together."""
    test = sets_tested(summaries)[0]
    counts = [each.counts[test].sum(axis=(0, 1)) for each in summaries]
    said = summaries[0].counts[test][0].sum(axis=(0, 2))
    rows = []
    for number, phone in enumerate(record["phones"]["scored"]):
        if said[number]:
            shares = [f"{100 * of[number, number] / of[number].sum():.1f}" for of in counts]
            rows.append([phone, f"{said[number]:,}", *shares])
    title = f"Share of each phone's frames that was decided, {test}"
    return grid(title, ["Phone", "Frames", *(each.title for each in summaries)], rows, ("In percent.",))


def own_scores(summaries: Sequence[Summary], record: dict[str, Any]) -> list[OwnScore]:
    """List the frame accuracy of each kind of features on each test set, for other reports and for programs.

    Args:
      summaries: one for each kind of features and probe.
      record: any record of the experiment.

    Returns:
      a score for each test set of each kind of features; intervals are over speakers.
    """
    found = []
    for each in summaries:
        for number, test in enumerate(sets_tested(summaries)):
            value, half = each.accuracy(test)
            title, interval = test if number else record["dataset"]["title"], bounds(value, half)
            found.append(OwnScore("phones", title, each.title, FRAME_ACCURACY, value, *interval, len(each.seeds)))
    return found
