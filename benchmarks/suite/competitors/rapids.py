"""cuML's LogisticRegression, one episode after the other, on an NVIDIA GPU."""

import numpy as np

from benchmarks.suite.competitors.base import Competitor, Setting, Solver, missing
from benchmarks.suite.problem import Problem


def _unavailable(device: str) -> str | None:
    return missing("cuml", "cupy")(device) if device == "gpu" else "cuML needs an NVIDIA GPU"


def _one_by_one(problem: Problem, device: str, setting: Setting) -> Solver:
    import cupy
    from cuml.linear_model import LogisticRegression

    store = None if problem.embeddings is None else cupy.asarray(problem.embeddings)
    targets = cupy.asarray(problem.targets)

    def take(rows: np.ndarray):
        return cupy.asarray(problem.take(rows)) if store is None else store[cupy.asarray(rows)]

    def solve(n: int) -> np.ndarray:
        answers = []
        for support, query in zip(problem.support[:n], problem.query[:n], strict=True):
            model = LogisticRegression(C=1.0, output_type="cupy").fit(take(support), targets)
            answers.append(model.predict(take(query)))
        return cupy.asnumpy(cupy.stack(answers))

    return solve


COMPETITOR = Competitor(
    name="cuML",
    how="cuml.linear_model.LogisticRegression per episode, embeddings on the GPU",
    classifiers=("logistic",),
    unavailable=_unavailable,
    make=_one_by_one,
    threads=(1,),
)
