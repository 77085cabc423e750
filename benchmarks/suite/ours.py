"""jfewshot's side of a row."""

from collections.abc import Callable

import numpy as np

from benchmarks.suite.problem import Problem


def our_solver(problem: Problem):
    """A function that solves all episodes, from drawing them to predictions on the host, and its evaluator.

    The function starts from the stored embeddings, so its time includes normalisation and inner products.
    """
    from jfewshot.classifiers.specs import parse_classifier
    from jfewshot.evaluator.evaluator import Evaluator

    evaluator = Evaluator()
    specs = [parse_classifier(problem.question.classifier)]

    def solve() -> np.ndarray:
        evaluator.forget_draws()
        found = evaluator.evaluate(problem.view, problem.clips, problem.transform, problem.protocol, specs)
        return next(iter(found)).predicted

    return solve, evaluator


def our_draws(problem: Problem, evaluator) -> Callable[[], np.ndarray]:
    """A function that draws the problem's episodes with our evaluator and brings their clips to host memory.

    A competitor solves our draws, so the time of this function is added to the competitor's own.
    """

    def draw() -> np.ndarray:
        evaluator.forget_draws()
        return evaluator.draw(problem.clips, problem.protocol).clips

    return draw
