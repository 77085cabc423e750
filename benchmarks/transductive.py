"""Transductive heads and kernels: episodes per second, compared with batched PyTorch versions and with the plain head.

    python -m benchmarks.transductive --json benchmarks/measured/transductive_speed_cpu.json

The episodes are 5-way 1-shot with 15 queries per class, from 400 embeddings of 768 numbers. Each transductive head is compared
with two PyTorch versions, one in feature space and one on inner products. First the predictions are compared; then both sides
solve the same episodes on the same cores, in turns. `logistic`, `ridge` and `svm` are also measured with and without a kernel, in
turns, and the transductive heads in turns with `centroid`. About two and a half minutes on two cores.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite.competitors import COMPETITORS
from benchmarks.suite.one_row import measure_against
from benchmarks.suite.ours import our_solver
from benchmarks.suite.problem import load_problem
from benchmarks.suite.rows import Question
from benchmarks.tools.measuring import in_turns, ratio, timed, write_json
from jfewshot._version import made_with

HEADS = ("propagation", "sinkhorn", "tim", "alpha_tim", "laplacian_shot")
KERNELS = (("logistic", 1), ("ridge:alpha=auto", 1), ("ridge:alpha=auto", 5), ("svm", 1))
_EPISODES, _ROUNDS, _SECONDS = 1024, 3, 0.7


def beside_torch(head: str, competitor: str, scratch: Path) -> dict[str, Any]:
    """Measure a transductive head in turns with a PyTorch version of the same head.

    Args:
      head: name of the head.
      competitor: name of the PyTorch version.
      scratch: folder for embeddings.
    """
    problem = load_problem(Question(head, n_episodes=_EPISODES), scratch)
    found = measure_against(problem, COMPETITORS[competitor], "cpu", _ROUNDS, _SECONDS)
    if "failed" in found:
        return {"failed": found["failed"]}
    kept = ("ratio", "ratio_smallest", "ratio_largest", "agreement", "setting", "sample")
    rates = {f"{name}_per_s": round(float(np.median(found[name])), 1) for name in ("ours", "theirs")}
    return rates | {name: found[name] for name in kept}


def beside_plain(names: list[str], shots: int, scratch: Path) -> dict[str, Any]:
    """Measure several heads in turns, and compare each with the first one.

    Args:
      names: names of the heads.
      shots: support clips per class.
      scratch: folder for embeddings.
    """
    rates = {}
    for name in names:
        solve, _ = our_solver(load_problem(Question(name, k_shot=shots, n_episodes=_EPISODES), scratch))
        rates[name] = lambda solve=solve: timed(solve, _EPISODES)
    measured = in_turns(rates, _ROUNDS)
    return {
        name: {"per_s": round(float(np.median(own)), 1), "of_plain": round(ratio(measured[names[0]], own)[0], 2)}
        for name, own in measured.items()
    }


def main(arguments: list[str]) -> int:
    """Measure and write the JSON.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    options = parser.parse_args(arguments)
    from jfewshot.evaluator.devices import use_all_cores

    use_all_cores()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        against, on_products = (
            {head: beside_torch(head, name, scratch) for head in HEADS}
            for name in ("torch transductive", "torch transductive, products")
        )
        heads = beside_plain(["centroid", *HEADS], 1, scratch)
        kernels = {
            f"{name}, {shots} shots": beside_plain([name, f"{name}:kernel=rbf"], shots, scratch)
            for name, shots in KERNELS
        }
    content = {
        "made_with": made_with("jax", "numpy", "torch"),
        "episode": "5-way 1-shot, 15 queries per class, 400 embeddings of 768 numbers",
        "against_torch": against,
        "against_torch_on_products": on_products,
        "heads_beside_centroid": heads,
        "kernels_beside_plain": kernels,
    }
    write_json(options.json, content, a_line_each=True)
    for how, rows in (("features", against), ("products", on_products)):
        for head, found in rows.items():
            sys.stdout.write(f"{head}, PyTorch on {how}: {found}\n")
    for name, found in (("heads", heads), *kernels.items()):
        sys.stdout.write(f"{name}: {found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
