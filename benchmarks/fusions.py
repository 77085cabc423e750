"""Time of fused parts with fixed and with chosen weights, as a multiple of the plain head's time.

    python -m benchmarks.fusions --json benchmarks/measured/fusions_cpu.json

Each cell solves 10,000 5-way episodes with 15 queries per class, from 1,200 clips. The parts are the embeddings of two encoders,
or of the 13 layers of one encoder, with 384 numbers per clip and part. Each cell is measured as `jfewshot run` computes it, with
the inner products of all parts, and in turns with "plain", the same head on the first part alone. About two minutes on two cores.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tools.measuring import in_turns, timed, write_json
from jfewshot._version import made_with

HEADS = (("logistic", 1), ("logistic", 5), ("ridge", 5), ("ridge:alpha=auto", 5))
_CLASSES, _CLIPS, _DIM, _LAYERS = 20, 60, 384, 13
_EPISODES, _ROUNDS = 10_000, 3


def measure(head: str, shots: int, n_parts: int) -> dict[str, Any]:
    """A head's time on one part, on the parts with equal weights, and on the parts with chosen weights.

    Args:
      head: the classifier.
      shots: support clips per class.
      n_parts: how many parts are fused.

    Returns:
      median times in seconds, and multiples of the plain head's time in the same round: median, least and most.
    """
    from jfewshot.classifiers.specs import parse_classifier
    from jfewshot.episodes.protocol import Protocol
    from jfewshot.evaluator.evaluator import Evaluator
    from jfewshot.evaluator.parts import FusedTransform
    from jfewshot.evaluator.preprocessing import Transform
    from jfewshot.store.clips import ClipTable
    from jfewshot.store.fused import FusedView

    rng = np.random.default_rng(0)
    labels = np.repeat([f"class {number}" for number in range(_CLASSES)], _CLIPS)
    clips = ClipTable.build([f"{number:04d}" for number in range(len(labels))], labels.tolist())
    arrays = []
    for _ in range(n_parts):
        x = rng.standard_normal((len(labels), _DIM)) + np.repeat(rng.standard_normal((_CLASSES, _DIM)), _CLIPS, axis=0)
        arrays.append(x.astype(np.float32))
        arrays[-1].flags.writeable = False
    l2 = Transform("l2", unit_length=True)
    protocol = Protocol(n_way=5, k_shot=shots, n_query=15, n_episodes=_EPISODES)
    spec, evaluator = parse_classifier(head), Evaluator()

    def solving(view, transform):
        def solve():
            evaluator.forget_sources()
            list(evaluator.evaluate(view, clips, transform, protocol, [spec]))

        return lambda: 1 / timed(solve, 1)

    rates = {"plain": solving(arrays[0], l2)}
    for name, shares in (("fixed", (1 / n_parts,) * n_parts), ("chosen", None)):
        view = FusedView(tuple(arrays), (None,) * n_parts, shares)
        rates[name] = solving(view, FusedTransform((l2,) * n_parts, (_DIM,) * n_parts, shares))
    seconds = in_turns(rates, _ROUNDS)
    found: dict[str, Any] = {"head": head, "shots": shots, "parts": n_parts}
    for name, own in seconds.items():
        found[f"{name}_s"] = round(float(np.median(own)), 4)
        if name != "plain":
            multiples = np.array(own) / np.array(seconds["plain"])
            found[f"{name}_of_plain"] = [round(float(of(multiples)), 2) for of in (np.median, np.min, np.max)]
    return found


def main(arguments: list[str]) -> int:
    """Measure and write the JSON.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args(arguments)
    from jfewshot.evaluator.devices import use_all_cores

    use_all_cores()
    rows = []
    for n_parts in (2, _LAYERS):
        for head, shots in HEADS:
            rows.append(measure(head, shots, n_parts))
            sys.stdout.write(f"{rows[-1]}\n")
    write_json(options.json, {"made_with": made_with("jax", "numpy"), "rows": rows}, a_line_each=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
