"""Find the systems on the Pareto front of accuracy and cost."""

import numpy as np
from jaxtyping import Bool, Float


def pareto_front(accuracy: Float[np.ndarray, " n"], cost: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Mark the systems that no other system dominates.

    A system dominates another one if its accuracy is at least as high and its cost at most as high, and if accuracy or
    cost is strictly better. Systems with equal accuracy and equal cost do not dominate each other.

    Args:
      accuracy: higher is better; NaN if unknown.
      cost: lower is better, for instance parameters, or seconds per clip; NaN if unknown.

    Returns:
      true for the systems on the front; false where accuracy or cost is unknown.
    """
    known = ~(np.isnan(accuracy) | np.isnan(cost))
    least_first = np.lexsort((-accuracy, cost))
    front = np.zeros(len(accuracy), bool)
    best, its_cost = -np.inf, -np.inf
    for place in least_first[known[least_first]]:
        if accuracy[place] > best or (accuracy[place] == best and cost[place] == its_cost):
            front[place] = True
            best, its_cost = accuracy[place], cost[place]
    return front
