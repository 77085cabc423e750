"""Whom we are measured against: one file each, the same small interface (base.py)."""

from benchmarks.suite.competitors import prototypes, rapids, scikit_learn, torch_features, torch_gram, torch_linear
from benchmarks.suite.competitors.base import Competitor, Setting, Solver

COMPETITORS: dict[str, Competitor] = {
    competitor.name: competitor
    for competitor in (
        scikit_learn.ONE_BY_ONE,
        scikit_learn.ALL_CORES,
        torch_linear.ADAM,
        torch_linear.LBFGS,
        prototypes.COMPETITOR,
        rapids.COMPETITOR,
        *torch_features.COMPETITORS,
        *torch_gram.COMPETITORS,
    )
}

__all__ = ["COMPETITORS", "Competitor", "Setting", "Solver"]
