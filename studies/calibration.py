"""How do temperatures change probabilities at 1, 5 and 20 shots, and which score separates known from unknown classes?

    python -m studies.calibration --json benchmarks/measured/calibration.json --figure docs/images/calibration.png

Each of the 32 sample cells is evaluated with three classifiers at 5 ways, on one segment of each clip. At one shot, other fixed
temperatures are tried as well, on other episodes (seed 777). `TEMPERATURE` is the best of these temperatures on average over the
cells. For unknown classes, episodes have 3 known and 3 unknown classes, because the smallest dataset has 6 classes. The study
takes about three minutes on two cores.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import jfewshot
from benchmarks.tools.measuring import write_json
from benchmarks.tools.samples import opened_samples
from jfewshot._version import made_with
from jfewshot.classifiers.calibration import TEMPERATURE
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.statistics.calibration import log_losses, tempered
from jfewshot.store import Store

SHOTS, EPISODES, N_QUERY, N_WAY = (1, 5, 20), 100, 10, 5
CLASSIFIERS = ("logistic", "ridge", "centroid")
UNKNOWN = 3
NUMBERS = ("nll", "nll_uncalibrated", "ece", "ece_uncalibrated", "aurc")
# Fixed temperatures that are tried at one shot, in steps of a quarter octave around the temperature in use.
TRIED = TEMPERATURE * 2.0 ** (np.arange(-12, 13) / 4)


def measure(evaluator: Evaluator) -> list[dict[str, Any]]:
    """The numbers of each cell, classifier and number of shots.

    Args:
      evaluator: the evaluator, which all cells share.

    Returns:
      one entry for each cell.
    """
    found = []
    for store in opened_samples():
        cell: dict[str, Any] = {"dataset": store.dataset, "upstream": store.upstream}
        for shots in SHOTS:
            for name, record in zip(CLASSIFIERS, _records(store, shots, 42, evaluator), strict=True):
                said = record["calibration"]
                entry = {number: round(said[number]["mean"], 4) for number in NUMBERS}
                risks = {one["coverage"]: one["risk"] for one in said["risk"]}
                entry |= {"accuracy": round(record["accuracy"]["mean"], 4), "risk_at_half": round(risks[0.5], 4)}
                cell[f"{name}, {shots} shots"] = entry
        cell["one shot by temperature"] = {
            name: [round(loss, 4) for loss in _losses(record)]
            for name, record in zip(CLASSIFIERS, _records(store, 1, 777, evaluator), strict=True)
        }
        for shots in SHOTS[:2]:
            records = _records(store, shots, 42, evaluator, ways=UNKNOWN, unknown_ways=UNKNOWN)
            for name, record in zip(CLASSIFIERS, records, strict=True):
                for measure in ("auroc", "fpr95"):
                    said = record["open_set"][measure]
                    by_score = {score: round(number["mean"], 4) for score, number in said.items()}
                    cell.setdefault(f"unknown classes, {name}, {shots} shots", {})[measure] = by_score
        found.append(cell)
    return found


def _records(store: Store, shots: int, seed: int, evaluator: Evaluator, **settings: Any) -> list[dict[str, Any]]:
    return jfewshot.evaluate(
        store,
        classifiers=CLASSIFIERS,
        shots=shots,
        n_query=N_QUERY,
        n_episodes=EPISODES,
        seed=seed,
        keep="scores",
        query_segments="one",
        evaluator=evaluator,
        **{"ways": N_WAY, **settings},
    )


def _losses(record: dict[str, Any]) -> list[float]:
    """The negative log-likelihood at each temperature of `TRIED`."""
    kept = record["scores"].log_probability
    true = np.repeat(np.arange(N_WAY), N_QUERY)
    return [float(log_losses(tempered(kept, np.full(len(kept), TEMPERATURE / tried)), true).mean()) for tried in TRIED]


def summary(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the cells, and the cells in which temperatures make probabilities worse.

    Args:
      cells: from `measure`.
    """
    table: dict[str, Any] = {}
    for shots in SHOTS:
        for name in CLASSIFIERS:
            own = [cell[f"{name}, {shots} shots"] for cell in cells]
            entry: dict[str, Any] = {
                number: round(float(np.mean([one[number] for one in own])), 4) for number in own[0]
            }
            gain = np.array([one["nll_uncalibrated"] - one["nll"] for one in own])
            worst = int(gain.argmin())
            entry |= {
                "cells_with_less_nll": int((gain > 0).sum()),
                "cells_with_less_ece": sum(one["ece"] < one["ece_uncalibrated"] for one in own),
                "least_gain": [cells[worst]["dataset"], cells[worst]["upstream"], round(float(gain[worst]), 4)],
            }
            table[f"{name}, {shots} shots"] = entry
    table["unknown classes"] = unknown_summary(cells)
    tried = {name: np.array([cell["one shot by temperature"][name] for cell in cells]) for name in CLASSIFIERS}
    table["one shot by temperature"] = {
        name: {
            "best": round(float(TRIED[losses.mean(0).argmin()]), 3),
            "nll": round(float(losses.mean(0).min()), 4),
            "nll_best_of_each_cell": round(float(losses.min(1).mean()), 4),
            "quartiles_of_best": np.quantile(TRIED[losses.argmin(1)], [0.25, 0.5, 0.75]).round(3).tolist(),
        }
        for name, losses in tried.items()
    }
    return table


def unknown_summary(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the cells by confidence score, and in how many cells each score is the best.

    Args:
      cells: from `measure`.
    """
    table: dict[str, Any] = {}
    for shots in SHOTS[:2]:
        for name in CLASSIFIERS:
            own = [cell[f"unknown classes, {name}, {shots} shots"] for cell in cells]
            scores = list(own[0]["auroc"])
            areas = np.array([[one["auroc"][score] for score in scores] for one in own])
            false = np.array([[one["fpr95"][score] for score in scores] for one in own])
            table[f"{name}, {shots} shots"] = {
                score: {
                    "auroc": round(float(areas[:, i].mean()), 4),
                    "fpr95": round(float(false[:, i].mean()), 4),
                    "best_in": int((areas.argmax(1) == i).sum()),
                    "below_half_in": int((areas[:, i] < 0.5).sum()),
                }
                for i, score in enumerate(scores)
            }
    return table


def draw(means: dict[str, Any], path: Path) -> None:
    """Draw calibration errors without and with temperatures, and how well scores separate known from unknown classes.

    Args:
      means: the result of `summary`.
      path: the PNG file to write.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, name in enumerate(CLASSIFIERS):
        for key, style in (("ece_uncalibrated", ":"), ("ece", "-")):
            errors = [100 * means[f"{name}, {shots} shots"][key] for shots in SHOTS]
            words = "not fitted" if style == ":" else "fitted"
            left.plot(range(len(SHOTS)), errors, style, marker="o", color=f"C{number}", label=f"{name}, {words}")
    left.set(
        xticks=range(len(SHOTS)), xticklabels=SHOTS, xlabel="shots", ylabel="calibration error (%)", ylim=(0, None)
    )
    left.legend(fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    for number, name in enumerate(CLASSIFIERS):
        for shots, style in zip(SHOTS[:2], (":", "-"), strict=True):
            found = means["unknown classes"][f"{name}, {shots} shots"]
            areas = [100 * found[score]["auroc"] for score in found]
            label = f"{name}, {shots} shot{'s' * (shots > 1)}"
            right.plot(range(len(found)), areas, style, marker="o", color=f"C{number}", label=label)
            right.set(xticks=range(len(found)), xticklabels=list(found))
    right.set(xlabel="confidence score", ylabel="AUROC, known against unknown (%)")
    right.legend(fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main(arguments: list[str]) -> int:
    """Measure, write the JSON, and print the means.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument("--figure", type=Path, help="PNG file for the figure of the means")
    options = parser.parse_args(arguments)
    jfewshot.use_all_cores()
    cells = measure(Evaluator())
    found: dict[str, Any] = {
        "made_with": made_with("jax", "numpy"),
        "episodes": EPISODES,
        "means": summary(cells),
        "cells": cells,
    }
    write_json(options.json, found, a_line_each=True)
    if options.figure is not None:
        draw(found["means"], options.figure)
    sys.stdout.write(json.dumps(found["means"], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
