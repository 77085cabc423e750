"""Every competitor solves the same problem: its predictions are those of scikit-learn, converged, in float64."""

import dataclasses
import importlib.util
import warnings

import numpy as np
import pytest

from benchmarks.suite.competitors import COMPETITORS, Setting, torch_common
from benchmarks.suite.competitors.prototypes import prototypical_networks
from benchmarks.suite.competitors.scikit_learn import PAPER_SGD
from benchmarks.suite.one_row import check
from benchmarks.suite.problem import load_problem
from benchmarks.suite.rows import OURS, Question, competitors_of
from jfewshot.classifiers.specs import parse_classifier
from tests.classifiers.test_transductive import (
    alternating_directions,
    balanced_assignments,
    bound_updates,
    descent,
    spread_labels,
)

EPISODES = 12
_EPISODES_OF = [
    ("logistic", 3, 1), ("logistic", 5, 3), ("centroid", 3, 2), ("ridge", 3, 2), ("svm", 3, 2), ("knn", 3, 1),
]  # fmt: skip
_CASES = [
    (name, Question(classifier, way, shot, 3, 16, 80, EPISODES))
    for classifier, way, shot in _EPISODES_OF
    for name in competitors_of(classifier)
    if name != "scikit-learn, all cores"
]
# These compile C++, which takes half a minute each: one of each file will do.
_SLOW = {"torch features, compiled", "torch Gram, compiled", "torch Gram, episodes last, compiled"}


def reference(problem):
    """Predictions by scikit-learn in float64 to 1e-10, and how much the winner leads by."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
    from sklearn.svm import LinearSVC

    make = {
        "logistic": lambda: LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000),
        "ridge": lambda: RidgeClassifier(alpha=1.0),
        "svm": lambda: LinearSVC(C=1.0, tol=1e-10, max_iter=100_000),
        "centroid": NearestCentroid,
        "knn": lambda: KNeighborsClassifier(1),
    }[problem.question.classifier]
    predicted, clear = [], []
    for support, query in zip(problem.support, problem.query, strict=True):
        x, q = problem.take(support).astype(np.float64), problem.take(query).astype(np.float64)
        model = make().fit(x, problem.targets)
        predicted.append(model.predict(q))
        if hasattr(model, "decision_function"):
            ordered = np.sort(model.decision_function(q), 1)
            # Competitors stop at residuals of about 1e-3.
            clear.append(ordered[:, -1] - ordered[:, -2] > 5e-3 * np.abs(ordered).max())
        else:
            clear.append(np.ones(len(q), bool))
    return np.stack(predicted), np.stack(clear)


def _named(name, question):
    marks = [pytest.mark.slow] if name in _SLOW else []
    return pytest.param(name, question, marks=marks, id=f"{name}-{question.classifier}-{question.k_shot}")


# torch's own compiler uses what torch deprecates.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("name", "question"), [_named(*case) for case in _CASES])
def test_a_competitor_predicts_what_scikit_learn_does(name, question, scratch):
    competitor = COMPETITORS[name]
    if reason := competitor.unavailable("cpu"):
        pytest.skip(reason)
    problem = load_problem(question, scratch)
    solver = competitor.make(problem, "cpu", Setting(1, 8 if len(competitor.chunks) > 1 else 1))
    predicted = solver(EPISODES)
    expected, clear = reference(problem)
    assert predicted.shape == expected.shape
    assert (predicted == expected)[clear].mean() >= 0.995
    assert clear.mean() > 0.9
    # Fewer episodes are the first of the same.
    assert np.array_equal(solver(3), predicted[:3])


@pytest.mark.parametrize(
    ("name", "equations"),
    [
        ("propagation", spread_labels),
        ("sinkhorn", balanced_assignments),
        ("tim", alternating_directions),
        ("alpha_tim", descent),
        ("laplacian_shot", bound_updates),
    ],
)
@pytest.mark.parametrize("way", ["torch transductive", "torch transductive, products"])
def test_a_transductive_competitor_solves_the_papers_equations(name, equations, way, scratch):
    competitor = COMPETITORS[way]
    if reason := competitor.unavailable("cpu"):
        pytest.skip(reason)
    problem = load_problem(Question(name, n_query=3, dim=32, n_episodes=5), scratch)
    predicted = competitor.make(problem, "cpu", Setting(1, 2))(5)
    settings = dataclasses.asdict(parse_classifier(name).classifier)
    x = [(problem.take(s).astype(np.float64), problem.take(q).astype(np.float64)) for s, q in _rows(problem)]
    expected = np.stack([equations(s, q, 5, **settings).argmax(1) for s, q in x])
    assert (predicted == expected).mean() >= 0.97


def _rows(problem):
    return zip(problem.support, problem.query, strict=True)


def test_joblib_gives_what_one_process_gives(scratch):
    import joblib

    problem = load_problem(Question("logistic", 3, 1, 3, 16, 80, EPISODES), scratch)
    with joblib.parallel_config("threading"):
        both = COMPETITORS["scikit-learn, all cores"].make(problem, "cpu", Setting(1))(EPISODES)
    assert np.array_equal(both, COMPETITORS["scikit-learn"].make(problem, "cpu", Setting(1))(EPISODES))


def test_sgd_runs_with_the_papers_settings_and_its_accuracy_is_ours(scratch):
    from benchmarks.suite.ours import our_solver

    assert PAPER_SGD["max_iter"] == 100
    assert PAPER_SGD["alpha"] == 0.0
    problem = load_problem(Question("sgd", 3, 1, 3, 16, 80, 200), scratch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = COMPETITORS["scikit-learn"].make(problem, "cpu", Setting(1))(100)
    ours = our_solver(problem)[0]()[:100]
    assert check(problem, COMPETITORS["scikit-learn"], ours, theirs)[1] is None
    # A classifier that guesses is found out.
    guesses = np.random.default_rng(0).integers(0, 3, theirs.shape)
    assert "accuracies differ" in check(problem, COMPETITORS["scikit-learn"], ours, guesses)[1]


def test_too_few_equal_predictions_stop_a_comparison(scratch):
    problem = load_problem(Question("logistic", 3, 1, 3, 16, 80, EPISODES), scratch)
    predicted = np.zeros((EPISODES, 9), np.int8)
    wrong = predicted.copy()
    wrong[:, 0] = 1
    assert "only 88.9% of predictions agree" in check(problem, COMPETITORS["torch Gram"], predicted, wrong)[1]
    assert check(problem, COMPETITORS["torch Gram"], predicted, predicted) == (1.0, None)


def test_a_store_on_disk_gives_the_same_predictions(scratch, monkeypatch):
    pytest.importorskip("torch")
    import benchmarks.suite.problem

    question = Question("logistic", 3, 2, 3, 16, 80, EPISODES)
    in_memory = load_problem(question, scratch)
    names = ("torch features", "torch Gram", "torch Gram, episodes last", "scikit-learn")
    before = [COMPETITORS[name].make(in_memory, "cpu", Setting(1, 8))(EPISODES) for name in names]
    monkeypatch.setattr(benchmarks.suite.problem, "ON_DISK", 80)
    on_disk = load_problem(question, scratch)
    assert isinstance(on_disk.view, np.memmap)
    assert on_disk.embeddings is None
    for name, expected in zip(names, before, strict=True):
        assert (COMPETITORS[name].make(on_disk, "cpu", Setting(1, 8))(EPISODES) == expected).mean() > 0.99


def test_every_competitor_of_the_rows_is_there_and_says_what_it_lacks():
    pytest.importorskip("torch")
    classifiers = ("logistic", "sgd", "ridge", "svm", "centroid", "knn")
    named = {name for classifier in classifiers for name in competitors_of(classifier)}
    # The transductive ones have a command of their own, `benchmarks.transductive`.
    assert named | {"torch transductive", "torch transductive, products"} == set(COMPETITORS)
    assert OURS not in named
    assert COMPETITORS["cuML"].unavailable("cpu") == "cuML needs an NVIDIA GPU"
    assert COMPETITORS["torch Gram, CUDA graphs"].unavailable("cpu") == "CUDA graphs need CUDA"
    assert COMPETITORS["torch Gram, TF32"].unavailable("cpu") == "TF32 is a GPU's number format"


def test_chunks_are_filled_up_to_equal_size():
    rows = np.arange(10)[:, None]
    parts = list(torch_common.in_chunks((rows,), 10, 4))
    assert [wanted for wanted, _ in parts] == [4, 4, 2]
    assert [len(part[0]) for _, part in parts] == [4, 4, 4]
    assert parts[-1][1][0][:, 0].tolist() == [8, 9, 8, 8]


def test_easyfsl_is_imported_with_or_without_torchvision():
    pytest.importorskip("torch")
    if importlib.util.find_spec("easyfsl") is None:
        pytest.skip("easyfsl is not installed")
    assert prototypical_networks().__name__ == "PrototypicalNetworks"
