import dataclasses
import types
from typing import ClassVar

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from jfewshot.classifiers.base import Diagnostics, class_sums
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator import gram, solving, sources
from jfewshot.evaluator.evaluator import TRACES, Evaluator
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.store.clips import ClipTable
from tests.episodes.one_by_one import draw_episode
from tests.synthetic_stores import clip_table, embeddings

# One shape for most tests, so that they share compiled code.
PROTOCOL = Protocol(n_way=3, k_shot=2, n_query=3, n_episodes=150)
NONE, L2 = Transform("none"), Transform("l2", unit_length=True)
MARGIN = 1e-4


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator(jax.devices()[:2], block=32)


def long_and_short(clip):
    """One clip of 30 segments, a few of two to five, most of one."""
    return 30 if clip == 4 else 2 + clip % 4 if clip % 5 == 0 else 1


def solve(evaluator, x, table, classifier="centroid", protocol=PROTOCOL, transform=NONE):
    return list(evaluator.evaluate(x, table, transform, protocol, [parse_classifier(classifier)]))


def fit_centroid(support):
    """Nearest class mean in float64: from n_way x k_shot x dim to a function that scores rows."""
    means = support.mean(1)
    return lambda query: query @ means.T - 0.5 * (means**2).sum(1)


def fit_logistic(support):
    n_way, k_shot, dim = support.shape
    labels = np.repeat(np.arange(n_way), k_shot)
    model = LogisticRegression(C=1.0, tol=1e-10, max_iter=20_000).fit(support.reshape(-1, dim), labels)
    return model.decision_function


def fit_ridge(support):
    n_way, k_shot, dim = support.shape
    labels = np.repeat(np.arange(n_way), k_shot)
    return RidgeClassifier(alpha=100.0).fit(support.reshape(-1, dim), labels).decision_function


def plain_loop(x, table, drawn, protocol, fit):
    """One episode, one query, one segment after the other, in float64.

    Returns:
      predictions, and the smallest margin of any decision behind each; both episodes x queries.
    """
    x = np.asarray(x, np.float64)
    predicted, margins = [], []
    for clips, fraction in zip(drawn.clips.astype(int), drawn.segment.astype(np.float64), strict=True):
        of_clip = [
            [list(range(table.first_segment[c], table.first_segment[c] + table.n_segments[c])) for c in row]
            for row in clips
        ]
        chosen = [
            [rows[int(f * len(rows))] for rows, f in zip(row, fs, strict=True)]
            for row, fs in zip(of_clip, fraction, strict=True)
        ]
        score = fit(x[np.array(chosen)[:, : protocol.k_shot]])
        for row, chosen_row in zip(of_clip, chosen, strict=True):
            for rows, one in list(zip(row, chosen_row, strict=True))[protocol.k_shot :]:
                scores = score(x[[one] if protocol.query_segments == "one" else rows])
                if protocol.query_segments == "mean":
                    scores = scores.mean(0, keepdims=True)
                votes = np.bincount(scores.argmax(1), minlength=protocol.n_way)
                predicted.append(votes.argmax())
                ranked = np.sort(scores, axis=1)
                margins.append((ranked[:, -1] - ranked[:, -2]).min())
    shape = (len(drawn.clips), -1)
    return np.reshape(predicted, shape), np.reshape(margins, shape)


def assert_agree(found, reference, margins, least=MARGIN):
    clear = margins > least
    assert clear.mean() > 0.98
    np.testing.assert_array_equal(found[clear], reference[clear])


@pytest.fixture(scope="module")
def one_segment(evaluator):
    """A store of one segment a clip, and what a plain loop says of it."""
    table = clip_table((7, 8, 9, 10))
    x = embeddings(table)
    return table, x, *plain_loop(x, table, evaluator.draw(table, PROTOCOL), PROTOCOL, fit_centroid)


def test_the_evaluator_agrees_with_a_plain_loop_over_the_same_episodes(evaluator, one_segment):
    table, x, reference, margins = one_segment
    (solved,) = solve(evaluator, x, table)
    assert solved.predicted.dtype == np.int8
    assert solved.predicted.shape == (150, 9)
    assert_agree(solved.predicted, reference, margins)
    # The test can fail: the store is neither trivial nor hopeless.
    assert 0.5 < (solved.predicted == np.repeat(np.arange(3), 3)).mean() < 0.95


@pytest.mark.parametrize(("n_devices", "block"), [(1, 64), (8, 16)])
def test_devices_and_blocks_change_nothing(one_segment, n_devices, block):
    table, x, reference, margins = one_segment
    (solved,) = solve(Evaluator(jax.devices()[:n_devices], block=block), x, table)
    assert_agree(solved.predicted, reference, margins)


@pytest.mark.parametrize(
    ("kind", "memory"), [("precomputed", 10**9), ("in place", 1000), ("on device", 40_000), ("streamed", 1000)]
)
def test_every_source_of_inner_products_and_many_chunks_change_nothing(one_segment, kind, memory, monkeypatch):
    if kind == "in place":
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(gram, "_fused_products", lambda: None)
    table, x, reference, margins = one_segment
    (solved,) = solve(Evaluator(jax.devices()[:2], memory_bytes=memory, block=32), x, table)
    assert solved.gram_kind == kind
    assert_agree(solved.predicted, reference, margins)


def test_progress_adds_up_to_the_episodes(evaluator, one_segment):
    table, x, *_ = one_segment
    small = Evaluator(jax.devices()[:2], memory_bytes=1000, block=32)
    for each in (evaluator, small):
        steps = []
        list(each.evaluate(x, table, NONE, PROTOCOL, [parse_classifier("centroid")], on_progress=steps.append))
        assert sum(steps) == PROTOCOL.n_episodes
    assert len(steps) > 1


def test_fewer_episodes_are_the_first_of_more(evaluator, one_segment):
    table, x, *_ = one_segment
    (all_,) = solve(evaluator, x, table)
    (some,) = solve(evaluator, x, table, protocol=dataclasses.replace(PROTOCOL, n_episodes=70))
    np.testing.assert_array_equal(some.predicted, all_.predicted[:70])
    assert some.residual.shape == (70,)


def test_a_store_of_half_precision_is_evaluated_in_single_precision(evaluator, one_segment):
    table, x, *_ = one_segment
    half = x.astype(np.float16)
    (solved,) = solve(evaluator, half, table)
    (same,) = solve(evaluator, half.astype(np.float32), table)
    np.testing.assert_array_equal(solved.predicted, same.predicted)
    assert_agree(solved.predicted, *plain_loop(half, table, evaluator.draw(table, PROTOCOL), PROTOCOL, fit_centroid))


@pytest.mark.parametrize("query_segments", ["vote", "mean", "one"])
@pytest.mark.parametrize("memory", [None, 1000])
def test_queries_of_several_segments_are_decided_as_by_a_plain_loop(query_segments, memory):
    protocol = dataclasses.replace(PROTOCOL, query_segments=query_segments)
    table = clip_table((7, 8, 9, 10), n_segments=long_and_short)
    x = embeddings(table, spread=1.5)
    evaluator = Evaluator(jax.devices()[:2], memory_bytes=memory, block=32)
    drawn = evaluator.draw(table, protocol)
    (solved,) = solve(evaluator, x, table, protocol=protocol)
    assert_agree(solved.predicted, *plain_loop(x, table, drawn, protocol, fit_centroid), least=2e-5)


@dataclasses.dataclass(frozen=True)
class SumOfProducts:
    """A classifier whose scores need no model: a query's inner products with the supports of each class, summed."""

    strength: ClassVar[None] = None
    tolerance: ClassVar[None] = None
    translation_invariant: ClassVar[bool] = False

    def fit(self, support, strength=None):
        return (), Diagnostics.none(support)

    def score(self, model, support, gram_qs):
        return class_sums(gram_qs, support)


@pytest.mark.parametrize("query_segments", ["vote", "mean"])
def test_a_classifier_without_a_model_decides_queries_of_several_segments(query_segments):
    protocol = dataclasses.replace(PROTOCOL, query_segments=query_segments)
    table = clip_table((7, 8, 9, 10), n_segments=long_and_short)
    x = embeddings(table, spread=1.5)
    evaluator = Evaluator(jax.devices()[:2], block=32)
    (solved,) = solve(evaluator, x, table, f"{__name__}.SumOfProducts", protocol)

    def fit(support):
        return lambda query: query @ support.sum(1).T

    assert_agree(solved.predicted, *plain_loop(x, table, evaluator.draw(table, protocol), protocol, fit), least=2e-5)


@pytest.mark.parametrize("group_aware", [False, True])
@pytest.mark.parametrize("query_segments", ["vote", "one"])
def test_segments_of_long_clips_are_those_of_episodes_drawn_in_plain_python(query_segments, group_aware):
    protocol = dataclasses.replace(PROTOCOL, query_segments=query_segments, group_aware=group_aware, n_episodes=90)
    table = clip_table((7, 8, 9, 10), n_segments=lambda clip: 1 + clip % 4, groups_of=2)
    x = embeddings(table, spread=1.5)
    expected = [draw_episode(table, protocol, number) for number in range(90)]
    clips, segment = (np.array([episode[part] for episode in expected]) for part in (0, 1))
    evaluator = Evaluator(jax.devices()[:2], block=32)
    drawn = evaluator.draw(table, protocol)
    np.testing.assert_array_equal(drawn.clips, clips)
    np.testing.assert_array_equal(drawn.segment, segment)
    np.testing.assert_array_equal(drawn.support_segment, segment[:, :, : protocol.k_shot])
    (solved,) = solve(evaluator, x, table, protocol=protocol)
    independent = types.SimpleNamespace(clips=clips, segment=segment)
    assert_agree(solved.predicted, *plain_loop(x, table, independent, protocol, fit_centroid), least=2e-5)


@pytest.mark.parametrize("query_segments", ["vote", "mean"])
def test_further_segments_are_judged_by_their_own_episodes_model_at_each_strength(query_segments):
    # Several chunks, so that an episode's number in its chunk is not its number.
    protocol = dataclasses.replace(PROTOCOL, query_segments=query_segments, n_episodes=96)
    table = clip_table((7, 8, 9, 10), n_segments=long_and_short)
    x = embeddings(table, spread=1.5)
    evaluator = Evaluator(jax.devices()[:2], block=16)
    drawn = evaluator.draw(table, protocol)
    # Ridge regression compiles in a tenth of the time that logistic regression takes.
    together = solve(evaluator, x, table, "ridge:alpha=0.01,100", protocol)
    for solved in together:
        (alone,) = solve(evaluator, x, table, f"ridge:alpha={solved.strength}", protocol)
        np.testing.assert_array_equal(solved.predicted, alone.predicted)
    assert (together[0].predicted != together[1].predicted).any()
    assert_agree(together[1].predicted, *plain_loop(x, table, drawn, protocol, fit_ridge), least=2e-5)


def test_of_a_large_store_only_the_drawn_clips_are_taken(monkeypatch):
    table = clip_table((400, 300, 500), n_segments=lambda clip: 1 + clip % 3)
    x = embeddings(table, spread=1.5)
    protocol = dataclasses.replace(PROTOCOL, n_episodes=30)
    evaluator = Evaluator(jax.devices()[:2], block=32)
    (whole,) = solve(evaluator, x, table, protocol=protocol)
    drawn = evaluator.draw(table, protocol)
    assert sorted(drawn.used) == sorted(set(drawn.clips.ravel().tolist()))
    assert len(drawn.used) < len(table) / 2
    monkeypatch.setattr("jfewshot.evaluator.evaluator._LARGE_STORE", 100)
    # What no episode drew is never looked at.
    spoilt = x.copy()
    for clip in set(range(len(table))) - set(drawn.used.tolist()):
        spoilt[table.first_segment[clip] : table.first_segment[clip] + table.n_segments[clip]] = np.nan
    (part,) = solve(evaluator, spoilt, table, protocol=protocol)
    np.testing.assert_array_equal(part.predicted, whole.predicted)


def test_a_tied_vote_goes_to_the_smallest_class(evaluator):
    # Every clip has two segments, one at its own class's centre and one at the next class's.
    table = clip_table((6, 6, 6), n_segments=2)
    _, label = np.unique(table.class_name, return_inverse=True)
    centres = 10 * np.eye(3, 12, dtype=np.float32)
    x = np.zeros((36, 12), np.float32)
    x[table.first_segment], x[table.first_segment + 1] = centres[label], centres[(label + 1) % 3]
    # Supports must be unambiguous: take them from a table in which each clip's first segment alone is known.
    protocol = dataclasses.replace(PROTOCOL, k_shot=1)
    drawn = evaluator.draw(table, protocol)
    (solved,) = solve(evaluator, x, table, protocol=protocol)
    checked = 0
    for clips, fraction, predicted in zip(drawn.clips.astype(int), drawn.segment, solved.predicted, strict=True):
        support = x[table.first_segment[clips[:, 0]] + (fraction[:, 0] * 2).astype(int)].argmax(1).tolist()
        if len(set(support)) < 3:
            continue
        for query, slot in zip(clips[:, 1:].ravel(), predicted, strict=True):
            assert slot == min(support.index(label[query]), support.index((label[query] + 1) % 3))
            checked += 1
    assert checked > 100


def test_a_table_of_some_of_the_clips_uses_their_rows(evaluator, one_segment):
    table, x, *_ = one_segment
    some = table.select(np.arange(len(table)) % 5 != 2)
    drawn = evaluator.draw(some, PROTOCOL)
    (solved,) = solve(evaluator, x, some)
    assert_agree(solved.predicted, *plain_loop(x, some, drawn, PROTOCOL, fit_centroid))


def test_one_draw_and_one_solver_are_traced_for_stores_of_all_small_sizes_and_dimensions():
    evaluator = Evaluator(jax.devices()[:1], block=32)
    protocol = Protocol(n_way=2, k_shot=1, n_query=1, n_episodes=64)
    before = TRACES.copy()
    for sizes, dim in (((3, 4), 5), ((9, 9, 9), 70), ((40, 50), 12)):
        table = clip_table(sizes)
        solve(evaluator, embeddings(table, dim), table, "ridge", protocol)
    assert TRACES["solve"] - before["solve"] == 1
    assert TRACES["draw"] - before["draw"] == 1
    # A clip of several segments needs the models of the solver, which the solver has returned for the other stores too.
    table = clip_table((7, 7), n_segments=2)
    solve(evaluator, embeddings(table), table, "ridge", protocol)
    assert TRACES["solve"] - before["solve"] == 1
    assert TRACES["draw"] - before["draw"] == 1
    # Another strength is another number, not another program; a second evaluator finds the first one's.
    table = clip_table((40, 50))
    solve(evaluator, embeddings(table), table, "ridge:alpha=3", protocol)
    solve(Evaluator(jax.devices()[:1], block=32), embeddings(table), table, "ridge", protocol)
    assert TRACES["solve"] - before["solve"] == 1
    solve(evaluator, embeddings(table), table, "ridge", dataclasses.replace(protocol, k_shot=2))
    assert TRACES["solve"] - before["solve"] == 2


def test_several_strengths_at_once_are_the_same_as_one_after_the_other(evaluator, one_segment):
    table, x, *_ = one_segment
    together = solve(evaluator, x, table, "ridge:alpha=0.01,1,100")
    assert [solved.strength for solved in together] == [0.01, 1.0, 100.0]
    for solved in together:
        (alone,) = solve(evaluator, x, table, f"ridge:alpha={solved.strength}")
        np.testing.assert_array_equal(solved.predicted, alone.predicted)
    assert (together[0].predicted != together[2].predicted).any()


def test_a_read_only_view_of_an_array_that_is_edited_gives_the_new_results(evaluator, one_segment):
    table, x, *_ = one_segment
    mine = x.copy()
    view = mine.view()
    view.flags.writeable = False
    solve(evaluator, view, table)
    mine[:] = mine[::-1].copy()
    np.testing.assert_array_equal(
        solve(evaluator, view, table)[0].predicted, solve(evaluator, mine.copy(), table)[0].predicted
    )
    assert (solve(evaluator, view, table)[0].predicted != solve(evaluator, x, table)[0].predicted).any()


@pytest.mark.parametrize("classifier", ["logistic:C", "svm:C", "ridge:alpha"])
def test_a_strength_solved_alone_is_the_same_to_the_bit(evaluator, one_segment, classifier):
    """A run that is interrupted between two strengths solves the second one alone."""
    table, x, *_ = one_segment
    together = solve(evaluator, x, table, f"{classifier}=0.1,10,1000")
    for solved in together:
        (alone,) = solve(evaluator, x, table, f"{classifier}={solved.strength}")
        np.testing.assert_array_equal(solved.predicted, alone.predicted)
        np.testing.assert_array_equal(solved.residual, alone.residual)
        np.testing.assert_array_equal(solved.iterations, alone.iterations)
        # An estimate, of which records keep three digits.
        np.testing.assert_allclose(solved.rounding, alone.rounding, rtol=1e-5)


@pytest.mark.parametrize("transform", [NONE, L2])
def test_logistic_decides_as_scikit_learn_on_every_drawn_episode(evaluator, transform):
    table = clip_table((7, 8, 9, 10))
    x = embeddings(table, spread=1.2)
    protocol = dataclasses.replace(PROTOCOL, n_episodes=40)
    drawn = evaluator.draw(table, protocol)
    (solved,) = solve(evaluator, x, table, "logistic", protocol, transform)
    exact = x.astype(np.float64)
    exact = exact / np.linalg.norm(exact, axis=1, keepdims=True) if transform.unit_length else exact
    assert_agree(solved.predicted, *plain_loop(exact, table, drawn, protocol, fit_logistic))
    assert solved.residual.max() <= solved.spec.classifier.tolerance


@pytest.mark.parametrize("classifier", ["logistic", "centroid"])
def test_a_large_mean_shared_by_all_embeddings_changes_nothing(evaluator, one_segment, classifier):
    table, x, *_ = one_segment
    protocol = dataclasses.replace(PROTOCOL, n_episodes=40)
    # A mean that float32 holds exactly beside rounded embeddings, so that only the products could differ.
    rounded = np.round(x * 1024) / 1024
    far = (rounded + 512).astype(np.float32)
    np.testing.assert_array_equal(far - 512, rounded)
    fit = {"logistic": fit_logistic, "centroid": fit_centroid}[classifier]
    reference = plain_loop(rounded, table, evaluator.draw(table, protocol), protocol, fit)
    (solved,) = solve(evaluator, far, table, classifier, protocol)
    assert_agree(solved.predicted, *reference, least=1e-3)


def test_random_orders_belong_to_the_episode_and_not_to_its_place(one_segment):
    table, x, *_ = one_segment
    protocol = dataclasses.replace(PROTOCOL, n_episodes=60)
    found = [
        solve(Evaluator(jax.devices()[:n], block=block), x, table, "sgd:epochs=3", protocol)[0].predicted
        for n, block in ((1, 64), (2, 16))
    ]
    assert (found[0] == found[1]).mean() > 0.995


def test_a_store_that_does_not_allow_the_protocol_is_refused_by_name(evaluator):
    table = clip_table((3, 3, 3))
    with pytest.raises(UserError, match="birds: class 'class0' has 3 clips"):
        list(
            evaluator.evaluate(
                embeddings(table), table, NONE, PROTOCOL, [parse_classifier("centroid")], dataset="birds"
            )
        )


def test_slots_of_more_than_127_ways_take_two_bytes():
    """130 classes far from each other: every query is given to its own slot, the last ones included."""
    table = clip_table((3,) * 130)
    x = embeddings(table, dim=160, spread=0.01)
    protocol = Protocol(n_way=130, k_shot=1, n_query=2, n_episodes=4)
    (solved,) = solve(Evaluator(jax.devices()[:2]), x, table, protocol=protocol)
    assert solved.predicted.dtype == np.int16
    np.testing.assert_array_equal(solved.predicted, np.broadcast_to(np.repeat(np.arange(130), 2), (4, 260)))


def test_what_was_made_of_a_view_is_kept_for_the_next_call_but_not_of_an_array_that_may_change(monkeypatch):
    made = []
    original = gram.gram_source
    monkeypatch.setattr(sources, "gram_source", lambda *given: made.append(given) or original(*given))
    rng = np.random.default_rng(0)
    view = rng.normal(size=(60, 8)).astype(np.float32)
    clips = ClipTable.build([f"{i:02d}" for i in range(60)], [f"c{i % 6}" for i in range(60)])
    kept_for, transform, specs = Evaluator(), Transform("l2", unit_length=True), [parse_classifier("centroid")]

    def predicted(seed):
        protocol = Protocol(n_way=3, k_shot=1, n_query=2, n_episodes=40, seed=seed)
        return next(iter(kept_for.evaluate(view, clips, transform, protocol, specs))).predicted

    first = predicted(1)
    view *= -1
    view[:30] += 5
    assert not np.array_equal(predicted(1), first)
    assert len(made) == 2
    view.flags.writeable = False
    kept = predicted(1)
    predicted(2)
    assert np.array_equal(predicted(1), kept)
    assert len(made) == 3
    kept_for.forget_sources()
    assert np.array_equal(predicted(1), kept)
    assert len(made) == 4


@pytest.mark.parametrize("classifier", ["logistic", "sgd:epochs=3", "knn"])
def test_inner_products_looked_up_inside_the_solver_give_the_same_predictions(
    monkeypatch, evaluator, one_segment, classifier
):
    table, x, *_ = one_segment
    apart = solve(evaluator, x, table, classifier)[0].predicted
    monkeypatch.setattr(solving, "_LOOK_UP_INSIDE_FROM", 0)
    inside = solve(evaluator, x, table, classifier)[0].predicted
    # Two compilations may round differently, which a near tie shows.
    assert (apart != inside).mean() < 1e-3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"memory_bytes": 0}, "memory_bytes is 0; it must be from 1 to"),
        ({"memory_bytes": -1}, "memory_bytes is -1; it must be from 1 to"),
        ({"memory_bytes": 2**63}, "memory_bytes is 9223372036854775808; it must be from 1 to"),
        ({"block": 0}, "block is 0; it must be from 1 to"),
        ({"block": 2**31}, "block is 2147483648; it must be from 1 to"),
    ],
)
def test_a_budget_that_no_machine_has_is_refused(settings, said):
    with pytest.raises(UserError, match=said):
        Evaluator(jax.devices()[:1], **settings)
