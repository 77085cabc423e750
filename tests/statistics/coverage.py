"""How often each interval holds the truth: pools sampled from a simulated population of classes and clips.

    python -m tests.statistics.coverage            # about five minutes of one core; --pools 50 for a look

Embeddings are Gaussian (4-d; the spread of classes log-normal), episodes nearest-centroid, 2,000 to a pool. Each pool is a
new sample of classes and clips, or of the clips of given classes; the truth is the accuracy over the whole population. Prints
the table that stands in docs/statistics.md.
"""

import argparse
import sys

import numpy as np

from jfewshot.statistics import pool_interval
from tests.statistics.simulated import draw_episodes, nearest_centroid, sample_classes, sample_clips, true_accuracy

# (classes, clips per class, shots, queries, whether classes are fixed); all 5-way
CASES = [
    (6, 40, 1, 5, False),
    (10, 40, 1, 1, False),
    (10, 40, 1, 15, False),
    (10, 40, 5, 5, False),
    (20, 30, 1, 5, False),
    (40, 15, 1, 5, False),
    (5, 20, 1, 5, True),
    (10, 40, 1, 1, True),
    (10, 40, 1, 15, True),
    (10, 10, 1, 5, True),
    (20, 10, 5, 5, True),
    (40, 20, 5, 15, True),
]


def measure(n_classes, n_per_class, k_shot, n_query, fixed, n_pools, n_way=5, n_episodes=2000, dim=4, seed=0):
    """The estimates' spread, and the coverage and mean half-width of (ci95, classes fixed, classes new); NaN for None."""
    rng = np.random.default_rng(seed)
    population = sample_classes(rng, n_classes, dim)
    n_drawn = k_shot + n_query
    truth = true_accuracy(rng, dim, n_way, n_drawn, k_shot, population if fixed else None, n_episodes=200_000)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    found = np.full((n_pools, 4), np.nan)
    for pool in range(n_pools):
        embeddings = sample_clips(rng, *(population if fixed else sample_classes(rng, n_classes, dim)), n_per_class)
        clips = draw_episodes(rng, n_classes, n_per_class, n_episodes, n_way, n_drawn)
        result = pool_interval(nearest_centroid(embeddings, clips, k_shot), clips, labels, k_shot)
        widths = (result.ci95, result.pool_ci95_classes_fixed, result.pool_ci95)
        found[pool] = [result.mean - truth, *(np.nan if width is None else width for width in widths)]
    held = np.where(np.isnan(found[:, 1:]), np.nan, np.abs(found[:, :1]) <= found[:, 1:])
    return found[:, 0].std(), held.mean(axis=0), found[:, 1:].mean(axis=0)


def main():
    parser = argparse.ArgumentParser(description="Coverage of the intervals, on a simulated population")
    parser.add_argument("--pools", type=int, default=300, help="pools per row")
    options = parser.parse_args()
    say = sys.stdout.write
    say(
        "| pool | episodes | new in each pool | true ± | ci95 | classes fixed | pool_ci95 |\n|---|---|---|---:|---:|---:|---:|\n"
    )
    for n_classes, n_per_class, k_shot, n_query, fixed in CASES:
        spread, coverage, width = measure(n_classes, n_per_class, k_shot, n_query, fixed, options.pools)
        cells = [
            "–" if np.isnan(c) else f"{100 * c:.0f}% (±{100 * w:.1f})" for c, w in zip(coverage, width, strict=True)
        ]
        queries = f"{n_query} {'query' if n_query == 1 else 'queries'}"
        what = "clips" if fixed else "classes and clips"
        say(
            f"| {n_classes} classes x {n_per_class} clips | {k_shot}-shot, {queries} | {what} | "
            f"±{196 * spread:.1f} | {' | '.join(cells)} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
