"""Which pairs of the sample encoders complement each other, with equal weights and with weights that each episode chooses?

    jfewshot run --fuse pairs --fuse-weights equal auto --shots 1 5 --episodes 2000 --classifiers ridge:alpha=auto --out RESULTS
    python -m studies.fusion RESULTS --json benchmarks/measured/fusion.json --figure docs/images/fusion.png

For each dataset and number of shots, the study reports the accuracy of each pair minus the accuracy of its better encoder, on the
same episodes. It adds a 95% interval for new clips of the same classes (jackknife), and p corrected by Holm's method for the
dataset's 28 pairs. At one shot, chosen weights are equal weights, so only equal weights are shown.
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


def gains(results: Results, board: Leaderboard, column: int) -> dict[str, list[dict[str, Any]]]:
    """The gain of each pair on one dataset for each kind of weights, with the largest gain first."""
    problems: list[str] = []
    paired = pair_dataset(results, board, column, range(len(board.upstreams)), problems)
    if paired is None or problems:
        raise SystemExit(f"{board.datasets[column]}: {problems}")
    found = compare([paired.covariance], "clips")
    records = {row: board.cells[row, column] for row in paired.rows}
    at = {records[row]["upstream"]["name"]: place for place, row in enumerate(paired.rows)}
    tables: dict[str, list[dict[str, Any]]] = {}
    for place, row in enumerate(paired.rows):
        fusion = records[row].get("fusion")
        if not fusion or (fusion["weights"] != "fixed" and "chosen_weights" not in records[row]):
            continue
        parts = sorted(fusion["parts"], key=lambda part: -paired.covariance.mean[at[part["upstream"]]])
        better = at[parts[0]["upstream"]]
        weights = [one["mean"] for one in records[row].get("chosen_weights", ())]
        of_better = dict(zip([part["upstream"] for part in fusion["parts"]], weights, strict=False))
        tables.setdefault("equal" if fusion["weights"] == "fixed" else "chosen", []).append(
            {
                "parts": [part["title"] for part in parts],
                "accuracy": float(paired.covariance.mean[place]),
                "better": float(paired.covariance.mean[better]),
                "gain": float(found.difference[place, better]),
                "half_width": float(found.half_width[place, better]),
                "p": float(found.p_value[place, better]),
            }
            | ({"weight_of_better": of_better[parts[0]["upstream"]]} if weights else {})
        )
    for pairs in tables.values():
        for pair, p_holm in zip(pairs, holm(np.array([pair["p"] for pair in pairs])), strict=True):
            pair["p_holm"] = float(p_holm)
        pairs.sort(key=lambda pair: -pair["gain"])
    return tables


def figure(tables: dict[str, dict[str, list[dict[str, Any]]]]) -> Figure:
    """Draw a map for each dataset: the gain of each pair over its better encoder, in points.

    Gains with equal weights are below the diagonal, and gains with chosen weights above. Bold gains have p below 0.05 after
    Holm's correction.
    """
    flat = [row for kinds in tables.values() for rows in kinds.values() for row in rows]
    encoders = sorted({part for row in flat for part in row["parts"]})
    most = max(abs(row["gain"]) for row in flat) * 100
    with look():
        drawn = Figure(figsize=(9.6, 8.6))
        for axis, (title, kinds) in zip(drawn.subplots(2, 2).ravel(), tables.items(), strict=True):
            values = np.full((len(encoders), len(encoders)), np.nan)
            bold = np.zeros(values.shape, bool)
            for kind, rows in kinds.items():
                for row in rows:
                    places = sorted((encoders.index(part) for part in row["parts"]), reverse=kind == "equal")
                    values[tuple(places)] = 100 * row["gain"]
                    bold[tuple(places)] = row["p_holm"] < 0.05
            picture = axis.imshow(values, cmap=DIVERGING, vmin=-most, vmax=most)
            for (a, b), value in np.ndenumerate(values):
                if np.isfinite(value):
                    axis.text(
                        b,
                        a,
                        f"{value:+.1f}".replace("-", "−"),
                        ha="center",
                        va="center",
                        fontsize=6,
                        color=ink_on(picture.cmap(picture.norm(value))),
                        fontweight="bold" if bold[a, b] else "normal",
                    )
            axis.set_title(title, loc="left")
            axis.set_xticks(range(len(encoders)), [shorten(name, 18) for name in encoders], rotation=60, ha="right")
            axis.set_yticks(range(len(encoders)), [shorten(name, 18) for name in encoders])
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
        drawn.suptitle(
            "Fused pair less its better part, percentage points (5-way 5-shot)\n"
            "below the diagonal: equal weights; above: weights that each episode chooses",
            fontsize=9,
        )
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    results = read_results(asked.results)
    tables: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {}
    for board in leaderboards(results.records):
        shots = f"{shots_of(board.condition['protocol']):g}"
        tables[shots] = {name: gains(results, board, column) for column, name in enumerate(board.datasets)}
        for name, kinds in tables[shots].items():
            for kind, rows in kinds.items():
                gained = sum(row["p_holm"] < 0.05 and row["gain"] > 0 for row in rows)
                lost = sum(row["p_holm"] < 0.05 and row["gain"] < 0 for row in rows)
                best, worst = (pick(rows, key=lambda row: row[key]) for pick, key in ((max, "accuracy"), (min, "gain")))
                print(
                    f"{shots}-shot {name}, {kind}: {gained} of {len(rows)} pairs gain, {lost} lose, "
                    f"{100 * np.mean([row['gain'] for row in rows]):+.2f} points on average, least {100 * worst['gain']:+.1f}; "
                    f"best pair {' + '.join(best['parts'])} {100 * best['accuracy']:.1f}, "
                    f"best encoder {100 * max(row['better'] for row in rows):.1f}"
                )
    content = {
        name: {
            shots: {board: kinds[kind] for board, kinds in of_shots.items() if kind in kinds}
            for shots, of_shots in tables.items()
        }
        for name, kind in (("shots", "equal"), ("chosen", "chosen"))
    }
    write_json(asked.json, {"made_with": made_with("numpy", "jax"), **content})
    if asked.figure:
        figure(tables["5"]).savefig(asked.figure, dpi=110)


if __name__ == "__main__":
    main()
