"""Which pairs of the sample encoders complement each other?

    jfewshot store fuse jfewshot/data/stores --pairs --out FUSED
    jfewshot run --stores FUSED jfewshot/data/stores --shots 1 5 --episodes 2000 --classifiers ridge:alpha=auto --out RESULTS
    python -m studies.fusion RESULTS --json benchmarks/measured/fusion.json --figure docs/images/fusion.png

For each dataset and number of shots: the accuracy of each pair less that of its better part, over the same episodes, with a 95%
interval for new clips of the same classes (jackknife), and p after Holm over the dataset's 28 pairs.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.tools.measuring import write_json
from jfewshot._version import made_with
from jfewshot.reporting.conditions import shots_of
from jfewshot.reporting.figures.style import DIVERGING, ink_on, look, shorten
from jfewshot.reporting.leaderboard import Leaderboard, leaderboards
from jfewshot.reporting.pairing import pair_dataset
from jfewshot.results import Results, read_results
from jfewshot.statistics.multiple import holm
from jfewshot.statistics.paired import compare


def gains(results: Results, board: Leaderboard, column: int) -> list[dict[str, Any]]:
    """What each pair gains on one dataset, the largest gain first."""
    problems: list[str] = []
    paired = pair_dataset(results, board, column, range(len(board.upstreams)), problems)
    if paired is None or problems:
        raise SystemExit(f"{board.datasets[column]}: {problems}")
    found = compare([paired.covariance], "clips")
    name = {row: board.cells[row, column]["upstream"]["name"] for row in paired.rows}
    at = {name[row]: place for place, row in enumerate(paired.rows)}
    title = {name[row]: board.cells[row, column]["upstream"]["title"] for row in paired.rows}
    rows = []
    for pair in (one for one in at if "+" in one):
        parts = sorted(pair.split("+"), key=lambda part: -paired.covariance.mean[at[part]])
        mine, better = at[pair], at[parts[0]]
        rows.append(
            {
                "parts": [title[part] for part in parts],
                "accuracy": float(paired.covariance.mean[mine]),
                "better": float(paired.covariance.mean[better]),
                "gain": float(found.difference[mine, better]),
                "half_width": float(found.half_width[mine, better]),
                "p": float(found.p_value[mine, better]),
            }
        )
    for row, p_holm in zip(rows, holm(np.array([row["p"] for row in rows])), strict=True):
        row["p_holm"] = float(p_holm)
    return sorted(rows, key=lambda row: -row["gain"])


def figure(tables: dict[str, list[dict[str, Any]]]) -> Figure:
    """A map for each dataset: the gain of each pair over its better part, in points; bold where p after Holm is below 0.05."""
    encoders = sorted({part for rows in tables.values() for row in rows for part in row["parts"]})
    most = max(abs(row["gain"]) for rows in tables.values() for row in rows) * 100
    with look():
        drawn = Figure(figsize=(9.2, 7.6))
        for axis, (title, rows) in zip(drawn.subplots(2, 2).ravel(), tables.items(), strict=True):
            values = np.full((len(encoders), len(encoders)), np.nan)
            for row in rows:
                a, b = sorted((encoders.index(part) for part in row["parts"]), reverse=True)
                values[a, b] = 100 * row["gain"]
            picture = axis.imshow(values, cmap=DIVERGING, vmin=-most, vmax=most)
            for row in rows:
                a, b = sorted((encoders.index(part) for part in row["parts"]), reverse=True)
                axis.text(
                    b,
                    a,
                    f"{100 * row['gain']:+.1f}".replace("-", "−"),
                    ha="center",
                    va="center",
                    fontsize=6,
                    color=ink_on(picture.cmap(picture.norm(values[a, b]))),
                    fontweight="bold" if row["p_holm"] < 0.05 else "normal",
                )
            axis.set_title(title, loc="left")
            axis.set_xticks(range(len(encoders)), [shorten(name, 18) for name in encoders], rotation=60, ha="right")
            axis.set_yticks(range(len(encoders)), [shorten(name, 18) for name in encoders])
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
        drawn.suptitle("Fused pair less its better part, percentage points (5-way 5-shot)", fontsize=9)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    results = read_results(asked.results)
    tables: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for board in leaderboards(results.records):
        shots = f"{shots_of(board.condition['protocol']):g}"
        tables[shots] = {name: gains(results, board, column) for column, name in enumerate(board.datasets)}
        for name, rows in tables[shots].items():
            gained = sum(row["p_holm"] < 0.05 and row["gain"] > 0 for row in rows)
            lost = sum(row["p_holm"] < 0.05 and row["gain"] < 0 for row in rows)
            best = max(rows, key=lambda row: row["accuracy"])
            alone = max(row["better"] for row in rows)
            print(
                f"{shots}-shot {name}: {gained} of {len(rows)} pairs gain, {lost} lose; best pair {' + '.join(best['parts'])} "
                f"{100 * best['accuracy']:.1f}, best encoder {100 * alone:.1f}"
            )
    write_json(asked.json, {"made_with": made_with("numpy", "jax"), "shots": tables})
    if asked.figure:
        figure(tables["5"]).savefig(asked.figure, dpi=110)


if __name__ == "__main__":
    main()
