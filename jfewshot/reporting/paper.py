"""The few-shot paper from its published numbers: its tables, and every claim of its text checked against them."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from jfewshot.reporting import published
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.leaderboard import best_and_second
from jfewshot.reporting.published import OTHER_SOUNDS, REFERENCE_ROW, SPEECH
from jfewshot.statistics import Correlations, average_ranks, correlations, logit
from jfewshot.statistics.correlation import Method


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence of the paper, in our words, with what its numbers say.

    Attributes:
      text: what is claimed.
      holds: whether the shipped numbers bear it out.
      found: the numbers.
    """

    text: str
    holds: bool
    found: str


@dataclasses.dataclass(frozen=True, eq=False)
class Matched:
    """Table 3 and SUPERB over the 13 upstreams that both have, rows in SUPERB's order."""

    models: tuple[str, ...]
    accuracy: np.ndarray
    superb: published.Superb
    score: np.ndarray


def matched() -> Matched:
    """Accuracies and SUPERB metrics of the same upstreams."""
    table, scores = published.table3(), published.superb()
    rows = [table.models.index(model) for model in scores.models]
    return Matched(scores.models, table.accuracy[rows], scores, published.superb_score(scores))


@functools.cache
def superb_correlations(method: Method = "spearman", with_logit: bool = False) -> Correlations:
    """Every few-shot dataset against every SUPERB metric, error rates negated; with the logit of both if asked for."""
    both = matched()
    outside = both.superb.higher_is_better()
    if with_logit:
        sign = np.sign(outside[0])
        outside = sign * logit(both.superb.values / 100)
    return correlations(logit(both.accuracy) if with_logit else both.accuracy, outside, method)


@functools.cache
def score_correlations(method: Method = "spearman") -> Correlations:
    """Every few-shot dataset against SUPERB's overall score."""
    both = matched()
    return correlations(both.accuracy, both.score[:, None], method)


def claims() -> list[Claim]:
    """Every claim, checked."""
    return [check() for check in _CHECKS]


def _average_column() -> Claim:
    table = published.table3()
    off = np.abs(table.accuracy.mean(axis=1) - table.average).max() * 100
    return Claim("Avg is the mean over the ten datasets", bool(off < 0.01), f"largest difference {off:.4f} points")


def _rank_column() -> Claim:
    table = published.table3()
    off = {m: np.abs(average_ranks(table.accuracy, m) - table.average_rank).max() for m in ("average", "min")}
    return Claim(
        "Avg Rank is over all 14 rows, MT-SLVR included",
        bool(off["average"] < 0.0501),
        f"largest difference {off['average']:.2f} with ties sharing their mean rank, "
        f"{off['min']:.2f} with the better rank for both",
    )


def _average_interval() -> Claim:
    table = published.table3()
    ours = np.sqrt((table.ci95**2).sum(axis=1)) / table.ci95.shape[1] * 100
    return Claim(
        "the Avg column's intervals follow from the cells'",
        bool(np.abs(ours - table.average_ci95 * 100).max() < 0.02),
        f"printed ±{table.average_ci95.min() * 100:.2f} to ±{table.average_ci95.max() * 100:.2f}; "
        f"the cells' own intervals give ±{ours.min():.2f} to ±{ours.max():.2f}; how it was computed is not published",
    )


def _strongest_pair() -> Claim:
    found = superb_correlations()
    place = np.unravel_index(np.nanargmax(np.abs(found.coefficient)), found.coefficient.shape)
    table, scores = published.table3(), published.superb()
    pair = f"{table.datasets[place[0]]}-{scores.labels[place[1]]}"
    raw, squashed = superb_correlations("pearson"), superb_correlations("pearson", with_logit=True)
    other = np.unravel_index(np.nanargmax(np.abs(squashed.coefficient)), squashed.coefficient.shape)
    other_pair = f"{table.datasets[other[0]]}-{scores.labels[other[1]]}"
    return Claim(
        "SCv2 and QbE correlate most strongly",
        pair == "SCv2-QbE",
        f"{pair}: Spearman {found.coefficient[place]:.2f} [{found.low[place]:.2f}, {found.high[place]:.2f}], "
        f"p = {found.p_holm[place]:.3f} after Holm over {np.isfinite(found.p_holm).sum()} pairs, "
        f"{_significant(found)}. Pearson {raw.coefficient[place]:.2f}; with the logit "
        f"{squashed.coefficient[place]:.2f}, where the strongest is {other_pair} ({squashed.coefficient[other]:.2f})",
    )


def _significant(found: Correlations) -> str:
    count = int((found.p_holm < 0.05).sum())
    return "the only one below 0.05" if count == 1 else f"one of {count} below 0.05"


def _negative_against_asr() -> Claim:
    found, table, scores = superb_correlations(), published.table3(), published.superb()
    asr = scores.labels.index("ASR")
    values = {name: found.coefficient[table.datasets.index(name), asr] for name in ("VoxCeleb", "Watkins")}
    others = [
        f"{name} {value:.2f}"
        for name, value in zip(table.datasets, found.coefficient[:, asr], strict=True)
        if value < 0 and name not in values
    ]
    return Claim(
        "VoxCeleb and Watkins are negatively correlated with ASR",
        all(bool(value < 0) for value in values.values()),
        ", ".join(f"{name} {value:.2f}" for name, value in values.items())
        + (f" (so is {', '.join(others)})" if others else "")
        + "; no interval excludes zero"
        * bool((found.high[[table.datasets.index(name) for name in values], asr] > 0).all()),
    )


def _speech_is_nearer() -> Claim:
    found, datasets = score_correlations(), published.table3().datasets
    value = dict(zip(datasets, found.coefficient[:, 0], strict=True))
    speech, other = ("SCv2", "SAA", "CommonVoice"), ("ESC-50", "Kaggle18", "Watkins", "BirdClef")
    return Claim(
        "SCv2, SAA and Common Voice correlate more with SUPERB than environmental and animal sounds do",
        bool(min(value[name] for name in speech) > max(value[name] for name in other)),
        "; ".join(", ".join(f"{name} {value[name]:.2f}" for name in names) for names in (speech, other)),
    )


def _all_of_speech() -> Claim:
    found, datasets = score_correlations(), published.table3().datasets
    value = dict(zip(datasets, found.coefficient[:, 0], strict=True))
    return Claim(
        "speech-based few-shot problems correlate strongly with other tasks (abstract)",
        all(value[name] > 0.3 for name in SPEECH),
        ", ".join(f"{name} {value[name]:.2f}" for name in SPEECH)
        + " with SUPERB's score: true of three; VoxCeleb (speakers) and Crema-D (emotions) are speech, and do not",
    )


def _best_by_average() -> Claim:
    table = published.table3()
    ranked = [i for i in np.argsort(-table.average) if table.models[i] != REFERENCE_ROW]
    reference = table.average[table.models.index(REFERENCE_ROW)]
    return Claim(
        "HuBERT is the best upstream by average, then DistilHuBERT",
        [table.models[i] for i in ranked[:2]] == ["HuBERT Base", "DistilHuBERT"],
        ", ".join(f"{table.models[i]} {table.average[i] * 100:.2f}" for i in ranked[:3])
        + f"; {REFERENCE_ROW}, which is not one of the 13, has {reference * 100:.2f}",
    )


def _apc_by_rank() -> Claim:
    table = published.table3()
    ranked = [i for i in np.argsort(table.average_rank) if table.models[i] != REFERENCE_ROW]
    return Claim(
        "APC ranks high, above larger models",
        "APC" in [table.models[i] for i in ranked[:3]],
        ", ".join(f"{table.models[i]} {table.average_rank[i]:.1f}" for i in ranked[:4]) + " by average rank",
    )


def _best_on(dataset: str, text: str, margin: float) -> Callable[[], Claim]:
    """A check that one of the upstreams is within `margin` of the best row of Table 3 (0: is the best)."""

    def check() -> Claim:
        table = published.table3()
        column = table.accuracy[:, table.datasets.index(dataset)]
        reference = table.models.index(REFERENCE_ROW)
        ours = np.where(np.arange(len(column)) == reference, -1, column)
        best = int(np.argmax(ours))
        return Claim(
            text,
            bool(ours[best] > column[reference] - margin),
            f"{table.models[best]} {ours[best] * 100:.2f} against {REFERENCE_ROW}'s {column[reference] * 100:.2f}",
        )

    return check


def _animals_moderately() -> Claim:
    found, datasets = score_correlations(), published.table3().datasets
    rows = {name: datasets.index(name) for name in ("Watkins", "BirdClef")}
    values = {name: found.coefficient[row, 0] for name, row in rows.items()}
    inside = all(found.low[row, 0] < 0 < found.high[row, 0] for row in rows.values())
    return Claim(
        "animal sounds are moderately related to SUPERB",
        all(0.3 <= abs(value) < 0.7 for value in values.values()),
        ", ".join(f"{name} {value:.2f}" for name, value in values.items())
        + ": moderate in size, opposite in sign"
        + (", and both intervals contain zero" if inside else ""),
    )


_CHECKS: tuple[Callable[[], Claim], ...] = (
    _average_column,
    _rank_column,
    _average_interval,
    _best_by_average,
    _apc_by_rank,
    _best_on("SCv2", "an upstream is the new best on SCv2", 0.0),
    _best_on("Kaggle18", "the upstreams are best or competitive on Kaggle18", 0.03),
    _best_on("NSynth", "the upstreams are best or competitive on NSynth", 0.03),
    _best_on("BirdClef", "the upstreams are best or competitive on BirdClef", 0.03),
    _strongest_pair,
    _negative_against_asr,
    _speech_is_nearer,
    _all_of_speech,
    _animals_moderately,
)


def notes() -> list[str]:
    """What a reader of the paper's comparison has to know and the numbers do not say."""
    named = [
        f"{row['title']}: {row['superb_checkpoint_note'].rstrip('.')}."
        for row in published.read_data_csv("upstreams.csv")
        if row["superb_checkpoint_note"]
    ]
    return [
        "Coefficients are Spearman's; the paper says Pearson in its text and Spearman under its figures, and only "
        "Spearman reproduces its numbers.",
        "Some upstreams were scored by SUPERB with another checkpoint or layer than the few-shot paper used, which "
        "weakens every correlation: " + " ".join(named),
        "With 13 related upstreams, bootstrap intervals of a coefficient are about 0.8 to 1.2 wide.",
    ]


def table_1() -> Grid:
    """The 13 upstreams, from what the package knows, with SUPERB's printed parameter counts where they differ."""
    superb = {row["model"]: float(row["superb_params"]) for row in published.read_data_csv("superb.csv")}
    rows, remarks = [], []
    for row in published.read_data_csv("upstreams.csv"):
        counted, printed = float(row["n_parameters"]), superb[row["title"]]
        rows.append([row["title"], row["objective"], row["network"], row["input"], f"{counted / 1e6:.2f} M"])
        if abs(counted - printed) > 0.02e6:
            remarks.append(f"{row['title']} {counted / 1e6:.2f} M here, {printed / 1e6:.2f} M there")
    note = "Parameters are counted in the checkpoints. SUPERB prints others for: " + "; ".join(remarks) + "."
    headings = ["Upstream", "Objective", "Network", "Input", "Parameters"]
    return grid("Table 1. Upstreams", headings, rows, [note], n_labels=4)


def table_2() -> Grid:
    """The ten datasets, from what the package knows."""
    rows = [
        [r["title"], r["class_is"], r["classes_test"], r["classes"], f"{int(r['clips']):,}", r["clip_length"]]
        for r in published.read_data_csv("datasets.csv")
    ]
    remarks = " ".join(f"{r['title']}: {r['note']}." for r in published.read_data_csv("datasets.csv"))
    headings = ["Dataset", "A class is", "Classes at test", "of", "Clips", "Clip length"]
    return grid("Table 2. Datasets", headings, rows, [remarks], n_labels=2)


def table_3() -> Grid:
    """Table 3 with Avg and Avg Rank computed from its cells."""
    table = published.table3()
    average, rank = table.accuracy.mean(axis=1), average_ranks(table.accuracy, "min")
    marks = [best_and_second(column) for column in table.accuracy.T] + [best_and_second(average)]
    marks.append(best_and_second(rank, largest=False))
    rows: list[list[str | TableEntry]] = []
    for i, model in enumerate(table.models):
        pairs = zip(table.accuracy[i], table.ci95[i], strict=True)
        texts = [*(f"{100 * m:.2f} ± {100 * c:.2f}" for m, c in pairs), f"{100 * average[i]:.2f}", f"{rank[i]:.1f}"]
        rows.append([model, *(TableEntry(text, mark[i]) for text, mark in zip(texts, marks, strict=True))])
    notes = [
        "Accuracy in percent, mean ± 95% interval over 10,000 episodes, 5-way 1-shot, one query per class, as "
        "published (arXiv 2402.01274). Avg and Avg Rank are computed here; of equal accuracies both have the better "
        "rank, as in print."
    ]
    return grid("Table 3. Published few-shot accuracy", ["Upstream", *table.datasets, "Avg", "Avg Rank"], rows, notes)


def claims_grid() -> Grid:
    """The claims as a table."""
    rows = [["holds" if claim.holds else "does not hold", claim.text, claim.found] for claim in claims()]
    return grid(
        "Claims of the paper, checked against its published numbers", ["", "Claim", "Numbers"], rows, n_labels=3
    )


def correlation_grid(found: Correlations, tasks: tuple[str, ...], metrics: tuple[str, ...], title: str) -> Grid:
    """Tabulate coefficients with their intervals; those that are significant after Holm's correction are marked.

    Args:
      found: the coefficients.
      tasks: names of the rows.
      metrics: names of the columns.
      title: title of the table.

    Returns:
      the table.
    """
    rows: list[list[str | TableEntry]] = []
    for t, task in enumerate(tasks):
        row: list[str | TableEntry] = [task]
        for m in range(len(metrics)):
            value = found.coefficient[t, m]
            text = MISSING if np.isnan(value) else f"{value:.2f} [{found.low[t, m]:.2f}, {found.high[t, m]:.2f}]"
            row.append(f"{text}*" if found.p_holm[t, m] < 0.05 else text)
        rows.append(row)
    notes = [
        f"95% bootstrap intervals over {int(found.n.max())} upstreams. "
        "*: permutation p below 0.05 after Holm over the whole table."
    ]
    return grid(title, ["", *metrics], rows, notes)


def figure_order() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Datasets of Figure 1's two rows: speech on top, the others below."""
    return SPEECH, OTHER_SOUNDS
