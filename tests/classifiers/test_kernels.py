"""Classifiers on kernels, against scikit-learn's linear fits in float64 on an explicit factor of the kernel."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import LinearSVC

import jfewshot
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.errors import UserError
from jfewshot.evaluator import solving
from jfewshot.evaluator.full_data import check_classifier
from jfewshot.evaluator.solver_programs import block_solver
from jfewshot.heads.fitting import head_spec
from jfewshot.reporting.conditions import classifier_words
from tests.classifiers.problems import as_problem, episodes, margins, store_mean
from tests.synthetic_stores import clip_table, embeddings, make_store

N_QUERY = 4
REFERENCES = {
    "logistic": lambda: LogisticRegression(C=10.0, tol=1e-10, max_iter=20_000),
    "ridge": lambda: RidgeClassifier(alpha=0.1),
    "svm": lambda: LinearSVC(C=10.0, tol=1e-10, max_iter=1_000_000, random_state=0),
}
STRENGTHS = {"logistic": 10.0, "ridge": 0.1, "svm": 10.0}


@functools.partial(jax.jit, static_argnums=(0, 1))
def solve(classifier, n_way, problem, gram_qs, strengths, squared_lengths):
    function = block_solver(classifier, n_way, problem.k_shot, want_scores=True, want_model=False)
    return function(problem.gram, gram_qs, problem.episode, problem.key, strengths, squared_lengths)[0]


def scores_with_kernel(name, gamma, support, query, n_way):
    """Scores [episodes, queries, n_way], the way the evaluator computes them: float32, from inner products about a mean."""
    spec = parse_classifier(f"{name}:kernel=rbf:gamma={gamma:g}")
    origin = store_mean(support, query)
    problem, gram_qs = as_problem(support, query, n_way, origin)
    moved = (query - origin).astype(np.float32)
    squared_lengths = jnp.asarray(np.einsum("eqd,eqd->qe", moved, moved))
    scores = solve(spec.classifier, n_way, problem, gram_qs, jnp.array([STRENGTHS[name]]), squared_lengths)
    return np.moveaxis(np.asarray(scores)[0], -1, 0)


def explicit_factor(support, query, gamma):
    """Rows whose inner products are the kernel's values among all supports and queries of one episode, in float64."""
    spread = ((support - support.mean(0)) ** 2).sum(1).mean()
    values, vectors = np.linalg.eigh(rbf_kernel(np.concatenate([support, query]), gamma=gamma / spread))
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    return factor[: len(support)], factor[len(support) :]


def reference_scores(name, gamma, support, query, n_way):
    labels = np.repeat(np.arange(n_way), support.shape[1] // n_way)
    scores = []
    for one_support, one_query in zip(support, query, strict=True):
        s, q = explicit_factor(one_support, one_query, gamma)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            values = REFERENCES[name]().fit(s, labels).decision_function(q)
        scores.append(np.stack([-values, values], -1) if n_way == 2 else values)
    return np.stack(scores)


CASES = {
    "logistic": [(5, 1, "centred", 0.5)],
    "ridge": [(5, 5, "large norm", 1.0), (2, 4, "shared mean", 3.0)],
    "svm": [(5, 1, "centred", 0.5)],
}
MORE = [(name, 5, 5, regime, 1.0) for name in CASES for regime in ("shared mean", "large norm")]
MORE += [(name, 2, 4, "shared mean", 3.0) for name in ("logistic", "svm")]


@pytest.mark.parametrize(
    ("name", "n_way", "k_shot", "regime", "gamma"),
    [
        *((name, *case) for name, cases in CASES.items() for case in cases),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE),
    ],
)
def test_a_kernel_decides_as_a_linear_fit_on_its_explicit_factor(name, n_way, k_shot, regime, gamma):
    support, query = episodes(n_way, k_shot, N_QUERY, regime, n_episodes=6)
    ours = scores_with_kernel(name, gamma, support, query, n_way)
    reference = reference_scores(name, gamma, support, query, n_way)
    clear = margins(reference) > 1e-3
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(ours.argmax(-1)[clear], reference.argmax(-1)[clear])
    if n_way > 2:
        # Scores too, each query's about their mean: the solvers' 1e-5 on scores of order one, and float32 distances.
        about_mean = (x - x.mean(-1, keepdims=True) for x in (ours, reference))
        np.testing.assert_allclose(*about_mean, atol=2e-3)


OPTIONS = {"shots": 2, "n_query": 2, "n_episodes": 100, "preprocessing": "none"}


def moved_store(path, table, factor, offset):
    x = embeddings(table, seed=3).astype(np.float64)
    return make_store(path, table, views={"last.mean": (factor * x + offset).astype(np.float32)})


def test_predictions_do_not_depend_on_where_embeddings_lie_or_how_long_they_are(tmp_path):
    table = clip_table()
    first = moved_store(tmp_path / "a", table, 1.0, 0.0)
    second = moved_store(tmp_path / "b", table, 7.0, 50.0)
    name = "ridge:kernel=rbf"
    one, other = (jfewshot.evaluate(store, classifiers=name, **OPTIONS)[0] for store in (first, second))
    linear = jfewshot.evaluate(first, classifiers="ridge", **OPTIONS)[0]
    assert (one["predicted"] == other["predicted"]).mean() > 0.998
    assert (one["predicted"] != linear["predicted"]).mean() > 0.002


def test_each_episode_is_predicted_as_by_the_strength_that_it_chose_on_the_kernel(tmp_path):
    store = make_store(tmp_path / "s")
    grid = "0.01,0.1,1,10"
    *fixed, automatic = jfewshot.evaluate(store, classifiers=f"ridge:kernel=rbf:alpha={grid},auto", **OPTIONS)
    assert automatic["identity"]["classifier"] == {"name": "ridge", "kernel": "rbf", "gamma": 0.1}
    used = {item["value"] for item in automatic["chosen"] if item["episodes"]}
    assert used <= {0.01, 0.1, 1.0, 10.0}
    same = np.array([(automatic["predicted"] == record["predicted"]).all(1) for record in fixed])
    assert same.any(0).mean() > 0.98
    # A kernel's values lie between 0 and 1, whatever the embeddings' lengths: other strengths fit them.
    linear = jfewshot.evaluate(store, classifiers="ridge:alpha=auto", **OPTIONS)[0]
    assert linear["chosen"] != automatic["chosen"]


@pytest.mark.parametrize("how", ["vote", pytest.param("mean", marks=pytest.mark.slow)])
def test_further_segments_of_a_query_are_judged_on_the_kernel_too(tmp_path, how):
    """Queries of two equal segments are given to the class of one."""
    table = clip_table(n_segments=2)
    x = embeddings(table, seed=3)
    x[1::2] = x[::2]
    twice = make_store(tmp_path / "twice", table, views={"last.mean": x})
    once = make_store(tmp_path / "once", clip_table(), views={"last.mean": x[::2]})
    predicted = [
        jfewshot.evaluate(store, classifiers="ridge:kernel=rbf", query_segments=how, **OPTIONS)[0]["predicted"]
        for store in (once, twice)
    ]
    np.testing.assert_array_equal(*predicted)


def test_rows_looked_up_in_the_program_that_solves_give_the_same_predictions(tmp_path, monkeypatch):
    store = make_store(tmp_path / "s")
    apart = jfewshot.evaluate(store, classifiers="ridge:kernel=rbf", **OPTIONS)[0]
    monkeypatch.setattr(solving, "_LOOK_UP_INSIDE_FROM", 1)
    inside = jfewshot.evaluate(store, classifiers="ridge:kernel=rbf", **OPTIONS)[0]
    np.testing.assert_array_equal(apart["predicted"], inside["predicted"])


# As it was written for the contract before kernels; nothing of it may have to change.
OWN = """
import dataclasses
from typing import ClassVar

from jfewshot.classifiers.base import Diagnostics, class_sums


@dataclasses.dataclass(frozen=True)
class MeanProduct:
    power: int = 1
    strength: ClassVar = None
    tolerance: ClassVar = None
    translation_invariant: ClassVar = False

    def fit(self, support, strength=None):
        return (), Diagnostics.none(support)

    def score(self, model, support, gram_qs):
        return class_sums(gram_qs**self.power, support)
"""


def test_a_classifier_written_for_the_earlier_contract_runs_unchanged_and_on_a_kernel(tmp_path, monkeypatch):
    (tmp_path / "mean_product.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    store = make_store(tmp_path / "s")
    plain, kernel = jfewshot.evaluate(
        store, classifiers=["mean_product.MeanProduct", "mean_product.MeanProduct:kernel=rbf:gamma=0.25"], **OPTIONS
    )
    digest = plain["identity"]["classifier"].pop("source")
    assert plain["identity"]["classifier"] == {"name": "mean_product.MeanProduct", "power": 1}
    of_kernel = {"kernel": "rbf", "gamma": 0.25}
    assert kernel["identity"]["classifier"] == {**plain["identity"]["classifier"], **of_kernel, "source": digest}
    assert (plain["predicted"] != kernel["predicted"]).any()
    # The mean of a kernel over a class is Parzen's estimate of its density.
    assert kernel["accuracy"]["mean"] > 0.4


def test_a_kernel_is_named_in_titles():
    spec = parse_classifier("svm:C=2:kernel=rbf:gamma=0.1")
    condition = {"classifier": spec.identity(), "strength": {"name": "C", "value": 2.0}}
    assert classifier_words(condition) == "svm, C = 2, kernel = rbf, gamma = 0.1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("logistic:kernel=poly", "kernel is 'poly'; choose rbf, or leave kernel out"),
        ("logistic:gamma=2", "gamma is a setting of a kernel; add kernel=rbf"),
        ("ridge:kernel=rbf:gamma=0", "gamma is '0'; it must be a positive number"),
        ("ridge:kernel=rbf:kernel=rbf", "kernel is given twice"),
    ],
)
def test_a_kernel_that_cannot_be_read_is_named(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_classifier(text)


def test_what_needs_weights_refuses_a_kernel():
    with pytest.raises(UserError, match="leave out kernel of 'ridge'"):
        check_classifier(parse_classifier("ridge:kernel=rbf"))
    with pytest.raises(UserError, match="a head keeps weights, which a kernel does not have"):
        head_spec("ridge:kernel=rbf")
