"""One row, in a process of its own: `python -m benchmarks.run` starts one for each, so that none disturbs another.

    python -m benchmarks.suite.one_row --row JSON --scratch FOLDER [--device cpu] [--seconds S] [--rounds R]

Writes a JSON object as its last line.
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

# Episodes whose predictions are compared, at least; fewer where these would take longer than ten rounds.
_CHECKED, _LEAST_CHECKED = 200, 50
_MATRIX_BYTES = 2**29  # of one matrix of products over a chunk; batched solvers hold several
_RANDOM_AGREES = 4.0  # standard errors by which accuracies of random solutions may differ


def measure_alone(problem: Problem, rounds: int, seconds: float) -> dict[str, Any]:
    """Ours: first call, steady rate, memory, operations, and how far that is from what the machine can do."""
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
    """Ours and another's in turns, after their predictions were compared and the other's best setting was found.

    The competitor solves our draws. So every round also measures how long our evaluator takes to draw all episodes and to
    bring their clips to the host, and adds this time per episode to the competitor's: 1 / theirs = 1 / solving + 1 / drawing.
    """
    _say("predicting with jfewshot")
    solve, evaluator = our_solver(problem)
    draw = our_draws(problem, evaluator)
    predicted = solve()
    # From here on memory is theirs, their libraries included.
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
        # Threads of the one before may still be spinning.
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
    """Name the step on standard error; the last step named is the reason given for a row that had to be stopped."""
    sys.stderr.write(f"step: {what}\n")
    sys.stderr.flush()


def check(problem: Problem, competitor: Competitor, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, str | None]:
    """Share of equal predictions, and why that is not good enough to time anything; None if it is."""
    agreement = float((ours == theirs).mean())
    if competitor.agreement is not None and problem.question.classifier != "sgd":
        if agreement < competitor.agreement:
            return agreement, f"only {agreement:.1%} of predictions agree, {competitor.agreement:.0%} are needed"
        return agreement, None
    # Random in its order: on the same episodes the accuracies must agree.
    ways, queries = problem.question.n_way, problem.question.n_query
    right = [(x == np.repeat(np.arange(ways), queries)).mean(1) for x in (ours, theirs)]
    difference = right[0] - right[1]
    error = max(float(difference.std()), 0.05) / np.sqrt(len(difference))
    if abs(float(difference.mean())) > _RANDOM_AGREES * error:
        return (
            agreement,
            f"accuracies differ by {difference.mean():.3f}, {_RANDOM_AGREES} standard errors are {error * 4:.3f}",
        )
    return agreement, None


def _best_setting(problem: Problem, competitor: Competitor, device: str, seconds: float):
    """Threads first, at the middle chunk; then the other chunks."""
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
    """The chunk sizes that make sense: not above the episodes there are, nor too large for memory; at least the smallest."""
    most = min(question.n_episodes, _MATRIX_BYTES // (4 * question.n_support**2))
    return tuple(chunk for chunk in chunks if chunk <= most) or (min(chunks),)


def _sample(rate: float, seconds: float, setting: Setting, problem: Problem) -> int:
    """As many of the first episodes as fill the time, in whole chunks."""
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
    parser.add_argument("--row", required=True, help="as JSON: a question's fields, and competitor")
    parser.add_argument("--scratch", type=Path, required=True, help="where embeddings are kept")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a competitor's work per round")
    options = parser.parse_args()
    from jfewshot.evaluator.devices import use_all_cores

    use_all_cores()
    fields = json.loads(options.row)
    row = Row(competitor=fields.pop("competitor"), question=Question(**fields))
    result = measure(row, options.scratch, options.device, options.rounds, options.seconds)
    sys.stdout.write("\n" + json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
