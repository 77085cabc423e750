"""Measures one row of the suite. `python -m benchmarks.run` starts a process for each row, so rows do not affect each other.

    python -m benchmarks.suite.one_row --row JSON --scratch FOLDER [--device cpu] [--seconds S] [--rounds R]

The last line of its output is a JSON object with the result.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite.competitors import COMPETITORS, Competitor, Setting
from benchmarks.suite.ours import our_draws, our_solver
from benchmarks.suite.problem import Problem, load_problem
from benchmarks.suite.rows import OURS, Question, Row
from benchmarks.tools.measuring import in_turns, ratio
from benchmarks.tools.memory import memory_bytes, reset_peak
from jfewshot.threads import cores

# Number of episodes whose predictions are compared, and the smallest number for competitors that would take longer than ten
# rounds.
_CHECKED, _LEAST_CHECKED = 200, 50
# Largest array of a chunk's inner products between supports. Batched solvers hold several of these arrays.
_MATRIX_BYTES = 2**29
_RANDOM_AGREES = 4.0  # where solutions are random, accuracies may differ by this many standard errors


def measure_alone(problem: Problem, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure jfewshot alone: first call, steady rate, memory, operations, and the share of the machine's limit."""
    from benchmarks.suite.counting import operations
    from benchmarks.suite.limits import measure_limits

    reset_peak()
    before = memory_bytes("VmRSS")
    solve, evaluator = our_solver(problem)
    started = time.perf_counter()
    solve()
    first_s = time.perf_counter() - started
    rates: list[float] = []
    began = time.perf_counter()
    while len(rates) < rounds or (time.perf_counter() - began < seconds and len(rates) < 5 * rounds):
        started = time.perf_counter()
        solve()
        rates.append(problem.question.n_episodes / (time.perf_counter() - started))
    peak, device = memory_bytes("VmHWM"), evaluator.mesh.devices.flat[0]
    kind = _gram_kind(problem, evaluator)
    limits = measure_limits()
    counted = operations(problem, kind, episodes=16)
    at_best = {
        "memory": counted.bytes / limits.copied_bytes,
        "inner products": counted.product / limits.product_operations,
        "arithmetic": counted.plain / limits.plain_operations + counted.slow / limits.slow_operations,
    }
    bound = max(at_best, key=lambda name: at_best[name])
    return {
        "ours": rates,
        "first_call_s": first_s,
        "peak_bytes": peak,
        "peak_over_start_bytes": None if peak is None or before is None else peak - before,
        "device_peak_bytes": (device.memory_stats() or {}).get("peak_bytes_in_use")
        if device.platform != "cpu"
        else None,
        "device": device.device_kind,
        "inner_products": kind,
        "operations": counted._asdict(),
        "limits": limits._asdict(),
        "bound": bound,
        "share_of_limit": float(np.median(rates)) * at_best[bound],
    }


def _gram_kind(problem: Problem, evaluator) -> str:
    from jfewshot.classifiers.specs import parse_classifier

    specs = [parse_classifier(problem.question.classifier)]
    found = evaluator.evaluate(problem.view, problem.clips, problem.transform, problem.protocol, specs)
    return next(iter(found)).gram_kind


def measure_against(
    problem: Problem, competitor: Competitor, device: str, rounds: int, seconds: float
) -> dict[str, Any]:
    """Measure jfewshot and a competitor in turns, after finding the competitor's best setting and comparing predictions.

    The competitor solves the episodes that our evaluator drew. So every round also measures how long our evaluator takes to draw
    all episodes and to bring their clips to the host. This time per episode is added to the competitor's time per episode:
    1 / theirs = 1 / solving + 1 / drawing.
    """
    _say("predicting with jfewshot")
    solve, evaluator = our_solver(problem)
    draw = our_draws(problem, evaluator)
    predicted = solve()
    # Memory that is used from here on counts as the competitor's, including the import of its libraries.
    reset_peak()
    before = memory_bytes("VmRSS")
    setting, tried, first_s, solver = _best_setting(problem, competitor, device, seconds)
    their_rate = tried[str(tuple(setting))]
    n = _sample(their_rate, seconds, setting, problem)
    _say(f"comparing the predictions of {competitor.name}")
    checked = min(_CHECKED, max(_LEAST_CHECKED, int(10 * seconds * their_rate)), problem.question.n_episodes)
    theirs = solver(max(n, checked))
    peak = memory_bytes("VmHWM")
    agreement, why_not = check(problem, competitor, predicted[: len(theirs)], theirs)
    if why_not:
        return {"failed": why_not, "agreement": agreement}

    def rate(work, count) -> float:
        # Threads of the side that was measured before may keep a core busy for some milliseconds.
        time.sleep(0.05)
        started = time.perf_counter()
        work()
        return count / (time.perf_counter() - started)

    _say(f"timing jfewshot and {competitor.name} in turns")
    episodes = problem.question.n_episodes
    measured = in_turns(
        {
            "ours": lambda: rate(solve, episodes),
            "drawing": lambda: rate(draw, episodes),
            "theirs": lambda: rate(lambda: solver(n), n),
        },
        rounds,
    )
    theirs_and_drawing = [
        1 / (1 / solving + 1 / drawing)
        for solving, drawing in zip(measured["theirs"], measured["drawing"], strict=True)
    ]
    median, smallest, largest = ratio(measured["ours"], theirs_and_drawing)
    return {
        "ours": measured["ours"],
        "theirs": theirs_and_drawing,
        "theirs_solving": measured["theirs"],
        "drawing": measured["drawing"],
        "ratio": median,
        "ratio_smallest": smallest,
        "ratio_largest": largest,
        "agreement": agreement,
        "accuracy": [problem.accuracy(predicted[: len(theirs)]), problem.accuracy(theirs)],
        "sample": n,
        "setting": setting._asdict(),
        "tried": tried,
        "their_first_call_s": first_s,
        "their_peak_over_start_bytes": None if peak is None or before is None else peak - before,
    }


def _say(what: str) -> None:
    """Write the current step to standard error. If the row must be stopped, its last step is reported as the reason."""
    sys.stderr.write(f"step: {what}\n")
    sys.stderr.flush()


def check(problem: Problem, competitor: Competitor, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, str | None]:
    """Share of equal predictions, and the reason why the sides cannot be compared; None if they can."""
    agreement = float((ours == theirs).mean())
    if competitor.agreement is not None and problem.question.classifier != "sgd":
        if agreement < competitor.agreement:
            return agreement, f"only {agreement:.1%} of predictions agree, {competitor.agreement:.0%} are needed"
        return agreement, None
    # The solution depends on random numbers, so predictions may differ. The accuracies on the same episodes must agree.
    ways, queries = problem.question.n_way, problem.question.n_query
    right = [(x == np.repeat(np.arange(ways), queries)).mean(1) for x in (ours, theirs)]
    difference = right[0] - right[1]
    error = max(float(difference.std()), 0.05) / np.sqrt(len(difference))
    if abs(float(difference.mean())) > _RANDOM_AGREES * error:
        return (
            agreement,
            f"accuracies differ by {difference.mean():.3f}, more than {_RANDOM_AGREES} standard errors ({error * 4:.3f})",
        )
    return agreement, None


def _best_setting(problem: Problem, competitor: Competitor, device: str, seconds: float):
    """Find the fastest setting: first the number of threads with the middle chunk size, then the chunk size."""
    threads = (1,) if device == "gpu" else competitor.threads or tuple(dict.fromkeys((1, cores())))
    chunks = _chunks(competitor.gpu_chunks if device == "gpu" else competitor.chunks, problem.question)
    middle = chunks[len(chunks) // 2]
    tried: dict[str, float] = {}
    solvers, first_s = {}, {}

    def attempt(setting: Setting) -> None:
        _say(f"trying {competitor.name} with threads={setting.threads}, chunk={setting.chunk}")
        started = time.perf_counter()
        solver = competitor.make(problem, device, setting)
        least = min(max(setting.chunk, 2), problem.question.n_episodes)
        solver(least)
        first_s[setting] = time.perf_counter() - started
        started = time.perf_counter()
        solver(least)
        n = _sample(least / (time.perf_counter() - started), 0.3 * seconds, setting, problem)
        started = time.perf_counter()
        solver(n)
        tried[str(tuple(setting))] = n / (time.perf_counter() - started)
        solvers[setting] = solver

    for number in threads:
        attempt(Setting(number, middle))
    best = max(solvers, key=lambda setting: tried[str(tuple(setting))])
    for chunk in chunks:
        if chunk != middle:
            attempt(Setting(best.threads, chunk))
    best = max(solvers, key=lambda setting: tried[str(tuple(setting))])
    return best, tried, first_s[best], solvers[best]


def _chunks(chunks: tuple[int, ...], question: Question) -> tuple[int, ...]:
    """The chunk sizes to try: at most the number of episodes, and small enough for memory. The smallest size is always tried."""
    most = min(question.n_episodes, _MATRIX_BYTES // (4 * question.n_support**2))
    return tuple(chunk for chunk in chunks if chunk <= most) or (min(chunks),)


def _sample(rate: float, seconds: float, setting: Setting, problem: Problem) -> int:
    """How many of the first episodes fill the time, in whole chunks."""
    n = int(np.clip(rate * seconds, 2, problem.question.n_episodes))
    return min(max(n // setting.chunk, 1) * setting.chunk, problem.question.n_episodes)


def measure(row: Row, scratch: Path, device: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure a row in this process."""
    problem = load_problem(row.question, scratch)
    if row.competitor == OURS:
        return measure_alone(problem, rounds, seconds)
    return measure_against(problem, COMPETITORS[row.competitor], device, rounds, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", required=True, help="the row as JSON: the fields of a question, and competitor")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for embeddings")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds that a competitor works in each round")
    options = parser.parse_args()
    from jfewshot.evaluator.devices import use_all_cores

    use_all_cores()
    fields = json.loads(options.row)
    row = Row(competitor=fields.pop("competitor"), question=Question(**fields))
    result = measure(row, options.scratch, options.device, options.rounds, options.seconds)
    sys.stdout.write("\n" + json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
