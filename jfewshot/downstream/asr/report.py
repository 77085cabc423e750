"""Tables, figures and one page from an experiment's records."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jfewshot.downstream.asr.summary import Difference, Summary, is_control, summarise
from jfewshot.downstream.report import refuse_nothing_finished, refuse_unknown_baseline, write_page
from jfewshot.reporting.document import Block, Section, TableBlock
from jfewshot.reporting.figures.style import line_style, look, plain_logarithmic, shorten
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.speech_simclr import SCORES_FILE, OwnScore, scores_text
from jfewshot.reporting.writer import Writer

MODELS = {
    "attention_ctc": "attention-CTC",
    "recurrent": "recurrent CTC (not comparable with the paper's Table 2, whose hybrid was made with PyTorch-Kaldi)",
}
_EXAMPLES = 12


def build_report(
    records: Sequence[dict[str, Any]], folder: Path, formats: Sequence[str] = ("svg",), baseline: str | None = None
) -> list[Grid]:
    """Write `index.html`, `tables/` and `figures/`.

    Args:
      records: records of one experiment.
      folder: folder of the report.
      formats: file formats of the figures.
      baseline: name of features that all others are compared with; None for the random encoder, or else raw FBANK.

    Returns:
      the tables: scores, differences, folds.

    Raises:
      UserError: if no features have run all folds of a seed, or no finished features have the name of the baseline.
    """
    summaries, problems = summarise(records)
    refuse_nothing_finished(summaries)
    writer, first = Writer(folder, formats), records[0]
    title = f"Speech recognition: {first['dataset']['title']}, {MODELS[first['model']]}"
    writer.text(SCORES_FILE, scores_text(own_scores(summaries, first)))
    tables = [writer.table("scores", scores_grid(summaries, records, title))]
    blocks: list[Block] = [TableBlock(tables[0])]
    compared = _baselines(summaries, baseline)
    differences = differences_grid(summaries, compared) if compared else None
    if differences is not None and differences.rows:
        tables.append(writer.table("differences", differences))
        blocks.append(TableBlock(tables[-1]))
    tables.append(writer.table("folds", folds_grid(summaries)))
    told = "Error rate of greedy CTC on the development utterances while training, mean over seeds and folds"
    curves: list[Block] = [writer.figure("learning", learning_curves(summaries), told)]
    if len({each.row.train_share for each in summaries}) > 1:
        curves.append(writer.figure("amounts", amount_curves(summaries), "Error rate over the amount of training data"))
    examples = writer.table("examples", examples_grid(records))
    sections = [
        Section("scores", "Scores", tuple(blocks)),
        Section("curves", "Learning curves", tuple(curves)),
        Section("folds", "Folds", (TableBlock(tables[-1], sortable=True),)),
        Section("examples", "Examples", (TableBlock(examples),)),
    ]
    lead = f"{len(records)} runs; checkpoints chosen on the development utterances, never on the test utterances."
    write_page(writer, title, lead, sections, problems)
    return tables


def own_scores(summaries: Sequence[Summary], record: dict[str, Any]) -> list[OwnScore]:
    """List the error rates of each kind of features, for other reports and for programs.

    Args:
      summaries: one for each row of the table of scores.
      record: any record of the experiment.

    Returns:
      a score for each row; intervals are over utterances.
    """
    found = []
    for each in summaries:
        title = " ".join(filter(None, (record["dataset"]["title"], each.row.part)))
        features = dataclasses.replace(each.row, part="").name
        found.append(OwnScore("asr", title, features, each.metric, each.rate, *each.interval(), len(each.seeds)))
    return found


def _baselines(summaries: Sequence[Summary], name: str | None) -> dict[tuple[str, float], Summary]:
    """The summary with which each test part and share of the training data is compared."""
    refuse_unknown_baseline(name, [each.row.features for each in summaries])
    controls = sorted((each.row for each in summaries if is_control(each.row)), key=lambda row: row.kind == "fbank")
    chosen = name or (controls[0].features if controls else None)
    return {(each.row.part, each.row.train_share): each for each in summaries if each.row.features == chosen}


def scores_grid(summaries: Sequence[Summary], records: Sequence[dict[str, Any]], title: str) -> Grid:
    """Tabulate the error rates of each kind of features.

    Args:
      summaries: one summary for each row, from `summarise`.
      records: records of the experiment, for the other metrics and for greedy decoding.
      title: title of the table.

    Returns:
      the table.
    """
    first, parts = summaries[0], dict.fromkeys(each.row.part for each in summaries)
    others = {(s.row, s.metric): s for m in _other_metrics(records, first) for s in summarise(records, m, first.way)[0]}
    greedy = {s.row: s for s in summarise(records, first.metric, "greedy")[0]} if first.way == "beam" else {}
    metrics = list(dict.fromkeys(metric for _, metric in others))
    best = {part: min(each.rate for each in summaries if each.row.part == part) for part in parts}
    rows: list[list[str | TableEntry]] = []
    for each in summaries:
        low, high = each.interval()
        rate = f"{_percent(each.rate)} ({_percent(low)} to {_percent(high)})"
        rows.append(
            [
                each.row.name,
                TableEntry(rate, "best" if each.rate == best[each.row.part] < 1.0 else ""),
                *(_percent(others[each.row, metric].rate) for metric in metrics),
                *([_percent(greedy[each.row].rate)] if greedy else []),
                f"{_percent(each.rates.min())} to {_percent(each.rates.max())}",
                MISSING if np.isnan(each.over_seeds()) else f"{100 * each.over_seeds():.2f}",
                str(len(each.seeds)),
            ]
        )
    columns = ["Features", f"{first.metric} (95%)", *metrics, *([f"{first.metric}, greedy CTC"] if greedy else [])]
    notes = [
        f"In percent, {first.way} decoding, mean over seeds. The interval is over {len(first.utterances)} test utterances "
        f"({int(first.lengths.sum()):,} {_counted(first.metric)}), by bootstrap; it does not account for other speakers.",
        "Checkpoints are chosen on development utterances.",
    ]
    if min(each.rate for each in summaries) >= 1.0:
        notes.append("Nothing is recognised: no features have fewer errors than an empty transcript, which has 100%.")
    if min(len(each.seeds) for each in summaries) < 3:
        notes.append("Fewer than 3 seeds: the spread over seeds is not known.")
    return grid(title, [*columns, "over seeds", "std", "Seeds"], rows, notes)


def _other_metrics(records: Sequence[dict[str, Any]], first: Summary) -> list[str]:
    way = next(record["errors"][first.way] for record in records if first.way in record["errors"])
    return [metric for metric in way if metric != first.metric]


def differences_grid(summaries: Sequence[Summary], compared: dict[tuple[str, float], Summary]) -> Grid:
    """Tabulate the error rate minus that of the baseline, paired by utterance and seed."""
    name = next(iter(compared.values())).row.features
    rows = []
    for each in summaries:
        other = compared.get((each.row.part, each.row.train_share))
        if other is None or other is each:
            continue
        found = each.less(other)
        rows.append([each.row.name, *_difference(found), ", ".join(_signed(value) for value in found.by_seed)])
    notes = (
        "Percentage points; below zero, fewer errors. The interval is over utterances, paired; the spread is the standard "
        "deviation over seeds of the difference, each seed's own pretraining and training where features are named by seed.",
        "A difference counts if its interval does not contain 0 and all seeds have the same sign.",
    )
    columns = ["Features", "Difference", "95% over utterances", "std over seeds", "each seed"]
    return grid(f"{summaries[0].metric} less that of {name}", columns, rows, notes)


def _difference(found: Difference) -> list[str]:
    spread = MISSING if np.isnan(found.over_seeds) else f"{100 * found.over_seeds:.2f}"
    return [_signed(found.mean), f"{_signed(found.low)} to {_signed(found.high)}", spread]


def folds_grid(summaries: Sequence[Summary]) -> Grid:
    """Tabulate the error rate of each fold."""
    rows = [
        [each.row.name, tested, _percent(float(np.mean(rates))), f"{_percent(min(rates))} to {_percent(max(rates))}"]
        for each in summaries
        for tested, rates in sorted(each.fold_rates.items())
    ]
    columns = ["Features", "Tested", summaries[0].metric, "over seeds"]
    return grid("Each fold, mean over seeds", columns, rows, ("In percent.",), n_labels=2)


def examples_grid(records: Sequence[dict[str, Any]]) -> Grid:
    """Tabulate transcripts and recognised texts of the first test utterances, with the first seed and fold."""
    rows = []
    lowest = min((record["seed"], record["fold"]["number"]) for record in records)
    of_first = {r["features"]: r for r in records if (r["seed"], r["fold"]["number"]) == lowest}
    size = min(_EXAMPLES, len(next(iter(of_first.values()))["test"]["said"]))
    for place in range(size):
        for features, record in of_first.items():
            test = record["test"]
            heard = test.get("beam", test["greedy"])[place]
            rows.append([test["utterances"][place], test["said"][place], features, heard or "(nothing)"])
    columns = ["Utterance", "Transcript", "Features", "Recognised"]
    return grid(f"Recognised with seed {lowest[0]}, fold {lowest[1] + 1}", columns, rows, n_labels=4)


def learning_curves(summaries: Sequence[Summary]) -> Figure:
    """Draw the development error over training steps."""
    chosen = list({each.row.features: each for each in summaries if each.row.train_share == 1.0}.values()) or summaries
    with look():
        figure = Figure(figsize=(4.8, 2.9))
        axis = figure.subplots()
        for number, each in enumerate(chosen):
            style: dict[str, Any] = line_style(number) | {"marker": ""}
            axis.plot(each.curve[:, 0], 100 * each.curve[:, 2], label=shorten(each.row.features), **style)
        axis.set_xlabel("training steps")
        axis.set_ylabel(f"development {summaries[0].metric} (%)")
        axis.set_ylim(bottom=0)
        axis.legend(frameon=False)
    return figure


def amount_curves(summaries: Sequence[Summary]) -> Figure:
    """Draw the error rate over the share of the training data."""
    with look():
        figure = Figure(figsize=(4.8, 2.9))
        axis = figure.subplots()
        for number, features in enumerate(dict.fromkeys(each.row.features for each in summaries)):
            mine = sorted((e for e in summaries if e.row.features == features), key=lambda e: e.row.train_share)
            mine = [each for each in mine if each.row.part == mine[0].row.part]
            low, high = np.array([each.interval() for each in mine]).T
            rate = np.array([each.rate for each in mine])
            style: dict[str, Any] = line_style(number)
            axis.errorbar(
                [100 * each.row.train_share for each in mine], 100 * rate, 100 * np.stack([rate - low, high - rate]),
                label=shorten(features), capsize=2, elinewidth=0.8, **style,
            )  # fmt: skip
        axis.set_xscale("log")
        plain_logarithmic(axis.xaxis)
        axis.set_xlabel("share of the training utterances (%)")
        axis.set_ylabel(f"{summaries[0].metric} (%)")
        axis.legend(frameon=False)
    return figure


def _counted(metric: str) -> str:
    return {"WER": "words", "CER": "characters", "PER": "phones"}[metric]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")
