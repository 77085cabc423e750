"""Each way of choosing clips, against NumPy in float64 and scikit-learn, written here from the definitions."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge as ScikitRidge

from jfewshot.labelling.choosing import distances_of, k_centre, k_medoids
from jfewshot.labelling.plain_head import fit, margins
from jfewshot.labelling.simulating import by_margin, simulate
from jfewshot.labelling.splits import Splits

N, DIM, CLASSES = 40, 6, 4
GRID = [10.0**k for k in range(-5, 5)]


def clips(seed, spread=1.0):
    """Clusters of whole numbers: float32 holds all inner products of them exactly, so that equal distances are equal."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, CLASSES, N)
    points = np.round(3 * rng.standard_normal((CLASSES, DIM))[classes] + spread * rng.standard_normal((N, DIM)))
    return points, classes


def distances(points):
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))


def greedy_k_centre(d, labelled, allowed, n_new):
    """Gonzalez's greedy algorithm; without a labelled clip, the clip nearest to the mean is first."""
    chosen = []
    for _ in range(n_new):
        taken = [*labelled, *chosen]
        free = [i for i in allowed if i not in chosen]
        if taken:
            far = [min(d[i, j] for j in taken) for i in free]
            chosen.append(free[int(np.argmax(far))])
        else:
            chosen.append(free[int(np.argmin([(d[i] ** 2).sum() for i in free]))])
    return chosen


def cost(d, medoids):
    return d[:, medoids].min(1).sum()


def pam(d, labelled, allowed, n_new):
    """Build, then swap, one candidate at a time; labelled clips are medoids that stay."""
    chosen = []
    for _ in range(n_new):
        free = [i for i in allowed if i not in chosen]
        chosen.append(min(free, key=lambda i: cost(d, [*labelled, *chosen, i])))
    while True:
        best, best_cost = None, cost(d, [*labelled, *chosen]) - 1e-9
        for place in range(n_new):
            for i in allowed:
                if i not in chosen:
                    trial = [*chosen[:place], i, *chosen[place + 1 :]]
                    if cost(d, [*labelled, *trial]) < best_cost:
                        best, best_cost = trial, cost(d, [*labelled, *trial])
        if best is None:
            return chosen
        chosen = best


def gram_of(points):
    return jnp.asarray(points @ points.T, jnp.float32)


@pytest.fixture(params=[(), (3, 17, 30)], ids=["nothing labelled", "three labelled"])
def labelled(request):
    return list(request.param)


def nearest_labelled(d, labelled):
    return d[:, labelled].min(1) if labelled else np.full(N, np.inf)


def test_k_centre_takes_the_clips_of_the_greedy_algorithm_in_its_order(labelled):
    for seed in range(5):
        points, _ = clips(seed)
        # Squared distances are whole numbers; ties of their roots are ties in float32 too.
        d = distances(points)
        allowed = [i for i in range(N) if i not in labelled and i % 7]
        mask = np.isin(np.arange(N), allowed)
        own = distances_of(gram_of(points))
        central = jnp.asarray((d**2).sum(1), jnp.float32)
        near = jnp.asarray(nearest_labelled(d, labelled), jnp.float32)
        found = k_centre(lambda clip, own=own: own[clip], near, jnp.asarray(mask), central, 12)
        assert np.asarray(found).tolist() == greedy_k_centre(d, labelled, allowed, 12)


def test_k_medoids_is_no_worse_than_pam(labelled):
    for seed in range(2):
        points, _ = clips(seed, spread=1.5)
        d = distances(points)
        allowed = [i for i in range(N) if i not in labelled and i % 7]
        mask, near = np.isin(np.arange(N), allowed), nearest_labelled(d, labelled)
        for n_new in (1, 5):
            found = np.asarray(
                k_medoids(
                    jnp.asarray(d, jnp.float32),
                    jnp.asarray(near, jnp.float32),
                    jnp.ones(N, bool),
                    jnp.asarray(mask),
                    n_new,
                )
            ).tolist()
            assert len(set(found)) == n_new
            assert set(found) <= set(allowed)
            ours, theirs = (cost(d, [*labelled, *one]) for one in (found, pam(d, labelled, allowed, n_new)))
            assert ours <= theirs * (1 + 1e-6)


def choose_penalty(points, classes):
    """Leave-one-out by refitting scikit-learn's ridge on labels of 0 and 1, and the prior of classifiers/leave_one_out.py."""
    n, seen = len(points), np.unique(classes)
    targets = (classes[:, None] == seen).astype(float)
    spread = max(((points - points.mean(0)) ** 2).sum(1).mean(), 1e-30)  # of one clip, 0
    single = n == len(seen)
    doubt = 0.5 * (np.log10(GRID) - np.log10(spread * (1.0 if single else 0.2))) ** 2
    if single:
        return GRID[int(np.argmin(doubt))]
    totals = []
    for penalty in GRID:
        missed = 0.0
        for left in range(n):
            rest = np.arange(n) != left
            model = ScikitRidge(alpha=penalty, solver="svd").fit(points[rest], targets[rest] - targets.mean(0))
            # The labels are centred once, by the mean of all clips; the intercept is that of the rest.
            missed += ((targets[left] - targets.mean(0) - model.predict(points[left : left + 1])[0]) ** 2).sum()
        totals.append(0.5 * n * np.log(max(missed, 1e-30)))
    return GRID[int(np.argmin(np.array(totals) + doubt))]


def reference_scores(points, classes, asked):
    """Scores of clips for all classes; minus infinity for classes that no labelled clip has."""
    seen = np.unique(classes)
    penalty = choose_penalty(points, classes)
    model = ScikitRidge(alpha=penalty, solver="svd").fit(points, 2.0 * (classes[:, None] == seen) - 1.0)
    scores = np.full((len(asked), CLASSES), -np.inf)
    scores[:, seen] = model.predict(asked).reshape(len(asked), len(seen))
    return scores, penalty


def test_the_head_is_scikit_learns_ridge_with_the_penalty_of_leave_one_out_whatever_padding():
    points, classes = clips(3, spread=2.0)
    for n in (1, 4, 9, 20):
        order = np.r_[np.arange(n), np.zeros(20 - n, int)]
        weight = (np.arange(20) < n).astype(np.float32)
        gram = gram_of(points)
        head = fit(gram[order][:, order], jnp.asarray(weight), jnp.asarray(classes[order]), CLASSES)
        expected, penalty = reference_scores(points[:n], classes[:n], points)
        assert np.isclose(head.strength, penalty)
        # float32 on inner products up to some hundreds
        np.testing.assert_allclose(head.scores(gram[:, order]), expected, atol=3e-4)


def test_margin_sampling_labels_what_the_definition_labels():
    points, classes = clips(1, spread=2.0)
    first, n_new, batch = 5, 14, 4
    chosen = list(range(first))
    while len(chosen) < n_new:
        scores, _ = reference_scores(points[chosen], classes[chosen], points)
        high = np.sort(scores, axis=1)
        margin = high[:, -1] - high[:, -2]
        free = [i for i in range(N - 3) if i not in chosen]  # the last three are padding
        chosen += sorted(free, key=lambda i: margin[i])[:batch]
    inside = jnp.arange(N) < N - 3
    found = by_margin(gram_of(points), inside, jnp.asarray(classes), CLASSES, first, n_new, batch)
    assert np.asarray(found).tolist() == chosen[:n_new]


def test_with_one_class_labelled_no_margin_exists():
    assert np.isinf(margins(jnp.asarray([[1.0, -jnp.inf, -jnp.inf]]))).all()


def test_accuracy_is_of_all_held_out_clips_and_unseen_classes_are_errors():
    points, classes = clips(2, spread=2.0)
    rng = np.random.default_rng(0)
    pools, held = [], []
    for _ in range(3):
        order = rng.permutation(N)
        pools.append(order[:24])
        held.append(order[24:])
    lengths = (24, 20, 24)  # of the second repetition, four clips are padding
    in_pool = np.arange(24)[None] < np.array(lengths)[:, None]
    splits = Splits(np.array(pools, np.int32), in_pool, np.array(held, np.int32), np.ones((3, N - 24), bool))
    budgets = (2, 5, 11)
    methods = ("random", "kcentre", "kmedoids")
    found = simulate(points @ points.T, classes, CLASSES, splits, budgets, methods)
    assert found.accuracy.shape == (3, 3, 3)
    d = distances(points)
    for repeat, pool in enumerate(pools):
        pool = pool[: lengths[repeat]]
        own = d[pool][:, pool]
        orders = [range(11), greedy_k_centre(own, [], range(len(pool)), 11)]
        for method, order in enumerate(orders):
            for place, budget in enumerate(budgets):
                chosen = pool[list(order)[:budget]]
                scores, _ = reference_scores(points[chosen], classes[chosen], points[held[repeat]])
                expected = (scores.argmax(1) == classes[held[repeat]]).mean()
                assert found.accuracy[method, repeat, place] == pytest.approx(expected)
                assert found.classes_seen[method, repeat, place] == len(set(classes[chosen]))
    # k-medoids may end in another solution of the same cost (compared above); of clear clusters it sees more classes than chance.
    assert found.classes_seen[2, :, 1].mean() >= found.classes_seen[0, :, 1].mean()
