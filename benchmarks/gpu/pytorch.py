"""Measures the suite's two batched PyTorch solvers on the same GPU and the same draws, in conditions that favour PyTorch.

Before the measurement, the device holds the store, the inner products of a small store, and the rows of all episodes. Several
chunk sizes are tried, and the fastest is reported. Predictions are copied to page-locked host memory that exists beforehand.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gpu.evaluating import Question
from benchmarks.suite.competitors import torch_features, torch_gram
from benchmarks.suite.competitors.torch_steps import fewest_steps
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.preprocessing import Transform

_UNIT = Transform("l2", unit_length=True)
_SMALL = 4096  # for a store of at most this many rows, all inner products are computed once, as in jfewshot
_CHECKED = 2000  # episodes whose predictions are compared
SOLVERS = ("Gram", "Gram, episodes last", "features")


class Episodes:
    """A question's store and draws on a torch device.

    Args:
      question: the problem.
      device: torch's name of the device.
    """

    def __init__(self, question: Question, device: str):
        import torch

        self.question, self.device = question, device
        evaluator = Evaluator()
        store, shots = question.store, question.k_shot
        drawn = evaluator.draw(store.clips, question.protocol).clips.astype(np.int64)
        n = len(drawn)
        self.rows = tuple(
            torch.from_numpy(np.ascontiguousarray(part.reshape(n, -1))).to(device)
            for part in (drawn[:, :, :shots], drawn[:, :, shots:])
        )
        self.store = torch.from_numpy(_UNIT(store.view)).to(device)
        self.products = self.store @ self.store.T if len(self.store) <= _SMALL else None
        targets = torch.arange(question.n_way).repeat_interleave(shots)
        self.targets = torch.eye(question.n_way)[targets].to(device)
        few = question._replace(n_episodes=min(_CHECKED, question.n_episodes))
        specs = [_spec()]
        self.ours = next(iter(evaluator.evaluate(store.view, store.clips, _UNIT, few.protocol, specs))).predicted


def _spec():
    from jfewshot.classifiers.specs import parse_classifier

    return parse_classifier("logistic")


def measure(
    episodes: Episodes, solver: str, compiled: bool, chunks: tuple[int, ...], rounds: int = 3
) -> dict[str, Any]:
    """Episodes per second of one of `SOLVERS`, with the fastest of some chunk sizes."""
    import torch

    run = _function(episodes, solver)
    steps = fewest_steps(lambda steps: run(*_part(episodes, 0, _CHECKED), steps).cpu().numpy())
    n = episodes.question.n_episodes
    tried: dict[int, list[float]] = {}
    first_s: dict[int, float] = {}
    answers: dict[int, np.ndarray] = {}
    failed: dict[int, str] = {}
    with torch.inference_mode():
        for chunk in sorted({min(chunk, n) for chunk in chunks}):
            work = torch.compile(run, dynamic=False) if compiled else run
            whole = n // chunk * chunk
            queries = episodes.rows[1].shape[1]
            on_host = torch.empty((whole, queries), dtype=torch.int8, pin_memory=episodes.device == "cuda")

            def solve(work=work, chunk=chunk, whole=whole, on_host=on_host) -> np.ndarray:
                out = [work(*_part(episodes, start, chunk), steps) for start in range(0, whole, chunk)]
                return on_host.copy_(torch.cat(out)).numpy()

            try:
                started = time.perf_counter()
                answers[chunk] = solve()[:_CHECKED].copy()
                first_s[chunk] = time.perf_counter() - started
                tried[chunk] = []
                for _ in range(rounds):
                    started = time.perf_counter()
                    solve()
                    tried[chunk].append(whole / (time.perf_counter() - started))
            except torch.OutOfMemoryError as error:
                failed[chunk] = str(error).splitlines()[0]
                tried.pop(chunk, None)
                torch.cuda.empty_cache()
    if not tried:
        return {"failed": f"no chunk size ran: {failed}"}
    best = max(tried, key=lambda chunk: float(np.median(tried[chunk])))
    theirs = answers[best]
    return {
        "rates": {"solve": tried[best]},
        "chunk": best,
        "steps": steps,
        "tried": {str(chunk): float(np.median(rates)) for chunk, rates in tried.items()},
        "out_of_memory": {str(chunk): reason for chunk, reason in failed.items()},
        "first_call_s": first_s[best],
        "equal_to_ours": float((theirs == episodes.ours[: len(theirs)]).mean()),
        "device_peak_bytes": torch.cuda.max_memory_allocated() if episodes.device == "cuda" else None,
    }


def _part(episodes: Episodes, start: int, chunk: int):
    return tuple(rows[start : start + chunk] for rows in episodes.rows)


def _function(episodes: Episodes, solver: str):
    """The solver as a function (support rows, query rows, steps) -> predicted class slots, on the device."""
    import torch

    store, products, targets = episodes.store, episodes.products, episodes.targets
    if solver == "features":
        return lambda support, query, steps: torch_features.logistic(store[support], store[query], targets, steps)
    last = solver == "Gram, episodes last"
    finish: Callable[..., torch.Tensor] = torch_gram.episodes_last if last else torch_gram.episodes_first

    def look_up(support, query, steps):
        assert products is not None
        if last:
            support, query = support.mT, query.mT
            at = (rows[:, None] * products.shape[1] + support[None] for rows in (support, query))
            return finish(*(products.view(-1)[x] for x in at), targets, steps)
        return finish(*(products[x[:, :, None], support[:, None]] for x in (support, query)), targets, steps)

    def multiply(support, query, steps):
        support, query = store[support], store[query]
        blocks = [torch.bmm(support, support.mT), torch.bmm(query, support.mT)]
        if last:
            blocks = [x.permute(1, 2, 0).contiguous() for x in blocks]
        return finish(*blocks, targets, steps)

    return multiply if products is None else look_up
