"""Tables and figures of kept scores: how far probabilities can be trusted, and how many of the most certain answers
are wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

from jfewshot.reporting.conditions import Conditions, describe
from jfewshot.reporting.figures.curves import Curve, Panel
from jfewshot.reporting.grid import MISSING, Grid, grid
from jfewshot.reporting.labels import UpstreamNames
from jfewshot.reporting.trends import MOST_CURVES, Trend

Record = Mapping[str, Any]
CALIBRATION = ("nll", "nll_uncalibrated", "ece", "ece_uncalibrated", "aurc")
CONFIDENCES = ("probability", "score", "energy", "margin")
_MOST_ROWS = 400


def calibration_grid(records: Sequence[Record]) -> Grid | None:
    """Log-likelihood, calibration error and area under the risk-coverage curve of each result with scores; None without any.

    Args:
      records: as `read_results` gives them.
    """
    names = UpstreamNames(records)
    rows = []
    for record in _ordered([record for record in records if record.get("calibration")]):
        found = record["calibration"]
        nll, plain = found["nll"], found["nll_uncalibrated"]
        shares = (found[name] for name in ("ece", "ece_uncalibrated", "aurc"))
        top = (record.get("metrics") or {}).get("top_2_accuracy")
        rows.append(
            [
                describe(record["identity"]),
                str(record["dataset"]["name"]),
                names.of(record),
                *(number_text(one, 1.0, 3) for one in (nll, plain)),
                *(number_text(one, 100.0, 2) for one in shares),
                number_text(top, 100.0, 2),
            ]
        )
    if not rows:
        return None
    notes = [
        "NLL: mean of minus the logarithm of the probability of the right class, in nats. ECE: expected calibration error in 15 "
        "bins. AURC: area under the risk-coverage curve. Smaller is better for these three. ± is the 95% interval for other "
        "classes and clips, where it is known. Temperatures are fitted to left-out supports, and fixed at one shot "
        "(docs/scores.md)."
    ]
    if len(rows) > _MOST_ROWS:
        notes.append(f"{_MOST_ROWS} of {len(rows)} results are shown; exports/cells.csv has all.")
    headings = [
        *("Condition", "Dataset", "Upstream", "NLL", "NLL, no temperature", "ECE %", "ECE %, no temperature"),
        *("AURC %", "Top-2 %"),
    ]
    return grid("How far probabilities can be trusted", headings, rows[:_MOST_ROWS], notes, n_labels=3)


def open_set_grid(records: Sequence[Record]) -> Grid | None:
    """How well queries of unknown classes are recognised, by several confidence scores; None if no result has any.

    Args:
      records: as `read_results` gives them.
    """
    names = UpstreamNames(records)
    rows = [
        [
            describe(record["identity"]),
            str(record["dataset"]["name"]),
            names.of(record),
            *(
                number_text(record["open_set"][measure].get(score), 100.0, 1)
                for measure in ("auroc", "fpr95")
                for score in CONFIDENCES
            ),
        ]
        for record in _ordered([record for record in records if record.get("open_set") and record.get("calibration")])
    ]
    if not rows:
        return None
    notes = [
        "Queries of known classes against queries of classes without supports, in each episode, averaged over the episodes. "
        "AUROC: share of the pairs in which the known one has the higher confidence; larger is better. FPR95: share of the "
        "unknown ones that are accepted at the threshold that accepts 95% of the known ones; smaller is better. Confidence by "
        "the highest probability, the highest score, the energy, or the margin between the two highest scores (docs/scores.md)."
    ]
    if len(rows) > _MOST_ROWS:
        notes.append(f"{_MOST_ROWS} of {len(rows)} results are shown; exports/cells.csv has all.")
    headings = [f"{measure} %, {score}" for measure in ("AUROC", "FPR95") for score in CONFIDENCES]
    labels = ["Condition", "Dataset", "Upstream"]
    return grid("Unknown classes", [*labels, *headings], rows[:_MOST_ROWS], notes, n_labels=3)


def risk_trends(records: Sequence[Record], at_most: int) -> list[Trend]:
    """The accuracy of the most confident answers over the share of answered queries: 1 - risk over coverage.

    Args:
      records: as `read_results` gives them.
      at_most: how many conditions are drawn.

    Returns:
      one trend for each condition, with a panel for each dataset.
    """
    names, conditions = UpstreamNames(records), Conditions()
    found: dict[str, list[Record]] = {}
    for record in records:
        if (record.get("calibration") or {}).get("risk"):
            found.setdefault(conditions.key(record), []).append(record)
    trends = []
    for own in sorted(found.values(), key=lambda group: (-len(group), describe(group[0]["identity"])))[:at_most]:
        panels: dict[str, list[Curve]] = {}
        for record in own:
            points = [(100 * one["coverage"], 1 - one["risk"]) for one in record["calibration"]["risk"]]
            x, mean = zip(*points, strict=True)
            curve = Curve(names.of(record), x, mean, (float("nan"),) * len(x))
            panels.setdefault(str(record["dataset"]["name"]), []).append(curve)
        ticks = {x: f"{x:g}" for curves in panels.values() for curve in curves for x in curve.x}
        drawn = tuple(
            Panel(name, tuple(sorted(curves, key=lambda curve: -sum(curve.mean))[:MOST_CURVES]))
            for name, curves in sorted(panels.items())
        )
        title = describe(own[0]["identity"])
        trends.append(Trend("coverage", title, "answered queries, the surest first (%)", ticks, False, drawn))
    return trends


def number_text(number: Mapping[str, Any] | None, factor: float, digits: int) -> str:
    """`0.213 ± 0.024`, with the interval for the limited numbers of clips and classes; a dash if there is no number.

    Args:
      number: with the fields of a record's `accuracy`.
      factor: 100 for percent.
      digits: after the point.

    Returns:
      the text.
    """
    if number is None:
        return MISSING
    text, width = f"{factor * number['mean']:.{digits}f}", number.get("pool_ci95")
    return text if width is None else f"{text} ± {factor * width:.{digits}f}"


def _ordered(records: Sequence[Record]) -> list[Record]:
    return sorted(
        records,
        key=lambda one: (
            describe(one["identity"]),
            one["dataset"]["name"],
            one["calibration"]["nll"]["mean"],
            one["key"],
        ),
    )
