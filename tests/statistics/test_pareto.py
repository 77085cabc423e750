import numpy as np

from jfewshot.statistics.pareto import pareto_front


def dominated(accuracy, cost, place):
    """By definition, one pair at a time."""
    if np.isnan(accuracy[place]) or np.isnan(cost[place]):
        return True
    return any(
        a >= accuracy[place] and c <= cost[place] and (a > accuracy[place] or c < cost[place])
        for a, c in zip(accuracy, cost, strict=True)
    )


def test_the_front_is_what_nobody_dominates_with_ties_and_unknown_costs():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 12, 40):
        # Few distinct values, so that systems tie in one of them or in both.
        accuracy, cost = rng.integers(0, 6, n) / 6, rng.integers(-3, 4, n).astype(float)
        accuracy[rng.random(n) < 0.1], cost[rng.random(n) < 0.2] = np.nan, np.nan
        expected = [not dominated(accuracy, cost, place) for place in range(n)]
        assert pareto_front(accuracy, cost).tolist() == expected
