"""Speech SimCLR's published tables, its paper's conclusions, and the user's own scores.

Jiang, Li, Cao, Zou and Li, "Speech SimCLR: Combining Contrastive and Reconstruction Objective for Self-supervised Speech
Representation Learning", Interspeech 2021. Tables 1, 2 and 4; in our source of Table 3 a value is missing, so its rows
cannot be assigned.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from jfewshot.errors import UserError
from jfewshot.files.json_values import decode_json
from jfewshot.reporting.claims import Claim
from jfewshot.reporting.document import Block, Document, Prose, Section, TableBlock
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.page import html_page
from jfewshot.reporting.published import read_data_csv
from jfewshot.reporting.writer import Writer

OURS, WITH_RECONSTRUCTION = "Speech SimCLR", "Speech SimCLR + Recon"
SCORES_FILE = "scores.json"
FRAME_ACCURACY = "frame accuracy"
_ERRORS = ("WER", "PER")
_COMPETITIVE = 1.0  # points
_NO_EFFECT = 0.05  # points; the precision of one decimal


class PublishedScore(NamedTuple):
    """A number of a table.

    Attributes:
      table: number of the table.
      row: as printed.
      pretraining: the corpus; empty if none is printed.
      hours: hours of the corpus; None if not printed.
      dataset: `IEMOCAP`, `LibriSpeech test-clean`, `TIMIT` or `DIRHA`.
      metric: as printed; for all rows of Table 4 except the first, `difference` from the first.
      value: the value in percent.
    """

    table: int
    row: str
    pretraining: str
    hours: float | None
    dataset: str
    metric: str
    value: float


class OwnScore(msgspec.Struct, frozen=True):
    """A score that `jfewshot emotion`, `jfewshot asr` or `jfewshot phones` measured; numbers are shares, 0-1.

    Attributes:
      task: `emotion`, `asr` or `phones`.
      dataset: its title.
      features: name of the features.
      metric: `UAR`, `accuracy`, `WER`, `PER`, `CER` or `frame accuracy`.
      value: the score.
      low, high: 95% interval; None if unknown.
      seeds: number of seeds of the mean.
    """

    task: str
    dataset: str
    features: str
    metric: str
    value: float
    low: float | None
    high: float | None
    seeds: int


class _OwnScores(msgspec.Struct):
    scores: list[OwnScore]


@functools.cache
def published_scores() -> tuple[PublishedScore, ...]:
    """The numbers that ship with the package, in print order."""
    return tuple(
        PublishedScore(
            int(row["table"]),
            row["row"],
            row["pretraining"],
            float(row["hours"]) if row["hours"] else None,
            row["dataset"],
            row["metric"],
            float(row["value"]),
        )
        for row in read_data_csv("speech_simclr_published.csv")
    )


def read_own_scores(folder: Path) -> list[OwnScore]:
    """The scores of an experiment's report.

    Args:
      folder: the folder of `jfewshot emotion`, `jfewshot asr` or `jfewshot phones`, or the report in it.

    Raises:
      UserError: there are none, or the file is damaged.
    """
    for path in (folder / SCORES_FILE, folder / "report" / SCORES_FILE):
        if path.is_file():
            try:
                return msgspec.convert(decode_json(path.read_bytes()), _OwnScores).scores
            except (UserError, msgspec.ValidationError) as error:
                raise UserError(f"{path} is damaged ({error}): write the report of that experiment again") from error
    raise UserError(
        f"{folder} has no {SCORES_FILE}: name the output folder of `jfewshot emotion`, `jfewshot asr` or `jfewshot phones`, "
        "and write its report again if it is of an older version"
    )


def scores_text(scores: Sequence[OwnScore]) -> str:
    """The contents of a file that `read_own_scores` reads.

    Args:
      scores: of one experiment.
    """
    return msgspec.json.format(msgspec.json.encode(_OwnScores(list(scores))), indent=1).decode() + "\n"


def conclusions(scores: Sequence[PublishedScore] | None = None) -> list[Claim]:
    """Check the paper's conclusions.

    Args:
      scores: the numbers; None for the published ones.
    """
    table = _Numbers(tuple(published_scores() if scores is None else scores))
    return [check(table) for check in CHECKS]


@dataclasses.dataclass(frozen=True)
class _Numbers:
    scores: tuple[PublishedScore, ...]

    def of(self, table: int, dataset: str) -> dict[str, float]:
        """Values by row."""
        return {score.row: score.value for score in self.scores if (score.table, score.dataset) == (table, dataset)}

    def effects(self, dataset: str) -> dict[str, float]:
        """The change of the score when an augmentation is left out, for each augmentation."""
        rows = self.of(4, dataset)
        return {row.removeprefix("- "): value for row, value in rows.items() if row.startswith("- ")}


_RESULTS = ((1, "IEMOCAP", False), (2, "LibriSpeech test-clean", True), (2, "TIMIT", True))


def _reconstruction_helps(numbers: _Numbers) -> Claim:
    found, worse = [], []
    for table, dataset, is_error in _RESULTS:
        rows = numbers.of(table, dataset)
        alone, both = rows[OURS], rows[WITH_RECONSTRUCTION]
        found.append(f"{dataset} {alone:g} to {both:g}")
        if (both >= alone) if is_error else (both <= alone):
            worse.append(dataset)
    return Claim(
        "contrast and reconstruction together are better than contrast alone",
        not worse,
        ", ".join(found) + (f"; not on {', '.join(worse)}" if worse else ""),
    )


def _best(table: int, dataset: str, text: str, is_error: bool, margin: float) -> Callable[[_Numbers], Claim]:
    def check(numbers: _Numbers) -> Claim:
        rows = numbers.of(table, dataset)
        ranked = sorted(rows, key=lambda row: rows[row] * (1 if is_error else -1))
        behind = abs(rows[WITH_RECONSTRUCTION] - rows[ranked[0]])
        holds = ranked[0] == WITH_RECONSTRUCTION if margin == 0 else behind <= margin
        return Claim(text, holds, ", ".join(f"{row} {rows[row]:g}" for row in ranked[:3]))

    return check


def _every_augmentation_helps(numbers: _Numbers) -> Claim:
    effects = {
        f"{name} on {dataset}": value
        for dataset in ("TIMIT", "DIRHA", "IEMOCAP")
        for name, value in numbers.effects(dataset).items()
    }
    without = [name for name, value in effects.items() if value >= 0]
    return Claim(
        "every augmentation helps on every task",
        not without,
        f"leaving one out is worse in {len(effects) - len(without)} of {len(effects)} cases"
        + (f"; not so {', '.join(without)}" if without else ""),
    )


def _most_important(name: str, datasets: tuple[str, ...], text: str) -> Callable[[_Numbers], Claim]:
    def check(numbers: _Numbers) -> Claim:
        found, others = [], []
        for dataset in datasets:
            effects = numbers.effects(dataset)
            ranked = sorted(effects, key=lambda row: effects[row])
            found.append(f"{dataset}: {', '.join(f'{row} {effects[row]:+.1f}' for row in ranked[:2])}")
            if ranked[0] != name:
                others.append(dataset)
        said = "; ".join(found).replace("-", "−")
        return Claim(text, not others, said + (f"; not on {', '.join(others)}" if others else ""))

    return check


def _reverberation(numbers: _Numbers) -> Claim:
    clean, far = numbers.effects("TIMIT")["Room Reverb"], numbers.effects("DIRHA")
    second = sorted(far.values())[1]
    return Claim(
        "reverberation does nothing for clean speech (TIMIT) and much for distant microphones (DIRHA)",
        abs(clean) < _NO_EFFECT and far["Room Reverb"] <= second,
        f"leaving it out changes TIMIT by {clean:+.1f} and DIRHA by {far['Room Reverb']:+.1f}".replace("-", "−"),
    )


CHECKS: tuple[Callable[[_Numbers], Claim], ...] = (
    _reconstruction_helps,
    _best(1, "IEMOCAP", "the best of Table 1 on emotions", False, 0.0),
    _best(2, "LibriSpeech test-clean", "the best of Table 2 on LibriSpeech", True, 0.0),
    _best(2, "TIMIT", "competitive on TIMIT", True, _COMPETITIVE),
    _every_augmentation_helps,
    _most_important("Noise", ("TIMIT", "DIRHA"), "noise is the most important augmentation for recognition"),
    _most_important("Freq Mask", ("IEMOCAP",), "the frequency mask is the most important augmentation for emotions"),
    _reverberation,
)


def notes() -> list[str]:
    """Notes that a reader of the tables needs in addition to the numbers."""
    return [
        f"Competitive: within {_COMPETITIVE:g} point of the best row. Nothing: less than {_NO_EFFECT} points.",
        "The caption of Table 4 calls its numbers accuracies; the text says that unweighted average recall (UAR) is the metric "
        "on IEMOCAP. Both words are kept here as they are printed.",
        "No number has a printed interval. On TIMIT the error rate of one recipe moves by about 0.2 from seed to seed, so "
        "differences of 0.0 to 0.3 in Table 4 say little.",
        "Table 3 is not here: of its rows a value is lost in the source that the numbers come from.",
    ]


def results_grid(table: int, title: str, own: Sequence[OwnScore] = ()) -> Grid:
    """Table 1 or 2: a row for each method, with the user's own below.

    Args:
      table: number of the table.
      title: of the grid.
      own: the user's scores; scores on one of the table's datasets, in its metric, are used.

    Returns:
      the table.
    """
    scores = [score for score in published_scores() if score.table == table]
    columns = list(dict.fromkeys((score.dataset, score.metric) for score in scores))
    value_of = {(score.row, score.dataset): score.value for score in scores}
    rows: list[list[str | TableEntry]] = []
    best = {
        column: (min if column[1] in _ERRORS else max)(score.value for score in scores if score.dataset == column[0])
        for column in columns
    }
    for row in dict.fromkeys(score.row for score in scores):
        first = next(score for score in scores if score.row == row)
        corpus = f"{first.pretraining}, {first.hours:g} h" if first.hours is not None else first.pretraining
        cells = [value_of.get((row, dataset)) for dataset, _ in columns]
        marked = [
            MISSING
            if value is None
            else TableEntry(_as_printed(value, column[1]), "best" if value == best[column] else "")
            for value, column in zip(cells, columns, strict=True)
        ]
        rows.append([row, corpus or MISSING, *marked])
    for features in dict.fromkeys(score.features for score in own):
        cells_here = [
            next(
                (_with_interval(score) for score in own if score.features == features and _is_of(score, column)),
                MISSING,
            )
            for column in columns
        ]
        if any(cell != MISSING for cell in cells_here):
            rows.append([f"{features} (here)", MISSING, *cells_here])
    headings = ["", "Pretrained on", *(f"{dataset}, {metric}" for dataset, metric in columns)]
    says = ["In percent, as printed, without intervals."]
    if any(str(row[0]).endswith("(here)") for row in rows):
        says.append("Here: your own, with 95% intervals.")
    return grid(title, headings, rows, says, n_labels=2)


def ablation_grid(own: Sequence[OwnScore] = ()) -> Grid:
    """Table 4: the effect of leaving out one augmentation, with frame accuracies of `jfewshot phones` below.

    Args:
      own: the user's scores; without frame accuracies among them, a row says that it waits for them.

    Returns:
      the table.
    """
    datasets = ("TIMIT", "DIRHA", "IEMOCAP")
    numbers = _Numbers(published_scores())
    whole = {dataset: numbers.of(4, dataset)["All"] for dataset in datasets}
    rows: list[list[str | TableEntry]] = [["All", *(f"{whole[dataset]:g}" for dataset in datasets)]]
    effects = {dataset: numbers.effects(dataset) for dataset in datasets}
    for name in effects["TIMIT"]:
        cells = [f"{effects[dataset][name]:+.1f}".replace("-", "−") for dataset in datasets]
        rows.append([f"without {name}", *cells])
    frames = [score for score in own if score.metric == FRAME_ACCURACY and _of_table_4(score, datasets)]
    for features in dict.fromkeys(score.features for score in frames):
        mine = {_of_table_4(score, datasets): score for score in frames if score.features == features}
        rows.append(
            [f"{features}, frames (here)", *(_with_interval(mine[of]) if of in mine else MISSING for of in datasets)]
        )
    if not frames:
        rows.append(["`jfewshot phones`, frames (here)", "waits for TIMIT", "waits for DIRHA", MISSING])
    says = [
        "Accuracy in percent (of IEMOCAP, UAR by the text), and differences from it.",
        "Here: frame accuracy of a classifier on TIMIT's own segmentation. Compare the order of differences between rows with "
        "the paper's, not values: its classifiers had Kaldi's alignments, and the paper does not say of what its accuracy is.",
    ]
    return grid("Table 4. Augmentations left out, pretraining on train-clean-100", ["", *datasets], rows, says)


def _of_table_4(score: OwnScore, datasets: Sequence[str]) -> str:
    """The column of Table 4 that a score belongs to: microphones and kinds of recordings stand behind DIRHA's name."""
    return next((name for name in datasets if _plain(score.dataset).startswith(_plain(name))), "")


def own_grid(own: Sequence[OwnScore]) -> Grid:
    """All of the user's own scores."""
    rows = [
        [score.task, score.dataset, score.features, score.metric, _with_interval(score), str(score.seeds)]
        for score in own
    ]
    headings = ["Task", "Dataset", "Features", "Metric", "Score", "Seeds"]
    return grid("Your own results", headings, rows, ["In percent, with 95% intervals."], n_labels=4)


def conclusions_grid() -> Grid:
    """The conclusions as a table."""
    rows = [["holds" if claim.holds else "does not hold", claim.text, claim.found] for claim in conclusions()]
    title = "What the paper concludes, in our words, checked against its published numbers"
    return grid(title, ["", "Conclusion", "Numbers"], rows, notes()[:1], n_labels=3)


def build_speech_simclr_report(folder: Path, own: Sequence[OwnScore] = ()) -> list[Grid]:
    """Write the page, and the tables.

    Args:
      folder: to write to.
      own: the user's scores.

    Returns:
      the tables: conclusions, Tables 1, 2 and 4, and the user's own where there are any.
    """
    writer = Writer(folder, ())
    tables = {
        "conclusions": conclusions_grid(),
        "table-1": results_grid(1, "Table 1. Emotion recognition", own),
        "table-2": results_grid(2, "Table 2. Speech recognition", own),
        "table-4": ablation_grid(own),
    }
    if own:
        tables["own"] = own_grid(own)
    blocks: dict[str, Block] = {name: TableBlock(writer.table(name, table)) for name, table in tables.items()}
    sections = [
        Section("conclusions", "Conclusions", (blocks["conclusions"], Prose(tuple(notes()[1:])))),
        *([Section("own", "Your own results", (blocks["own"],))] if own else []),
        Section("tables", "Tables 1, 2 and 4", tuple(blocks[name] for name in ("table-1", "table-2", "table-4"))),
    ]
    lead = "The published tables of Speech SimCLR (Jiang et al., Interspeech 2021)"
    lead += ", with your own results beside them." if own else " alone."
    writer.text("index.html", html_page(Document("Speech SimCLR, from its published numbers", lead, tuple(sections))))
    return list(tables.values())


def _is_of(score: OwnScore, column: tuple[str, str]) -> bool:
    """Whether a score is of a column's dataset and metric: the part of LibriSpeech stands behind its name."""
    dataset, metric = column
    return metric == score.metric and _plain(dataset) in (_plain(score.dataset), _plain(f"{score.dataset} test-clean"))


def _as_printed(value: float, metric: str) -> str:
    return f"{value:.{2 if metric == 'WER' else 1}f}"


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _with_interval(score: OwnScore) -> str:
    if score.low is None or score.high is None:
        return f"{100 * score.value:.1f}"
    return f"{100 * score.value:.1f} ({100 * score.low:.1f} to {100 * score.high:.1f})"
