"""PyTorch, one `nn.Linear` per episode, as in most few-shot code with a linear head."""

import numpy as np

from benchmarks.suite.competitors.base import Competitor, Setting, Solver, missing
from benchmarks.suite.competitors.torch_common import torch_device, use_threads
from benchmarks.suite.problem import Problem

_STEPS, _RATE = 100, 0.03


def _objective(head, support, targets, penalty):
    """jfewshot's objective: cross-entropy summed over the supports, plus penalty |W|^2 / 2. A penalty of 1 is C = 1."""
    import torch

    loss = torch.nn.functional.cross_entropy(head(support), targets, reduction="sum")
    return loss + 0.5 * penalty * head.weight.square().sum()


def _adam(head, support, targets) -> None:
    import torch

    # The penalty is a weight decay of the weights without the bias, as torch users write it. `fused` gives one kernel per step.
    groups = [{"params": [head.weight], "weight_decay": 1.0}, {"params": [head.bias], "weight_decay": 0.0}]
    optimiser = torch.optim.Adam(groups, lr=_RATE, fused=True)
    for _ in range(_STEPS):
        optimiser.zero_grad(set_to_none=True)
        _objective(head, support, targets, 0.0).backward()
        optimiser.step()


def _lbfgs(head, support, targets) -> None:
    import torch

    optimiser = torch.optim.LBFGS(
        head.parameters(), max_iter=50, history_size=10, tolerance_grad=1e-3, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad(set_to_none=True)
        loss = _objective(head, support, targets, 1.0)
        loss.backward()
        return loss

    optimiser.step(closure)


def _one_by_one(train):
    def make(problem: Problem, device: str, setting: Setting) -> Solver:
        import torch

        where = torch_device(device)
        store = None if problem.embeddings is None else torch.from_numpy(problem.embeddings).to(where)
        targets = torch.from_numpy(problem.targets).to(where)

        def take(rows: np.ndarray):
            return torch.from_numpy(problem.take(rows)).to(where) if store is None else store[rows]

        def solve(n: int) -> np.ndarray:
            use_threads(setting.threads)
            answers = []
            for support_rows, query_rows in zip(problem.support[:n], problem.query[:n], strict=True):
                support, query = take(support_rows), take(query_rows)
                head = torch.nn.Linear(support.shape[1], problem.question.n_way, device=where)
                torch.nn.init.zeros_(head.weight)
                torch.nn.init.zeros_(head.bias)
                train(head, support, targets)
                with torch.inference_mode():
                    answers.append(head(query).argmax(1))
            return torch.stack(answers).cpu().numpy()

        return solve

    return make


ADAM = Competitor(
    name="torch Adam",
    how=f"nn.Linear per episode from zero, fused Adam, {_STEPS} full-batch steps at {_RATE}, weight decay as our penalty",
    classifiers=("logistic",),
    unavailable=missing("torch"),
    make=_one_by_one(_adam),
    agreement=0.97,
)
LBFGS = Competitor(
    name="torch L-BFGS",
    how="nn.Linear per episode from zero, torch.optim.LBFGS with strong Wolfe line search, our objective",
    classifiers=("logistic",),
    unavailable=missing("torch"),
    make=_one_by_one(_lbfgs),
)
