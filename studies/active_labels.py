"""Is labelling chosen clips better than labelling random clips, with 5, 10, 20 and 50 labels on the sample stores?

    python -m studies.active_labels --json benchmarks/measured/active_labels.json --figure docs/images/active_labels.png

Each of the 32 sample stores (eight encoders, four datasets) is evaluated by the protocol of `jfewshot label compare`. Each
repetition holds out half of the clips, in whole groups. Each method chooses which of the other clips are labelled, and
`ridge:alpha=auto` predicts all held-out clips. The study counts in how many stores a method gains or loses more than its 95%
interval over the repetitions.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tools.measuring import write_json
from benchmarks.tools.samples import opened_samples
from jfewshot._version import made_with
from jfewshot.commandline.progress import Progress
from jfewshot.evaluator.devices import use_all_cores
from jfewshot.labelling.comparing import (
    TITLES,
    Comparison,
    Protocol,
    compare_store,
    comparison_json,
    comparison_panels,
)
from jfewshot.reporting.figures import style
from jfewshot.reporting.figures.curves import curve_panels


def counted(found: list[Comparison]) -> dict[str, list[dict[str, Any]]]:
    """For each method and number of labels, the mean gain over the stores, and how many stores gain or lose."""
    protocol = found[0].protocol
    result = {}
    for row, method in enumerate(protocol.methods[1:], 1):
        gains = np.array([one.gain[row] for one in found])
        widths = np.array([one.gain_ci95[row] for one in found])
        entries = []
        for column, budget in enumerate(protocol.budgets):
            worst = int(gains[:, column].argmin())
            best = int(gains[:, column].argmax())
            entries.append(
                {
                    "labels": budget,
                    "mean_gain": round(float(gains[:, column].mean()), 5),
                    "gains": int((gains[:, column] > widths[:, column]).sum()),
                    "loses": int((gains[:, column] < -widths[:, column]).sum()),
                    "stores": len(found),
                    "best": ["/".join(found[best].names), round(float(gains[best, column]), 5)],
                    "worst": ["/".join(found[worst].names), round(float(gains[worst, column]), 5)],
                }
            )
        result[method] = entries
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--repeats", type=int, default=200)
    asked = parser.parse_args()
    use_all_cores()
    stores = opened_samples()
    protocol = Protocol(repeats=asked.repeats)
    started = time.perf_counter()
    with Progress("labelling", len(stores) * asked.repeats, "repetitions") as progress:
        found = [compare_store(store, protocol, progress.advance) for store in stores]
    wall_s = time.perf_counter() - started
    counts = counted(found)
    for method, entries in counts.items():
        for entry in entries:
            print(
                f"{TITLES[method]}, {entry['labels']} labels: {100 * entry['mean_gain']:+.1f} points on average; gains in "
                f"{entry['gains']} and loses in {entry['loses']} of {entry['stores']} stores; best {entry['best'][0]} "
                f"{100 * entry['best'][1]:+.1f}, worst {entry['worst'][0]} {100 * entry['worst'][1]:+.1f}"
            )
    facts = {"made_with": made_with("numpy", "jax"), "wall_s": round(wall_s, 1), "counts": counts}
    write_json(asked.json, facts | {"stores": comparison_json(found)}, a_line_each=True)
    if asked.figure:
        title = (
            f"On clips that are held out throughout; mean over {len(found) // 4} encoders, {asked.repeats} repetitions"
        )
        ticks = {float(budget): str(budget) for budget in protocol.budgets}
        drawn = curve_panels(comparison_panels(found), "labels, of all classes together", ticks, True, title=title)
        style.save(drawn, asked.figure.parent, asked.figure.stem, ("png",))


if __name__ == "__main__":
    main()
