"""Finds how many steps a solver with a fixed number of steps needs."""

from collections.abc import Callable

import numpy as np

_ENOUGH = 100
_SAME = 0.999


def fewest_steps(predict: Callable[[int], np.ndarray]) -> int:
    """The smallest number of steps after which nearly all predictions are those of a converged solution.

    Args:
      predict: given a number of steps, returns the predictions of some episodes.
    """
    converged = predict(_ENOUGH)
    steps = 1
    while steps < _ENOUGH and (predict(steps) == converged).mean() < _SAME:
        steps += 1 if steps < 10 else steps // 4
    return steps
