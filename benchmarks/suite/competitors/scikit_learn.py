"""scikit-learn, one estimator after the other, as in the paper and in most few-shot code."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.suite.competitors.base import Competitor, Setting, Solver, blas_threads, missing
from benchmarks.suite.problem import Problem

# The settings of the paper (Heggan et al., arXiv 2402.01274) and of its public code.
PAPER_SGD = {
    "loss": "log_loss",
    "alpha": 0.0,
    "learning_rate": "adaptive",
    "eta0": 0.1,
    "tol": 1e-4,
    "n_iter_no_change": 2,
    "max_iter": 100,
}


def estimator(classifier: str) -> Callable[[], Any]:
    """A function that makes scikit-learn's counterpart of one of our classifiers."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
    from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
    from sklearn.svm import LinearSVC

    return {
        "logistic": lambda: LogisticRegression(C=1.0),
        "sgd": lambda: SGDClassifier(**PAPER_SGD),
        "ridge": lambda: RidgeClassifier(alpha=1.0),
        "svm": lambda: LinearSVC(C=1.0),
        "centroid": NearestCentroid,
        "knn": lambda: KNeighborsClassifier(1, algorithm="brute"),
    }[classifier]


def fit_and_predict(make: Callable[[], Any], support: np.ndarray, targets: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Fit an estimator on the supports of one episode, and predict the class slots of its queries."""
    with warnings.catch_warnings():
        # scikit-learn warns about classes with few clips and about SGD that has not converged. The paper's code accepts both.
        warnings.simplefilter("ignore")
        return make().fit(support, targets).predict(query)


def _one_by_one(problem: Problem, device: str, setting: Setting) -> Solver:
    make = estimator(problem.question.classifier)

    def solve(n: int) -> np.ndarray:
        with blas_threads(setting.threads):
            return np.stack(
                [
                    fit_and_predict(make, problem.take(support), problem.targets, problem.take(query))
                    for support, query in zip(problem.support[:n], problem.query[:n], strict=True)
                ]
            )

    return solve


def _on_all_cores(problem: Problem, device: str, setting: Setting) -> Solver:
    import joblib

    classifier = problem.question.classifier
    cores = joblib.cpu_count()
    # The worker processes are started once. Each gets the embeddings of many episodes at a time.
    parallel = joblib.Parallel(n_jobs=cores, batch_size=1)

    def solve(n: int) -> np.ndarray:
        parts = np.array_split(np.arange(n), min(n, 4 * cores))
        answers = parallel(
            joblib.delayed(_stretch)(
                classifier, problem.take(problem.support[part]), problem.targets, problem.take(problem.query[part])
            )
            for part in parts
        )
        return np.concatenate(answers)

    return solve


def _stretch(classifier: str, support: np.ndarray, targets: np.ndarray, query: np.ndarray) -> np.ndarray:
    make = estimator(classifier)
    with blas_threads(1):
        return np.stack([fit_and_predict(make, s, targets, q) for s, q in zip(support, query, strict=True)])


ONE_BY_ONE = Competitor(
    name="scikit-learn",
    how="one estimator per episode, scikit-learn's defaults (sgd: the paper's settings), BLAS threads limited",
    classifiers=("logistic", "sgd", "ridge", "svm", "centroid", "knn"),
    unavailable=missing("sklearn", "threadpoolctl"),
    make=_one_by_one,
)
ALL_CORES = Competitor(
    name="scikit-learn, all cores",
    how="one estimator per episode by joblib, with one process per core and one BLAS thread in each",
    classifiers=("logistic", "sgd"),
    unavailable=missing("sklearn", "threadpoolctl", "joblib"),
    make=_on_all_cores,
    threads=(1,),
)
