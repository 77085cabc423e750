"""How many steps a fixed-length solver needs."""

from collections.abc import Callable

import numpy as np

_ENOUGH = 100
_SAME = 0.999


def fewest_steps(predict: Callable[[int], np.ndarray]) -> int:
    """The fewest steps that give the predictions of many.

    Args:
      predict: predictions of some episodes after so many steps.
    """
    converged = predict(_ENOUGH)
    steps = 1
    while steps < _ENOUGH and (predict(steps) == converged).mean() < _SAME:
        steps += 1 if steps < 10 else steps // 4
    return steps
