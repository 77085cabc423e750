"""Strengths that each episode chooses from its supports: against explicit leave-one-out, and against fixed strengths."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import threadpoolctl
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.linear_model import Ridge as ScikitRidge
from sklearn.svm import LinearSVC

from jfewshot.classifiers import SVM, Logistic, Ridge, ridge
from jfewshot.classifiers.auto import Auto
from jfewshot.classifiers.base import centred
from jfewshot.classifiers.leave_one_out import residuals, spectrum, tridiagonal_losses
from tests.classifiers.problems import REGIMES, as_problem, episodes

WAY, SHOT, EPISODES = 3, 4, 6
LABELS = np.repeat(np.arange(WAY), SHOT)
SIGNS = 2.0 * np.eye(WAY)[LABELS] - 1.0


@functools.cache
def problem(regime="centred", scale=1.0):
    support, query = episodes(WAY, SHOT, 10, regime, n_episodes=EPISODES, dim=24)
    return support * scale, query * scale


@functools.partial(jax.jit, static_argnums=3)
def misses(gram, signs, strengths, way):
    """Leave-one-out residuals [strengths, supports, columns, episodes], by an eigendecomposition or a tridiagonal form."""
    if way == "tridiagonal":
        labels = (signs - signs.mean(0))[:, :, None]
        return tridiagonal_losses(centred(gram)[0], labels, strengths, lambda miss: miss)
    found = spectrum(centred(gram)[0])
    right = jnp.broadcast_to((signs - signs.mean(0))[:, :, None], (*signs.shape, gram.shape[-1]))
    rotated = jnp.einsum("nke,nce->kce", found.vectors, right)
    return jax.vmap(lambda strength: residuals(*found, rotated, strength))(strengths)


def explicit(x, strength):
    """What a model that was trained without a support misses of its label, for each support, by refitting in float64."""
    missed = np.empty_like(SIGNS)
    for left_out in range(len(x)):
        others = np.arange(len(x)) != left_out
        model = ScikitRidge(alpha=strength, solver="cholesky").fit(x[others], SIGNS[others])
        missed[left_out] = SIGNS[left_out] - model.predict(x[left_out : left_out + 1])[0]
    return missed


def criterion(x, strengths, rule):
    """The documented criterion in float64, from scikit-learn's leave-one-out."""
    spread = ((x - x.mean(0)) ** 2).sum(1).mean()
    loss = RidgeCV(alphas=strengths, store_cv_results=True).fit(x, SIGNS).cv_results_.mean((0, 1))
    return len(x) / 2 * np.log(loss) + 0.5 * np.log10(strengths / (rule * spread)) ** 2


@pytest.mark.parametrize("way", ["spectrum", "tridiagonal"])
@pytest.mark.parametrize("regime", REGIMES)
def test_leave_one_out_is_that_of_refits_without_each_support(regime, way):
    support, query = problem(regime)
    origin = support.mean((0, 1))  # as the evaluator does
    given, _ = as_problem(support, query, WAY, origin)
    scale = REGIMES[regime][1] ** 2
    strengths = np.array([1e-3, 0.1, 10.0]) * scale
    found = misses(given.gram, jnp.asarray(SIGNS, jnp.float32), jnp.asarray(strengths, jnp.float32), way)
    found = np.moveaxis(found, -1, 0)
    for e in range(EPISODES):
        wanted = np.array([explicit(support[e] - origin, strength) for strength in strengths])
        # The regimes with a mean cosine of 0.9 leave float32 a tenth of its digits.
        np.testing.assert_allclose(found[e], wanted, atol=2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("way", ["spectrum", "tridiagonal"])
def test_the_mean_squares_are_those_of_scikit_learns_cross_validated_ridge(way):
    support, query = problem()
    given, _ = as_problem(support, query, WAY)
    strengths = np.array([1e-3, 0.1, 10.0])
    found = misses(given.gram, jnp.asarray(SIGNS, jnp.float32), jnp.asarray(strengths, jnp.float32), way)
    found = np.asarray(found) ** 2
    for e in range(EPISODES):
        wanted = RidgeCV(alphas=strengths, store_cv_results=True).fit(support[e], SIGNS).cv_results_
        np.testing.assert_allclose(found[..., e], np.moveaxis(wanted, -1, 0), rtol=2e-3, atol=1e-5)


def test_ridge_chooses_as_the_documented_criterion():
    grid = np.array(Ridge.strength.grid)
    support, query = episodes(WAY, SHOT, 1, "centred", n_episodes=40, dim=8)
    given, _ = as_problem(support, query, WAY)
    places = np.asarray(jax.jit(Ridge().choose)(given))
    decided = 0
    for x, place in zip(support, places, strict=True):
        value = criterion(x, grid, 0.2)
        best, second = np.sort(value)[:2]
        if second - best > 1e-3:
            assert place == value.argmin()
            decided += 1
    assert decided > 30
    assert len(set(places.tolist())) > 1, "episodes that all choose alike test little"


@pytest.mark.parametrize(
    ("classifier", "constant", "inverse"), [(Ridge(), 1.0, False), (Logistic(), 4.0, True), (SVM(), 0.7, True)]
)
def test_with_one_shot_the_choice_is_the_strength_nearest_to_the_rule(classifier, constant, inverse):
    support, query = episodes(5, 1, 1, "shared mean", n_episodes=8)
    given, _ = as_problem(support, query, 5)
    grid = np.array(classifier.strength.grid)
    assert np.allclose(np.diff(np.log10(grid)), 1.0)
    assert len(grid) == 10
    for x, place in zip(support, np.asarray(classifier.choose(given)), strict=True):
        spread = ((x - x.mean(0)) ** 2).sum(1).mean()
        rule = constant / spread if inverse else constant * spread
        assert place == np.abs(np.log10(grid / rule)).argmin()


@pytest.mark.parametrize("classifier", [Ridge(), Logistic(), SVM()])
def test_embeddings_of_ten_times_the_length_choose_two_decades_further(classifier):
    places = []
    for scale in (1.0, 10.0):
        given, _ = as_problem(*problem(scale=scale), WAY)
        places.append(np.asarray(classifier.choose(given)))
    inside = (places[0] > 1) & (places[0] < len(classifier.strength.grid) - 2)
    assert inside.any()
    step = 2 if classifier.strength.name == "alpha" else -2
    assert (places[1] - places[0] == step)[inside].all()


def test_the_choice_is_the_same_whatever_the_classes_are_called():
    support, query = problem()
    given, _ = as_problem(support, query, WAY)
    turned = np.concatenate([support[:, SHOT:], support[:, :SHOT]], 1)
    other, _ = as_problem(turned, query, WAY)
    np.testing.assert_array_equal(Ridge().choose(given), Ridge().choose(other))


# With more supports than `many`, episodes are solved one at a time.
@pytest.mark.parametrize(
    ("classifier", "n_way", "k_shot", "many"),
    [
        (Ridge(), 3, 2, 100),
        (Logistic(), 3, 2, 100),
        (SVM(), 3, 2, 100),
        (Ridge(), 3, 2, 5),
        *(pytest.param(classifier, 3, 35, 100, marks=pytest.mark.slow) for classifier in (Ridge(), Logistic(), SVM())),
    ],
)
def test_an_episode_is_solved_as_with_the_strength_that_it_chose(classifier, n_way, k_shot, many, monkeypatch):
    monkeypatch.setattr(ridge, "MANY", many)
    support, query = episodes(n_way, k_shot, 10, "centred", n_episodes=EPISODES, dim=24)
    # Half of the episodes choose other strengths than the others.
    support[::2], query[::2] = 10 * support[::2], 10 * query[::2]
    given, gram_qs = as_problem(support, query, n_way)

    @jax.jit
    def scores(strength):
        model, diagnostics = classifier.fit(given, strength)
        return classifier.score(model, given, gram_qs), diagnostics.residual

    @jax.jit
    def chosen():
        model, diagnostics = Auto(classifier).fit(given)
        return Auto(classifier).score(model, given, gram_qs), diagnostics

    found, diagnostics = chosen()
    places = np.asarray(diagnostics.chosen)
    assert len(set(places.tolist())) > 1
    for place in set(places.tolist()):
        wanted, residual = scores(jnp.float32(classifier.strength.grid[place]))
        mine = places == place
        size = np.abs(wanted).max()
        np.testing.assert_allclose(found[..., mine], wanted[..., mine], atol=2e-3 * size)
        assert (found.argmax(1) == wanted.argmax(1))[:, mine].mean() > 0.99
        assert np.isnan(residual).all() or float(diagnostics.residual[mine].max()) <= classifier.tolerance


def softmax_loss(model, x, label):
    return -model.predict_log_proba(x[None])[0, label]


def squared_hinge(model, x, label):
    signs = 2.0 * (np.arange(3) == label) - 1.0
    return (np.maximum(1.0 - signs * model.decision_function(x[None])[0], 0.0) ** 2).sum()


@pytest.mark.parametrize(
    ("classifier", "scikit", "loss_of"),
    [
        (Logistic(), functools.partial(LogisticRegression, max_iter=1000), softmax_loss),
        (SVM(), functools.partial(LinearSVC, dual=False, tol=1e-6, max_iter=10_000), squared_hinge),
    ],
)
@threadpoolctl.threadpool_limits.wrap(limits=1)  # small fits, which threads slow down
def test_the_closed_form_chooses_c_as_well_as_refits_without_each_support(classifier, scikit, loss_of):
    n_way, k_shot, n_query, strengths = 3, 3, 60, (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
    labels, truth = np.repeat(np.arange(n_way), k_shot), np.repeat(np.arange(n_way), n_query)
    rng = np.random.default_rng(0)
    # The directions of the largest variance say nothing of the class, so small values of C do badly.
    x = rng.normal(size=(4, n_way, k_shot + n_query, 12)) * np.repeat([2.0, 0.15], [2, 10])
    x[..., 2:] += 0.25 * rng.normal(size=(4, n_way, 1, 10))
    support, query = x[:, :, :k_shot].reshape(4, -1, 12), x[:, :, k_shot:].reshape(4, -1, 12)
    given, _ = as_problem(support, query, n_way)
    places = np.asarray(classifier.choose(given))
    accuracy = {"closed form": [], "refits": [], "C = 0.001": []}
    for s, q, place in zip(support, query, places, strict=True):
        loss = np.zeros(len(strengths))
        for number, strength in enumerate(strengths):
            for i in range(len(s)):
                model = scikit(C=strength).fit(np.delete(s, i, 0), np.delete(labels, i))
                loss[number] += loss_of(model, s[i], labels[i])
        by_refits = strengths[int(loss.argmin())]
        for name, strength in zip(accuracy, (classifier.strength.grid[place], by_refits, 0.001), strict=True):
            model = scikit(C=strength).fit(s, labels)
            accuracy[name].append((model.predict(q) == truth).mean())
    closed_form, refits, small = (np.mean(values) for values in accuracy.values())
    assert closed_form >= refits - 0.01
    assert closed_form > small + 0.05
