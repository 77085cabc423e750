"""The competitors, one file for each, with the same small interface.

- `base`: the interface
- `scikit_learn`: one estimator after the other
- `prototypes`: easyfsl's prototypical networks
- `rapids`: cuML's logistic regression
- `torch_linear`: one `nn.Linear` per episode
- `torch_features`: thousands of episodes at once, in feature space
- `torch_gram`: thousands of episodes at once, on inner products
- `torch_transductive`: the transductive heads, hundreds of episodes at once, in feature space and on inner products
- `torch_common`: what the PyTorch competitors share: devices, threads, compilation, precision
- `torch_steps`: how many steps a fixed-length solver needs
"""

from benchmarks.suite.competitors import (
    prototypes,
    rapids,
    scikit_learn,
    torch_features,
    torch_gram,
    torch_linear,
    torch_transductive,
)
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
        *torch_transductive.COMPETITORS,
    )
}

__all__ = ["COMPETITORS", "Competitor", "Setting", "Solver"]
