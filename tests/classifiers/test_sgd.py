"""The paper's classifier against scikit-learn's SGDClassifier, update for update."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier
from sklearn.utils import check_random_state

from jfewshot.classifiers import SGD
from tests.classifiers.problems import as_problem, episodes, in_their_span

N_EPISODES = 6
SETTINGS = {
    "loss": "log_loss",
    "alpha": 0.0,
    "learning_rate": "adaptive",
    "eta0": 0.1,
    "tol": 1e-4,
    "n_iter_no_change": 2,
}


def fit_reference(support, labels, **settings):
    with warnings.catch_warnings():
        # Stopping at max_iter is the protocol.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SGDClassifier(**SETTINGS, **settings).fit(support, labels)


def both(n_way, k_shot, regime, epochs, dtype):
    """Weights, intercepts and epochs: ours in order, and scikit-learn's with shuffle=False."""
    support, query = in_their_span(*episodes(n_way, k_shot, 1, regime, n_episodes=N_EPISODES))
    problem, _ = as_problem(support, query, n_way, dtype=dtype)
    model, diagnostics = jax.jit(SGD(epochs=epochs, shuffle=False).fit)(problem)
    alpha = np.moveaxis(np.asarray(model.alpha), -1, 0)
    ours = np.einsum("end,enc->ecd", support, alpha), np.asarray(model.bias).T
    references = [fit_reference(s, problem.labels, max_iter=epochs, shuffle=False) for s in support]
    if n_way == 2:
        ours = ours[0][:, 1:], ours[1][:, 1:]
    return ours, references, np.asarray(diagnostics.iterations)


@pytest.mark.parametrize(("n_way", "k_shot"), [(2, 1), (2, 3), (5, 1), (5, 5)])
@pytest.mark.parametrize("regime", ["centred", "shared mean"])
@pytest.mark.parametrize("epochs", [20, 100, 1000])
def test_weights_equal_scikit_learns_step_for_step_in_float64(n_way, k_shot, regime, epochs):
    """1e-9: only the order of additions differs, and the stopping rule sees the same losses."""
    with jax.enable_x64(True):
        (weights, bias), references, _ = both(n_way, k_shot, regime, epochs, np.float64)
    for episode, reference in enumerate(references):
        np.testing.assert_allclose(weights[episode], reference.coef_, atol=1e-9)
        np.testing.assert_allclose(bias[episode], reference.intercept_, atol=1e-9)


@pytest.mark.parametrize(("n_way", "k_shot"), [(3, 15), (2, 70)])
def test_many_supports_are_found_by_gathers_and_their_losses_in_parts(n_way, k_shot):
    """45 and 140 supports: beyond those among which one is selected, and beyond the factors of one logarithm. 1e-9 as above."""
    with jax.enable_x64(True):
        (weights, bias), references, epochs = both(n_way, k_shot, "shared mean", 60, np.float64)
    for episode, reference in enumerate(references):
        np.testing.assert_allclose(weights[episode], reference.coef_, atol=1e-9)
        np.testing.assert_allclose(bias[episode], reference.intercept_, atol=1e-9)
    if n_way == 2:
        # The rate fell, and training stopped, where scikit-learn's losses say so.
        assert epochs.tolist() == [reference.n_iter_ for reference in references]


@pytest.mark.parametrize("regime", ["centred", "shared mean"])
def test_float32_stays_close_to_float64(regime):
    """1e-4: a hundred epochs of float32 rounding on weights of order one."""
    (weights, bias), references, _ = both(5, 1, regime, 100, np.float32)
    for episode, reference in enumerate(references):
        np.testing.assert_allclose(weights[episode], reference.coef_, atol=1e-4)
        np.testing.assert_allclose(bias[episode], reference.intercept_, atol=1e-4)


def test_large_norms_neither_overflow_nor_diverge_from_scikit_learn():
    """Embeddings of norm 100: margins of thousands. The relative error is what float64 leaves after sums of that size."""
    with jax.enable_x64(True):
        (weights, bias), references, _ = both(5, 1, "large norm", 100, np.float64)
    for episode, reference in enumerate(references):
        np.testing.assert_allclose(weights[episode], reference.coef_, rtol=1e-6, atol=1e-6)


def test_epochs_are_counted_as_scikit_learn_counts_them():
    """n_iter_ is the largest of the one-vs-rest problems'; ours is their mean, so compare a two-class problem, which is one."""
    _, references, epochs = both(2, 1, "centred", 1000, np.float64)
    assert epochs.tolist() == [reference.n_iter_ for reference in references]
    assert 20 < epochs.min() < epochs.max() <= 1000


def sklearns_permutation(seed, n):
    """The permutation with which scikit-learn's dataset shuffles its index, every epoch anew from the same seed: Fisher and
    Yates forwards, i exchanged with i + r % (n - i), r from a 32-bit xorshift."""
    state = np.uint32(seed if seed else 1)
    index = np.arange(n)
    for i in range(n - 1):
        for shift, left in ((13, True), (17, False), (5, True)):
            state = np.uint32(
                state ^ (np.uint32(int(state) << shift & 0xFFFFFFFF) if left else state >> np.uint32(shift))
            )
        j = i + int(state) % 0x80000000 % (n - i)
        index[i], index[j] = index[j], index[i]
    return index


def _shuffle_seeds(random_state, problems):
    """Of each problem's shuffle: the second number it draws, the first being its dataset's own seed."""
    largest = np.iinfo(np.int32).max
    states = [random_state]
    if problems > 1:
        states = check_random_state(random_state).randint(largest, size=problems)
    generators = [check_random_state(state) for state in states]
    for generator in generators:
        generator.randint(1, largest)
    return [generator.randint(largest) for generator in generators]


@pytest.mark.parametrize(("n_way", "k_shot"), [(2, 2), (5, 1), (3, 4)])
def test_weights_equal_scikit_learns_for_its_own_permutations(n_way, k_shot):
    support, query = in_their_span(*episodes(n_way, k_shot, 1, "shared mean", n_episodes=N_EPISODES))
    n, problems = n_way * k_shot, 1 if n_way == 2 else n_way
    permutations = np.zeros((n, problems, N_EPISODES), np.int32)
    references = []
    with jax.enable_x64(True):
        problem, _ = as_problem(support, query, n_way, dtype=np.float64)
        for episode in range(N_EPISODES):
            references.append(fit_reference(support[episode], problem.labels, max_iter=60, random_state=episode))
            for c, seed in enumerate(_shuffle_seeds(episode, problems)):
                permutations[:, c, episode] = sklearns_permutation(seed, n)
        model, _ = SGD(epochs=60).fit_in_order(problem, jnp.asarray(permutations))
    alpha = np.moveaxis(np.asarray(model.alpha), -1, 0)
    weights = np.einsum("end,enc->ecd", support, alpha)
    for episode, reference in enumerate(references):
        np.testing.assert_allclose(weights[episode][-len(reference.coef_) :], reference.coef_, atol=1e-9)


def test_shuffled_accuracy_is_distributed_as_scikit_learns():
    """Same problems, own permutations: mean accuracy over 400 episodes within 3 standard errors of the paired difference."""
    support, query = in_their_span(*episodes(5, 1, 5, "shared mean", n_episodes=400))
    problem, gram_qs = as_problem(support, query, 5)
    model, _ = jax.jit(SGD(epochs=20).fit)(problem)
    ours = np.asarray(model.scores(gram_qs)).argmax(1).T
    truth = np.repeat(np.arange(5), 5)
    reference = np.stack(
        [
            fit_reference(s, problem.labels, max_iter=20, random_state=number).predict(q)
            for number, (s, q) in enumerate(zip(support, query, strict=True))
        ]
    )
    difference = (ours == truth).mean(1) - (reference == truth).mean(1)
    assert abs(difference.mean()) < 3 * difference.std() / np.sqrt(len(difference))


def test_permutations_are_permutations_and_differ_between_problems_and_episodes():
    from jfewshot.classifiers.sgd import _permutations

    support, query = episodes(5, 2, 1, "centred", n_episodes=200)
    problem, _ = as_problem(support, query, 5)
    drawn = np.asarray(_permutations(problem, 5))
    np.testing.assert_array_equal(np.sort(drawn, 0), np.broadcast_to(np.arange(10)[:, None, None], drawn.shape))
    # Each support comes first equally often: 1000 draws of a uniform place, a chi-square of 9 degrees of freedom.
    counts = np.bincount(drawn[0].ravel(), minlength=10)
    assert ((counts - 100) ** 2 / 100).sum() < 33.7  # the 0.9999 quantile


def test_training_without_jit_is_training_with_it():
    """`jax.disable_jit()` runs loops in Python, with Python's integers as counters: the benchmarks count operations that way."""
    support, query = episodes(3, 2, 1, "centred", n_episodes=2)
    problem, _ = as_problem(support, query, 3)
    compiled, _ = jax.jit(SGD(epochs=3).fit)(problem)
    with jax.disable_jit():
        plain, _ = SGD(epochs=3).fit(problem)
    np.testing.assert_allclose(plain.alpha, compiled.alpha, atol=1e-6)
