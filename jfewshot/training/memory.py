"""Checkpoints of runs that take seconds: in memory, with the interface of those on disk.

Writing a checkpoint takes longer than an epoch of such a run; one that is killed begins again, and computes the same.
"""

import jax

from jfewshot.training.checkpoints import best_steps
from jfewshot.training.step import State


class MemoryCheckpoints:
    """Keep states as NumPy arrays: the best by their validation number, of equal ones the earlier.

    Args:
      keep_best: how many.
      higher_is_better: the best is the highest number (an accuracy), not the lowest (a loss).
    """

    def __init__(self, keep_best: int, higher_is_better: bool = False):
        self._keep_best, self._higher_is_better = keep_best, higher_is_better
        self._kept: dict[int, tuple[float, State]] = {}

    def save(self, state: State, score: float | None) -> None:
        """Keep a state that has a number, if it is among the best so far."""
        if score is None:
            return
        self._kept[int(state.step)] = (score, jax.device_get(state))
        for step in set(self._kept) - set(self.best(self._keep_best)):
            del self._kept[step]

    def load(self, like: State, step: int | None = None) -> State:
        """The state at a step that is kept (None: the latest such)."""
        return self._kept[max(self._kept) if step is None else step][1]

    def steps(self) -> list[int]:
        """Steps that are kept, in order."""
        return sorted(self._kept)

    def scores(self) -> dict[int, float]:
        """Validation number of each."""
        return {step: score for step, (score, _) in self._kept.items()}

    def best(self, n: int) -> list[int]:
        """The n steps with the best validation number."""
        return best_steps(self.scores(), n, self._higher_is_better)

    def close(self) -> None:
        """Nothing is waited for."""
