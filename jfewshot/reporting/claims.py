"""Every claim of the few-shot paper's text, checked against its published numbers.

A check computes its verdict and its sentence only from `Facts`, so other numbers give other verdicts. The paper does
not define some words, such as "strongly"; our definitions are the constants below and `thresholds`, which every report
prints.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from jfewshot.reporting import published
from jfewshot.reporting.published import OTHER_SOUNDS, REFERENCE_ROW, SPEECH, Superb, Table3
from jfewshot.statistics import Correlations, average_ranks, correlations, logit
from jfewshot.statistics.correlation import Method

# Sizes of a correlation, after Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), chapter 3.
MODERATE, STRONG = 0.3, 0.5
COMPETITIVE = 0.03  # below the best row
LITTLE_SPREAD = 0.10  # between the best and the worst encoder
MANY = 0.25  # of all pairs
HIGH_RANKS = 3
LARGER_SHARE = 0.5  # of the encoders with more parameters


def thresholds() -> list[str]:
    """Our definitions of the words of the claims."""
    return [
        f"A correlation is weak below {MODERATE} in size, moderate from there on and strong from {STRONG} on (Cohen 1988). "
        f"Competitive: less than {100 * COMPETITIVE:g} points below the best row. Varies little: the best and the worst encoder "
        f"are less than {100 * LITTLE_SPREAD:g} points apart. Many: at least {100 * MANY:g}% of all pairs. Ranks high: among the "
        f"first {HIGH_RANKS}. Above larger models: above at least half of the encoders with more parameters. Poorer: in the "
        "worse half."
    ]


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper, in our words, with the verdict from its numbers.

    Attributes:
      text: the claim.
      holds: whether the numbers support the claim.
      found: the numbers.
    """

    text: str
    holds: bool
    found: str


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """The numbers with which claims are checked.

    Attributes:
      table: Table 3.
      superb: SUPERB's metrics.
      parameters: number of parameters by model.
    """

    table: Table3
    superb: Superb
    parameters: dict[str, float]

    @functools.cached_property
    def matched(self) -> np.ndarray:
        """Table 3's accuracies of the encoders that SUPERB scored, in SUPERB's order."""
        return self.table.accuracy[[self.table.models.index(model) for model in self.superb.models]]

    @functools.cached_property
    def superb_score(self) -> np.ndarray:
        """SUPERB's overall score of each."""
        return published.superb_score(self.superb)

    @functools.cached_property
    def encoders(self) -> list[int]:
        """Rows of Table 3, without the paper's comparison."""
        return [row for row, model in enumerate(self.table.models) if model != REFERENCE_ROW]

    @functools.cached_property
    def reference(self) -> np.ndarray:
        """The comparison's accuracies."""
        return self.table.accuracy[self.table.models.index(REFERENCE_ROW)]

    @functools.cached_property
    def _found(self) -> dict[tuple, Correlations]:
        return {}

    def with_tasks(self, method: Method = "spearman", with_logit: bool = False) -> Correlations:
        """Every few-shot dataset against every SUPERB metric, error rates negated.

        Args:
          method: `spearman` or `pearson`.
          with_logit: take the logit of both first.
        """
        if (method, with_logit) not in self._found:
            outside = self.superb.higher_is_better()
            accuracy = self.matched
            if with_logit:
                outside, accuracy = np.sign(outside[0]) * logit(self.superb.values / 100), logit(accuracy)
            self._found[method, with_logit] = correlations(accuracy, outside, method)
        return self._found[method, with_logit]

    def with_score(self, method: Method = "spearman", with_logit: bool = False) -> Correlations:
        """Every few-shot dataset against SUPERB's overall score.

        Args:
          method: `spearman` or `pearson`.
          with_logit: take the logit of the accuracies first; the score is no share.
        """
        key = ("score", method, with_logit)
        if key not in self._found:
            accuracy = logit(self.matched) if with_logit else self.matched
            self._found[key] = correlations(accuracy, self.superb_score[:, None], method)
        return self._found[key]

    def of_pair(self, dataset: str, metric: str) -> float:
        """The rank correlation of a dataset with a metric, by their printed names."""
        row, column = self.table.datasets.index(dataset), self.superb.labels.index(metric)
        return float(self.with_tasks().coefficient[row, column])

    def of_score(self, dataset: str) -> float:
        """The rank correlation of a dataset with SUPERB's score."""
        return float(self.with_score().coefficient[self.table.datasets.index(dataset), 0])

    def column(self, dataset: str) -> np.ndarray:
        """All rows' accuracies on a dataset."""
        return self.table.accuracy[:, self.table.datasets.index(dataset)]


@functools.cache
def published_facts() -> Facts:
    """The numbers that ship with the package."""
    parameters = {row["title"]: float(row["n_parameters"]) for row in published.read_data_csv("upstreams.csv")}
    return Facts(published.table3(), published.superb(), parameters)


def claims(facts: Facts | None = None) -> list[Claim]:
    """Check every claim.

    Args:
      facts: the numbers; None for the published ones.
    """
    return [check(facts or published_facts()) for check in CHECKS]


def _average_column(facts: Facts) -> Claim:
    table = facts.table
    off = np.abs(table.accuracy.mean(axis=1) - table.average).max() * 100
    return Claim("Avg is the mean over the ten datasets", bool(off < 0.01), f"largest difference {off:.4f} points")


def _rank_column(facts: Facts) -> Claim:
    table = facts.table
    off = {m: np.abs(average_ranks(table.accuracy, m) - table.average_rank).max() for m in ("average", "min")}
    return Claim(
        "Avg Rank is over all 14 rows, MT-SLVR included",
        bool(off["average"] < 0.0501),
        f"largest difference {off['average']:.2f} with ties sharing their mean rank, "
        f"{off['min']:.2f} with the better rank for both",
    )


def _average_interval(facts: Facts) -> Claim:
    table = facts.table
    ours = np.sqrt((table.ci95**2).sum(axis=1)) / table.ci95.shape[1] * 100
    return Claim(
        "the Avg column's intervals follow from the cells'",
        bool(np.abs(ours - table.average_ci95 * 100).max() < 0.02),
        f"printed ±{table.average_ci95.min() * 100:.2f} to ±{table.average_ci95.max() * 100:.2f}; "
        f"the cells' own intervals give ±{ours.min():.2f} to ±{ours.max():.2f}; how it was computed is not published",
    )


def _best_by_average(facts: Facts) -> Claim:
    table = facts.table
    ranked = [row for row in np.argsort(-table.average) if row in facts.encoders]
    reference = table.average[table.models.index(REFERENCE_ROW)]
    return Claim(
        "HuBERT is the best upstream by average, then DistilHuBERT",
        [table.models[row] for row in ranked[:2]] == ["HuBERT Base", "DistilHuBERT"],
        ", ".join(f"{table.models[row]} {table.average[row] * 100:.2f}" for row in ranked[:3])
        + f"; {REFERENCE_ROW}, which is not one of the 13, has {reference * 100:.2f}",
    )


def _apc_by_rank(facts: Facts) -> Claim:
    table, parameters = facts.table, facts.parameters
    ranked = [table.models[row] for row in np.argsort(table.average_rank, kind="stable") if row in facts.encoders]
    rank = dict(zip(table.models, table.average_rank, strict=True))
    larger = [model for model in ranked if parameters[model] > parameters["APC"]]
    below = [model for model in larger if rank[model] > rank["APC"]]
    return Claim(
        "APC ranks high, above larger models",
        "APC" in ranked[:HIGH_RANKS] and bool(larger) and len(below) >= LARGER_SHARE * len(larger),
        ", ".join(f"{model} {rank[model]:.1f}" for model in ranked[:4])
        + f" by average rank; APC has {parameters['APC'] / 1e6:.2f} M parameters and stands above {len(below)} of the "
        f"{len(larger)} encoders with more",
    )


def _apc_on_scv2(facts: Facts) -> Claim:
    column = facts.column("SCv2")
    own = column[facts.table.models.index("APC")]
    place = 1 + int((column > own).sum())
    return Claim(
        "APC has poorer performance on SCv2",
        place > len(column) / 2,
        f"{_nth(place)} of {len(column)} with {100 * own:.2f}, the median is {100 * np.median(column):.2f}",
    )


def _speech_varies_little(facts: Facts) -> Claim:
    spread = {name: float(np.ptp(facts.column(name)[facts.encoders])) for name in SPEECH}
    others = [float(np.ptp(facts.column(name)[facts.encoders])) for name in OTHER_SOUNDS]
    wide = [name for name, value in spread.items() if value >= LITTLE_SPREAD]
    return Claim(
        "performance on the speech sets varies little over models",
        not wide,
        "best minus worst encoder, in points: "
        + ", ".join(f"{name} {100 * value:.1f}" for name, value in spread.items())
        + (f"; fails for {', '.join(wide)}" if wide else "")
        + f"; on other sounds {100 * min(others):.1f} to {100 * max(others):.1f}",
    )


def _suboptimal_pretraining(facts: Facts) -> Claim:
    found, worse = [], []
    for name in (name for name in SPEECH if name != "SCv2"):
        column, reference = facts.column(name), facts.reference[facts.table.datasets.index(name)]
        best = max(facts.encoders, key=lambda row: column[row])
        found.append(f"{name} {100 * reference:.2f} against {facts.table.models[best]}'s {100 * column[best]:.2f}")
        if column[best] >= reference:
            worse.append(name)
    return Claim(
        "for speech other than SCv2, pretraining on LibriSpeech is worse than on environmental sounds (MT-SLVR)",
        not worse,
        ", ".join(found) + (f": not so on {', '.join(worse)}" if worse else ""),
    )


def _best_on(dataset: str, text: str, margin: float) -> Callable[[Facts], Claim]:
    """A check that one of the upstreams is within `margin` of the best row of Table 3 (0: is the best)."""

    def check(facts: Facts) -> Claim:
        column, reference = facts.column(dataset), facts.reference[facts.table.datasets.index(dataset)]
        best = max(facts.encoders, key=lambda row: column[row])
        return Claim(
            text,
            bool(column[best] > reference - margin),
            f"{facts.table.models[best]} {column[best] * 100:.2f} against {REFERENCE_ROW}'s {reference * 100:.2f}",
        )

    return check


def _strongest_pair(facts: Facts) -> Claim:
    found = facts.with_tasks()

    def strongest(of: Correlations) -> tuple[str, tuple[int, int]]:
        row, column = divmod(int(np.nanargmax(np.abs(of.coefficient))), of.coefficient.shape[1])
        return f"{facts.table.datasets[row]}-{facts.superb.labels[column]}", (row, column)

    pair, place = strongest(found)
    raw, squashed = facts.with_tasks("pearson"), facts.with_tasks("pearson", with_logit=True)
    other_pair, other = strongest(squashed)
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
    return {0: "none is below 0.05", 1: "the only one below 0.05"}.get(count, f"one of {count} below 0.05")


def _negative_against_asr(facts: Facts) -> Claim:
    names = ("VoxCeleb", "Watkins")
    values = {name: facts.of_pair(name, "ASR") for name in facts.table.datasets}
    others = [f"{name} {value:.2f}" for name, value in values.items() if value < 0 and name not in names]
    high = facts.with_tasks().high[:, facts.superb.labels.index("ASR")]
    below = [name for name in names if high[facts.table.datasets.index(name)] < 0]
    return Claim(
        "VoxCeleb and Watkins are negatively correlated with ASR",
        all(values[name] < 0 for name in names),
        _listed(values, names)
        + (f" (so is {', '.join(others)})" if others else "")
        + f"; {'the interval of ' + ' and '.join(below) + ' excludes' if below else 'no interval excludes'} zero",
    )


def _many_negative(facts: Facts) -> Claim:
    values = facts.with_tasks().coefficient
    below, known = int((values < 0).sum()), int(np.isfinite(values).sum())
    return Claim(
        "many few-shot and SUPERB tasks are related negatively",
        below >= MANY * known,
        f"{below} of {known} coefficients are negative ({100 * below / known:.0f}%)",
    )


def _own_tasks_weakly(facts: Facts) -> Claim:
    pairs = {"VoxCeleb": "SID", "Crema-D": "ER"}
    values = {f"{name}-{metric}": facts.of_pair(name, metric) for name, metric in pairs.items()}
    return Claim(
        "VoxCeleb and Crema-D correlate weakly with SUPERB's own tasks of speakers and emotions",
        all(abs(value) < MODERATE for value in values.values()),
        _listed(values, list(values)),
    )


def _one_means_all(facts: Facts) -> Claim:
    values = dict(zip(facts.table.datasets, facts.with_tasks().coefficient, strict=True))
    related = {name: row for name, row in values.items() if np.nanmax(row) >= STRONG}
    exceptions = [
        f"{name}: up to {np.nanmax(row):.2f} ({facts.superb.labels[int(np.nanargmax(row))]}), and {np.nanmin(row):.2f} with "
        f"{facts.superb.labels[int(np.nanargmin(row))]}"
        for name, row in related.items()
        if np.nanmin(row) < MODERATE
    ]
    kept = [name for name in related if not any(text.startswith(f"{name}:") for text in exceptions)]
    return Claim(
        "sets that correlate with one of SUPERB's tasks correlate with all",
        bool(related) and not exceptions,
        (
            f"strongly with one, at least moderately with all: {', '.join(kept)}"
            if kept
            else "no set correlates strongly with one task and at least moderately with all"
        )
        + (f"; not so {'; '.join(exceptions)}" if exceptions else ""),
    )


def _speech_is_nearer(facts: Facts) -> Claim:
    speech, other = ("SCv2", "SAA", "CommonVoice"), ("ESC-50", "Kaggle18", "Watkins", "BirdClef")
    value = {name: facts.of_score(name) for name in (*speech, *other)}
    return Claim(
        "SCv2, SAA and Common Voice correlate more with SUPERB than environmental and animal sounds do",
        min(value[name] for name in speech) > max(value[name] for name in other),
        "; ".join(_listed(value, names) for names in (speech, other)),
    )


def _all_of_speech(facts: Facts) -> Claim:
    value = {name: facts.of_score(name) for name in SPEECH}
    not_so = [name for name in SPEECH if value[name] < STRONG]
    return Claim(
        "speech-based few-shot problems correlate strongly with other tasks (abstract)",
        not not_so,
        f"{_listed(value, SPEECH)} with SUPERB's score: true of {len(SPEECH) - len(not_so)} of {len(SPEECH)}"
        + (f"; not of {', '.join(not_so)}" if not_so else ""),
    )


def _animals_moderately(facts: Facts) -> Claim:
    names = ("Watkins", "BirdClef")
    value = {name: facts.of_score(name) for name in names}
    found = facts.with_score()
    rows = [facts.table.datasets.index(name) for name in names]
    contain = [name for name, row in zip(names, rows, strict=True) if found.low[row, 0] < 0 < found.high[row, 0]]
    sign = "opposite in sign" if np.prod(list(value.values())) < 0 else "alike in sign"
    intervals = {0: "no interval contains zero", 2: "both intervals contain zero"}
    return Claim(
        "animal sounds are moderately related to SUPERB",
        all(MODERATE <= abs(number) < STRONG for number in value.values()),
        f"{_listed(value, names)}: "
        + " and ".join(dict.fromkeys(_size(value[name]) for name in names))
        + f" in size, {sign}, and {intervals.get(len(contain), 'the interval of ' + ''.join(contain) + ' contains zero')}",
    )


def _listed(values: dict[str, float], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {values[name]:.2f}" for name in names)


def _size(coefficient: float) -> str:
    size = abs(coefficient)
    return "weak" if size < MODERATE else "moderate" if size < STRONG else "strong"


def _nth(place: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th") if place % 100 not in (11, 12, 13) else "th"
    return f"{place}{ending}"


CHECKS: tuple[Callable[[Facts], Claim], ...] = (
    _average_column,
    _rank_column,
    _average_interval,
    _best_by_average,
    _apc_by_rank,
    _apc_on_scv2,
    _best_on("SCv2", "an upstream is the new best on SCv2", 0.0),
    _best_on("Kaggle18", "the upstreams are best or competitive on Kaggle18", COMPETITIVE),
    _best_on("NSynth", "the upstreams are best or competitive on NSynth", COMPETITIVE),
    _best_on("BirdClef", "the upstreams are best or competitive on BirdClef", COMPETITIVE),
    _speech_varies_little,
    _suboptimal_pretraining,
    _strongest_pair,
    _negative_against_asr,
    _many_negative,
    _own_tasks_weakly,
    _one_means_all,
    _speech_is_nearer,
    _all_of_speech,
    _animals_moderately,
)
