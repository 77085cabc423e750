"""Do the 90% intervals of extrapolated "labels per class" hold the true number in 90% of cases?

    jfewshot run --shots 1 2 3 5 8 12 20 --episodes 500 --classifiers ridge:alpha=auto logistic centroid --out results
    python -m studies.learning_curves --results results --json benchmarks/measured/learning_curves.json

The first command takes some minutes on two cores, and the second about one minute. There are two checks:

- `simulated`: curves of four known laws, with the random errors of 1,000 episodes and one error that all points of a curve share.
  For each curve the target is the true accuracy at a number of labels between one and ten times the last number of labels. The
  check counts how often the interval of the number of labels holds the true number. A fifth kind of curve comes from
  nearest-centroid episodes on pools of clips that are sampled from a population, with errors from `pool_interval`. Here the check
  counts how often the interval of the accuracy holds the population's accuracy at 16 and 40 labels.
- `held_out`: the 32 sample cells at 1, 2, 3, 5, 8, 12 and 20 shots, with each classifier of the results. A law that is fitted to
  the first five points predicts the last two. The check counts how often the 90% interval holds these points, and reports its
  width in points of accuracy. `curves` holds the accuracies.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from benchmarks.tools.measuring import write_json
from jfewshot._version import made_with
from jfewshot.reporting.conditions import classifier_words
from jfewshot.results import read_results
from jfewshot.statistics import correct_from_predicted, pool_interval
from jfewshot.statistics.intervals import Z95
from jfewshot.statistics.law import predict_curve
from jfewshot.statistics.needed import FARTHEST, labels_beyond

SHOTS = (1, 2, 3, 5, 8, 12, 20)
N_WAY, N_EPISODES = 5, 1000
EPISODES = 500  # number of episodes of a sample cell
Curve = Callable[[np.ndarray], np.ndarray]
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(60)


def power_law(rng: np.random.Generator) -> Curve:
    """A curve whose error falls as a power of the number of labels, towards a floor."""
    floor, gain, exponent = rng.uniform(0, 0.35), rng.uniform(0.1, 0.7), rng.uniform(0.1, 1.0)
    return lambda k: 1 - floor - gain * k**-exponent


def noisy_centroids(rng: np.random.Generator) -> Curve:
    """A curve of nearest-centroid classification, in which more labels reduce the noise of the class centres."""
    distance, noise = rng.uniform(0.5, 4), np.exp(rng.uniform(np.log(0.5), np.log(40)))
    weights = _WEIGHTS / _WEIGHTS.sum()

    def accuracy(k: np.ndarray) -> np.ndarray:
        apart = distance / np.sqrt(1 + noise / k)
        return special.ndtr(_NODES + apart[..., None]) ** (N_WAY - 1) @ weights

    return accuracy


def stretched_exponential(rng: np.random.Generator) -> Curve:
    """A curve that saturates faster than any power law."""
    ceiling, gain = rng.uniform(0.4, 1.0), rng.uniform(0.1, 0.6)
    scale, exponent = np.exp(rng.uniform(np.log(2), np.log(60))), rng.uniform(0.3, 0.8)
    return lambda k: ceiling - gain * np.exp(-((k / scale) ** exponent))


def straight_line(rng: np.random.Generator) -> Curve:
    """A curve that is a straight line on a probit scale, over the logarithm of the number of labels."""
    level, slope = rng.uniform(-0.6, 0.8), rng.uniform(0.1, 0.45)
    return lambda k: special.ndtr(level + slope * np.log(k))


LAWS = (power_law, noisy_centroids, stretched_exponential, straight_line)


def simulated(n_curves: int, seed: int = 0) -> dict[str, float]:
    """How often the interval of the labels holds the true number.

    Args:
      n_curves: number of curves of each law.
      seed: seed of the curves and of their errors.

    Returns:
      the share for each law, and for all laws together as `all`.
    """
    held: dict[str, float] = {
        law.__name__: _covers(law, n_curves, np.random.default_rng([seed, n])) for n, law in enumerate(LAWS)
    }
    return {**held, "all": float(np.mean(list(held.values())))}


def _covers(law: Callable[[np.random.Generator], Curve], n_curves: int, rng: np.random.Generator) -> float:
    shots, hits, made = np.array(SHOTS, dtype=float), 0, 0
    while made < n_curves:
        curve = law(rng)
        true = curve(shots)
        labels = shots[-1] * FARTHEST ** rng.uniform(0.05, 1)
        if not 0.22 < true[0] < 0.9 or true[-1] > 0.97:
            continue
        made += 1
        error = 0.4 * np.sqrt(true * (1 - true) / N_EPISODES)  # accuracies of episodes vary less than single queries
        shared = rng.uniform(0, 0.02)
        moved = special.ndtr(special.ndtri(true) + shared * rng.standard_normal() / _density(true[-1]))
        seen = np.clip(moved + error * rng.standard_normal(len(shots)), 0.01, 0.999)
        found = labels_beyond(SHOTS, seen, error, [float(curve(np.array([labels]))[0])], shared)
        if found is None:  # no law was fitted, because the curve seemed to fall
            made -= 1
            continue
        low, high = found[0].low, found[0].high
        hits += int(low is not None and low <= np.ceil(labels) and (high is None or labels <= high))
    return hits / n_curves


def _density(share: float) -> float:
    return float(np.exp(-0.5 * special.ndtri(share) ** 2) / np.sqrt(2 * np.pi))


def populations(n_pools: int, n_episodes: int = 400, n_true: int = 20_000, seed: int = 0) -> float:
    """How often the interval of a predicted accuracy holds the accuracy on the population from which the clips were sampled.

    The population has eight Gaussian classes in 6 dimensions. A pool has 40 new clips of each class. Curves over 1 to 8 shots
    predict the accuracy at 16 and 40 shots.

    Args:
      n_pools: number of pools.
      n_episodes: number of nearest-centroid episodes for each pool and number of shots.
      n_true: number of episodes with new clips that measure the population's accuracy.
      seed: seed of all random numbers.
    """
    rng, shots, at = np.random.default_rng(seed), SHOTS[:5], (16, 40)
    n_classes, n_clips, n_query = 8, 40, 10
    means, spreads = rng.standard_normal((n_classes, 6)), np.exp(0.4 * rng.standard_normal(n_classes))
    true = np.array([_fresh(rng, means, spreads, k, n_true).mean() for k in at])
    labels, hits = np.repeat(np.arange(n_classes), n_clips), 0
    for _ in range(n_pools):
        noise = rng.standard_normal((n_classes, n_clips, 6))
        pool = (means[:, None] + 1.2 * spreads[:, None, None] * noise).reshape(-1, 6)
        classes = np.argsort(rng.random((n_episodes, n_classes)), axis=1)[:, :N_WAY]
        within = np.argsort(rng.random((n_episodes, N_WAY, n_clips)), axis=2)
        clips = classes[:, :, None] * n_clips + within
        found = []
        for k in shots:
            drawn = np.concatenate([clips[:, :, n_query : n_query + k], clips[:, :, :n_query]], axis=2)
            predicted = _nearest(pool[drawn[:, :, :k]].mean(axis=2), pool[drawn[:, :, k:]])
            found.append(pool_interval(correct_from_predicted(predicted, N_WAY), drawn, labels, k))
        mean, error = np.array([one.mean for one in found]), np.array([one.ci95 / Z95 for one in found])
        prediction = predict_curve(shots, mean, error, at, (found[-1].pool_ci95_classes_fixed or 0.0) / Z95)
        assert prediction is not None
        low, high = prediction.quantiles([0.05, 0.95]).T
        hits += ((low <= true) & (true <= high)).sum()
    return float(hits / (2 * n_pools))


def _nearest(centres: np.ndarray, queries: np.ndarray) -> np.ndarray:
    distance = ((queries[:, :, :, None] - centres[:, None, None]) ** 2).sum(axis=-1)
    return distance.argmin(axis=-1).reshape(len(centres), -1)


def _fresh(rng: np.random.Generator, means: np.ndarray, spreads: np.ndarray, k: int, n: int) -> np.ndarray:
    """Whether queries are predicted correctly, in n episodes of new clips. The mean of k clips is drawn as one random vector."""
    classes = np.argsort(rng.random((n, len(means))), axis=1)[:, :N_WAY]
    deviation = 1.2 * spreads[classes][:, :, None]
    centres = means[classes] + deviation / np.sqrt(k) * rng.standard_normal((n, N_WAY, 6))
    queries = means[classes] + deviation * rng.standard_normal((n, N_WAY, 6))
    return correct_from_predicted(_nearest(centres, queries[:, :, None]), N_WAY)


def curves_of(folder: Path) -> list[dict[str, Any]]:
    """Accuracies and standard errors over episodes, for every cell with results for all numbers of shots.

    Args:
      folder: result folder of a run with `--shots` as in `SHOTS` and with `EPISODES` episodes.
    """
    found: dict[tuple[str, str, str], dict[int, dict[str, float]]] = {}
    for record in read_results(folder).records:
        protocol = record["identity"]["protocol"]
        words = classifier_words(record["identity"])
        if protocol["n_episodes"] == EPISODES:
            key = record["dataset"]["name"], record["upstream"]["name"], words
            found.setdefault(key, {})[protocol["k_shot"]] = record["accuracy"]
    return [
        {
            "dataset": dataset,
            "upstream": upstream,
            "classifier": words,
            "accuracy": [round(accuracy[k]["mean"], 5) for k in SHOTS],
            "error": [round(accuracy[k]["ci95"] / Z95, 6) for k in SHOTS],
        }
        for (dataset, upstream, words), accuracy in sorted(found.items())
        if set(SHOTS) <= set(accuracy)
    ]


def held_out(curves: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """How well the first five points of each curve predict the last two.

    Args:
      curves: the result of `curves_of`.

    Returns:
      for each classifier, and for all classifiers as `all`: the share of held-out points in the 90% interval, the share of cells
      with both points in the interval, the median width at the last point and the root of the mean squared error (both in
      points), and the share of cells for which no law was fitted.
    """
    rows: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    declined: dict[str, list[bool]] = {}
    for one in curves:
        mean, error = np.array(one["accuracy"]), np.array(one["error"])
        found = labels_beyond(SHOTS[:5], mean[:5], error[:5], [0.9])
        prediction = predict_curve(SHOTS[:5], mean[:5], error[:5], SHOTS[5:])
        for name in (one["classifier"], "all"):
            declined.setdefault(name, []).append(found is None or prediction is None)
            if found is not None and prediction is not None:
                low, middle, high = prediction.quantiles([0.05, 0.5, 0.95]).T
                inside = (low <= mean[5:]) & (mean[5:] <= high)
                rows.setdefault(name, []).append((inside, 100 * (high - low), 100 * (middle - mean[5:])))
    summary = {}
    for name, own in rows.items():
        inside, width, error = (np.stack(column) for column in zip(*own, strict=True))
        summary[name] = {
            "inside": float(inside.mean()),
            "both_inside": float(inside.all(axis=1).mean()),
            "median_width": float(np.median(width[:, -1])),
            "rms_error": float(np.sqrt((error**2).mean())),
            "declined": float(np.mean(declined[name])),
        }
    return summary


def main(arguments: list[str]) -> int:
    """Run the checks, write the JSON, and print the results.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument(
        "--results", type=Path, required=True, help="result folder of `jfewshot run` with all numbers of shots"
    )
    options = parser.parse_args(arguments)
    curves = curves_of(options.results)
    found = {
        "made_with": made_with("numpy", "scipy"),
        "shots": SHOTS,
        "episodes": EPISODES,
        "simulated": {**simulated(250), "populations": populations(100)},
        "held_out": held_out(curves),
    }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    write_json(options.json, found | {"curves": curves}, a_line_each=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
