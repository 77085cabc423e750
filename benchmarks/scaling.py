"""Does the evaluator get faster with more devices?

    python -m benchmarks.scaling [--devices 1 2 4 8] [--json FILE]

The evaluator solves the same episodes on the first 1, 2, 4, ... devices: accelerators, or virtual devices of a CPU (one per core
by default). More virtual devices than cores cannot be faster, and show what it costs to spread the work. The time is measured in
turns, from drawing to predictions on the host, without compilation. A speed-up is the median over rounds of the ratio within the
round. Before the measurement, the command checks that all numbers of devices draw the same clips, and counts predictions that
differ.
"""

import argparse
import functools
from pathlib import Path

import numpy as np

from benchmarks.tools.embeddings import Synthetic
from benchmarks.tools.measuring import in_turns, machine, markdown_table, ratio, timed, write_json
from jfewshot.threads import cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--devices", type=int, nargs="+", help="numbers of devices; by default 1, 2, 4, ... up to all devices"
    )
    parser.add_argument("--episodes", type=int, default=50_000, help="episodes per round")
    parser.add_argument("--classifiers", nargs="+", default=["logistic", "centroid"])
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    import jax

    jax.config.update("jax_num_cpu_devices", max([cores(), *(options.devices or [])]))
    there = jax.local_devices()
    counts = options.devices or [2**i for i in range(len(there).bit_length())]
    if max(counts) > len(there):
        raise SystemExit(f"there are {len(there)} devices here, not {max(counts)}")
    before = machine()
    rows = [row for name in options.classifiers for row in answer(name, [there[:n] for n in counts], options)]
    headings = ["classifier", "devices", "episodes/s", "times one device", "smallest–largest", "other predictions"]
    print(markdown_table(headings, [_row(row) for row in rows]))
    print(f"\n{len(there)} x {there[0].device_kind}; {before['cores']} cores of {before['processor']}")
    write_json(options.json, {"question": __doc__.splitlines()[0], "machine": before, "rows": rows})


def answer(name: str, groups: list, options) -> list[dict]:
    """Measure one classifier on growing groups of devices."""
    from jfewshot.classifiers.specs import parse_classifier
    from jfewshot.episodes.protocol import Protocol
    from jfewshot.evaluator.evaluator import Evaluator
    from jfewshot.evaluator.preprocessing import Transform
    from jfewshot.store import ClipTable

    labels = np.repeat(np.arange(10), 40)
    x = Synthetic(labels, np.ones(len(labels), np.int64), 768).array()
    clips = ClipTable.build([f"{i:05d}" for i in range(len(x))], labels.astype(str))
    protocol = Protocol(n_way=5, k_shot=options.shots, n_query=15, n_episodes=options.episodes)
    evaluators = [Evaluator(group) for group in groups]

    def solve(evaluator):
        evaluator.forget_draws()
        transform = Transform("l2", unit_length=True)
        return next(iter(evaluator.evaluate(x, clips, transform, protocol, [parse_classifier(name)]))).predicted

    reference, drawn = solve(evaluators[0]), evaluators[0].draw(clips, protocol)
    different = []
    for evaluator in evaluators:
        different.append(float((solve(evaluator) != reference).mean()))
        if evaluator.draw(clips, protocol).clips.tobytes() != drawn.clips.tobytes():
            raise SystemExit(f"{evaluator.mesh.devices.size} devices draw other clips than one; nothing was timed")
    measured = in_turns(
        {
            str(number): functools.partial(timed, functools.partial(solve, evaluator), options.episodes)
            for number, evaluator in enumerate(evaluators)
        },
        options.rounds,
    )
    rows = []
    for number, group in enumerate(groups):
        median, smallest, largest = ratio(measured[str(number)], measured["0"])
        rows.append(
            {
                "classifier": name,
                "devices": len(group),
                "episodes_per_s": float(np.median(measured[str(number)])),
                "speed_up": median,
                "speed_up_smallest": smallest,
                "speed_up_largest": largest,
                "different": different[number],
                "all": measured[str(number)],
            }
        )
    return rows


def _row(row: dict) -> list[str]:
    return [
        row["classifier"],
        str(row["devices"]),
        f"{row['episodes_per_s']:,.0f}",
        f"**{row['speed_up']:.2f}**",
        f"{row['speed_up_smallest']:.2f}–{row['speed_up_largest']:.2f}",
        f"{row['different']:.2e}",
    ]


if __name__ == "__main__":
    main()
