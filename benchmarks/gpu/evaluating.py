"""Measures the evaluator on one question: whole calls, solving alone, drawing alone, stages and memory."""

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gpu.stores import Embeddings
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.evaluator.programs import PROGRAMS
from jfewshot.profiling import time_stages

_UNIT = Transform("l2", unit_length=True)


class Question(NamedTuple):
    """A problem to solve.

    Attributes:
      store: the embeddings.
      classifier: the classifier, written as on the command line.
      n_way, k_shot, n_query, n_episodes: sizes of the protocol.
    """

    store: Embeddings
    classifier: str = "logistic"
    n_way: int = 5
    k_shot: int = 1
    n_query: int = 15
    n_episodes: int = 100_000

    @property
    def protocol(self) -> Protocol:
        return Protocol(self.n_way, self.k_shot, self.n_query, self.n_episodes)

    @property
    def labels(self) -> dict[str, Any]:
        """The fields of a row that describe the question in the table."""
        return {
            "classifier": self.classifier,
            "episode": f"{self.n_way}-way {self.k_shot}-shot",
            "queries": self.n_query,
            "store": self.store.name,
            "episodes": self.n_episodes,
        }


def predictions(question: Question, block: int | None = None) -> np.ndarray:
    """The evaluator's predictions, episodes x queries."""
    specs = [parse_classifier(question.classifier)]
    found = Evaluator(block=block).evaluate(question.store.view, question.store.clips, _UNIT, question.protocol, specs)
    return next(iter(found)).predicted


def measure(question: Question, block: int | None = None, rounds: int = 3, expected: Any = None) -> dict[str, Any]:
    """Measure a question.

    Args:
      question: the problem.
      block: episodes per block; None for the evaluator's choice.
      rounds: how often each rate is measured, after an unmeasured first call.
      expected: predictions to compare with; None to compare nothing.

    Returns:
      Episodes per second of four kinds of work, and seconds by stage. "call" is everything from drawing to predictions in host
      memory. The store's inner products or embeddings are on the device from an earlier call, as between the cells of a run.
      "whole" is a first call, which also reads the store from host memory. "solve" is solving alone, with draws that are on the
      device. "draw" is drawing alone. The seconds by stage are those of one first call that waits for each stage to end.
    """
    evaluator = Evaluator(block=block)
    store, protocol = question.store, question.protocol
    spec = parse_classifier(question.classifier)

    def solve(times: int = 1) -> list[Any]:
        return list(evaluator.evaluate(store.view, store.clips, _UNIT, protocol, [spec] * times))

    def call() -> None:
        evaluator.forget_draws()
        solve()

    def whole() -> None:
        evaluator.forget_sources()
        call()

    def draw() -> None:
        evaluator.forget_draws()
        evaluator.draw(store.clips, protocol)

    started = time.perf_counter()
    first = solve()[0]
    first_s = time.perf_counter() - started
    solved = [protocol.n_episodes / found.wall_s for found in solve(rounds + 1)[1:]]
    rates = {"solve": solved, "call": _rates(call, protocol, rounds), "draw": _rates(draw, protocol, rounds)}
    rates["whole"] = _rates(whole, protocol, rounds)
    evaluator.forget_draws()
    evaluator.forget_sources()
    with time_stages() as stages:
        solve()
    device = evaluator.mesh.devices.flat[0]
    shape = evaluator._chunking.shape(protocol)
    truth = np.repeat(np.arange(question.n_way, dtype=np.int8), question.n_query)
    return {
        "rates": rates,
        "block": shape.block,
        "blocks": shape.blocks,
        "chunks": -(-protocol.n_episodes // shape.episodes),
        "inner_products": first.gram_kind,
        "first_call_s": first_s,
        "compile_s": first.compile_s,
        "stages_s": stages.seconds,
        "accuracy": float((first.predicted == truth).mean()),
        "iterations": float(np.mean(first.iterations)) if np.isfinite(first.iterations).all() else None,
        "programs": programs(),
        "device_peak_bytes": (device.memory_stats() or {}).get("peak_bytes_in_use")
        if device.platform != "cpu"
        else None,
        "equal_to_expected": None if expected is None else float((first.predicted == expected).mean()),
    }


def programs() -> dict[str, dict[str, float]]:
    """Count the kernels, loops, bytes and operations of the compiled programs of this process.

    Returns:
      For each name of a program: "kernels" is the number of fusions, library calls and copies in the optimised program. "loops"
      is the number of loops. "bytes" and "flops" are XLA's own counts. All of these count the body of a loop once. If several
      programs have the same name, the numbers are those of the last.
    """
    found = {}
    for (function, *_), program in PROGRAMS._kept.items():
        text = program.as_text()
        costs = program.cost_analysis() or {}
        found[getattr(function, "__name__", str(function))] = {
            "kernels": len(re.findall(r" = .*? (?:fusion|custom-call|copy|sort)\(", text)),
            "loops": len(re.findall(r" = .*? while\(", text)),
            "bytes": costs.get("bytes accessed", 0.0),
            "flops": costs.get("flops", 0.0),
        }
    return found


def _rates(work: Callable[[], None], protocol: Protocol, rounds: int) -> list[float]:
    rates = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        rates.append(protocol.n_episodes / (time.perf_counter() - started))
    return rates
