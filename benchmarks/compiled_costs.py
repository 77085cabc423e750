"""Does the evaluator do more work than before a change? Counts operations, bytes, iterations and traces; measures no time.

    python -m benchmarks.compiled_costs            compare with benchmarks/measured/compiled_costs.json
    python -m benchmarks.compiled_costs --write    replace the committed numbers by those of this version

Run the second command after a change that is meant to change the numbers, and commit the file together with the change. XLA
counts the body of a loop once. So `flops` are those of one block of episodes and of one round of each inner loop, and the number
of iterations is reported separately. `lowered` counts the program that we give to XLA. `compiled` counts the program that XLA
makes from it on a CPU; its `bytes accessed` depend on which operations XLA fuses and on the layouts that it chooses.
"""

import argparse
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.tools.measuring import markdown_table
from benchmarks.tools.memory import temporary_bytes
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.drawing import draw_arguments, pool_arrays
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator import gram
from jfewshot.evaluator.chunking import ChunkShape
from jfewshot.evaluator.devices import episode_mesh
from jfewshot.evaluator.drawer import episode_numbers
from jfewshot.evaluator.drawing_programs import jit_draw, jit_rows
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.evaluator.programs import TRACES
from jfewshot.evaluator.solver_programs import jit_solve
from jfewshot.files import atomic_write
from jfewshot.store import ClipTable

NUMBERS = Path(__file__).parent / "measured" / "compiled_costs.json"
# A number has grown if it is larger than the committed one by more than this factor: versions of JAX differ by a few percent.
TOLERANCE = 1.05
COUNTED = ("flops", "transcendentals", "bytes accessed")
ONE_SHOT, FIVE_SHOT, ONE_QUERY = (Protocol(5, k, q, 256) for k, q in ((1, 15), (5, 15), (1, 1)))
SOLVERS = (
    ("logistic", ONE_SHOT),
    ("logistic", FIVE_SHOT),
    ("svm", ONE_SHOT),
    ("ridge", FIVE_SHOT),
    ("sgd", ONE_QUERY),
    ("centroid", FIVE_SHOT),
    ("knn", FIVE_SHOT),
)
# Two blocks for each device, with the same number of episodes in each.
SHAPE = ChunkShape(blocks=2, block=128)


def functions() -> dict[str, tuple[Any, tuple]]:
    """The compiled functions of a few evaluations, by name, each with its arguments."""
    mesh = episode_mesh(jax.local_devices()[:1])
    table = _clips(10, 40)
    found: dict[str, tuple[Any, tuple]] = {}
    for protocol in (ONE_SHOT, FIVE_SHOT):
        pool = class_pool(table, protocol)
        arguments = tuple(sorted(draw_arguments(protocol, pool).items(), key=lambda item: item[0]))
        on_device = pool_arrays(pool, protocol, table.digest)
        found[f"draw {_name(protocol)}"] = (
            jit_draw(mesh, arguments, "uint16"),
            (on_device, episode_numbers(0, SHAPE, mesh)),
        )
    n, m = FIVE_SHOT.n_support, FIVE_SHOT.n_queries
    support, query = _blocks((n,), np.int32), _blocks((m,), np.int32)
    drawn = 5 + 15
    first = jnp.zeros(len(table), jnp.int32)
    numbers, key = jax.ShapeDtypeStruct((SHAPE.blocks, SHAPE.block), np.uint32), np.zeros(2, np.uint32)
    found["rows"] = jit_rows(mesh, 5, False, False), (first, first, key, _blocks((5, drawn), np.uint16), numbers)
    matrix, embeddings = (jax.ShapeDtypeStruct((512, width), np.float32) for width in (512, 1024))
    found["look up inner products"] = gram._jit_lookup(mesh), (matrix, support, query)
    found["multiply embeddings"] = gram._jit_gather_and_multiply(mesh), (embeddings, support, query)
    for name, protocol in SOLVERS:
        n, m = protocol.n_support, protocol.n_queries
        function = jit_solve(mesh, parse_classifier(name).classifier, protocol.n_way, protocol.k_shot, False)
        numbers = jax.ShapeDtypeStruct((SHAPE.blocks, SHAPE.block), np.uint32)
        given = (_blocks((n, n)), _blocks((m, n)), numbers, np.zeros(2, np.uint32), np.ones(1, np.float32))
        found[f"{name} {_name(protocol)}"] = function, given
    return found


def lowered_costs() -> dict[str, dict[str, float]]:
    """XLA's counts for each function before compilation."""
    return {name: _counted(function.lower(*given).cost_analysis()) for name, (function, given) in functions().items()}


def compiled_costs() -> dict[str, dict[str, float]]:
    """XLA's counts for each compiled function, and the bytes that the function needs for intermediate results."""
    found = {}
    for name, (function, given) in functions().items():
        compiled = function.lower(*given).compile()
        found[name] = _counted(compiled.cost_analysis()) | {"temporary bytes": temporary_bytes(compiled)}
    return found


@functools.cache
def iterations_and_traces() -> tuple[dict[str, float], dict[str, float]]:
    """Count the mean iterations of the iterative solvers, and how often each function was traced.

    The numbers are those of 256 episodes of fixed embeddings on each of two stores, which differ in size and dimension.
    """
    evaluator, before = Evaluator(jax.local_devices()[:1], block=SHAPE.block), dict(TRACES)
    # No other test uses this protocol. JAX does not trace again what another test has traced, and the count would be too low.
    protocol = Protocol(n_way=3, k_shot=3, n_query=4, n_episodes=256)
    found: dict[str, list[float]] = {}
    for classes, clips, dim in ((6, 20, 64), (9, 30, 24)):
        table = _clips(classes, clips)
        rng = np.random.default_rng(0)
        x = np.repeat(rng.normal(size=(classes, dim)), clips, 0) + rng.normal(size=(classes * clips, dim))
        unit = Transform("l2", unit_length=True)
        for solved in evaluator.evaluate(x.astype(np.float32), table, unit, protocol, [parse_classifier("logistic")]):
            found.setdefault(solved.spec.name, []).append(float(solved.iterations.mean()))
    # Functions that were traced earlier in this process are not counted.
    traces = {name: float(n - before.get(name, 0)) for name, n in sorted(TRACES.items()) if n > before.get(name, 0)}
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}, traces


def numbers_of_now(compiled: bool = True) -> dict[str, Any]:
    """Measure every number that the committed file holds."""
    iterations, traces = iterations_and_traces()
    return {
        "jax": jax.__version__,
        "lowered": lowered_costs(),
        **({"compiled": compiled_costs()} if compiled else {}),
        "iterations": {"3-way 3-shot": iterations},
        "traces": {"two stores": traces},
    }


def grown(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """One sentence for each number that has grown by more than the tolerance, or that the committed file lacks."""
    found = []
    for kind in ("lowered", "compiled", "iterations", "traces"):
        for name, numbers in now.get(kind, {}).items():
            for what, value in numbers.items():
                before = then.get(kind, {}).get(name, {}).get(what)
                if before is None:
                    found.append(f"{kind}: {name}, {what}: {value:g}, and there is no number to compare with")
                elif value > TOLERANCE * before:
                    found.append(f"{kind}: {name}, {what}: {value:g}, was {before:g}")
    return found


def read_numbers() -> dict[str, Any]:
    """The committed numbers."""
    return json.loads(NUMBERS.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the committed numbers by the measured ones")
    options = parser.parse_args()
    now, then = numbers_of_now(), read_numbers() if NUMBERS.exists() else {}
    rows = []
    for kind in ("lowered", "compiled", "iterations", "traces"):
        for name, numbers in now[kind].items():
            for what, value in numbers.items():
                before = then.get(kind, {}).get(name, {}).get(what)
                rows.append([kind, name, what, f"{value:,g}", *_change(value, before)])
    print(markdown_table(["", "function", "number", "now", "then", "now / then"], rows))
    if options.write:
        with atomic_write(NUMBERS, "w") as file:
            file.write(json.dumps(now, indent=1, sort_keys=True) + "\n")
    elif sentences := grown(now, then):
        raise SystemExit("grown:\n" + "\n".join(sentences))


def _change(value: float, before: float | None) -> tuple[str, str]:
    if before is None:
        return "", ""
    return f"{before:,g}", f"{value / before:.3f}" if before else ""


def _counted(costs: Any) -> dict[str, float]:
    costs = costs[0] if isinstance(costs, list) else costs
    return {name: float(costs.get(name, 0.0)) for name in COUNTED}


def _name(protocol: Protocol) -> str:
    return f"{protocol.n_way}-way {protocol.k_shot}-shot {protocol.n_query} queries"


def _blocks(size: tuple[int, ...], dtype: Any = np.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((SHAPE.blocks, *size, SHAPE.block), dtype)


def _clips(classes: int, clips: int) -> ClipTable:
    labels = np.repeat([f"class {c:02d}" for c in range(classes)], clips)
    return ClipTable.build([f"{i:04d}" for i in range(len(labels))], labels)


if __name__ == "__main__":
    main()
