import fractions
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jfewshot.episodes import shuffling
from jfewshot.episodes.drawing import draw, draw_arguments, padded_length, pool_arrays, power_of_two
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.store import ClipTable
from tests.episodes.drawn import LEAST_P, compiled_draw, drawn_clips, drawn_segments, p_value
from tests.episodes.one_by_one import draw_episode
from tests.synthetic_stores import clip_table


def exact_distribution(table, n_way, drawn):
    """Every ordered choice of classes, and within each of clips, without replacement."""
    by_class = [np.flatnonzero(table.class_name == name).tolist() for name in table.classes]
    expected = {}
    for classes in itertools.permutations(by_class, n_way):
        orders = [list(itertools.permutations(clips, drawn)) for clips in classes]
        probability = fractions.Fraction(1, len(list(itertools.permutations(by_class, n_way))))
        for order in orders:
            probability /= len(order)
        for outcome in itertools.product(*orders):
            expected[tuple(itertools.chain(*outcome))] = probability
    return expected


@pytest.mark.parametrize(("sizes", "n_way", "drawn"), [((2, 3, 4), 2, 2), ((4, 4), 2, 3), ((1, 1, 1, 1, 1), 3, 1)])
def test_classes_and_clips_are_exactly_uniform_without_replacement(sizes, n_way, drawn):
    table = clip_table(sizes)
    n_query = max(1, drawn - 1)
    if drawn == 1:  # an episode needs a support and a query: look at classes alone
        table, drawn = clip_table(tuple(2 for _ in sizes)), 2
    protocol = Protocol(n_way=n_way, k_shot=drawn - n_query, n_query=n_query)
    clips, _ = drawn_clips(table, protocol, np.arange(200_000))
    assert p_value(clips, exact_distribution(table, n_way, drawn)) > LEAST_P


def test_the_segment_is_uniform_and_independent_of_the_clip():
    table = clip_table((5, 5))
    protocol = Protocol(n_way=2, k_shot=1, n_query=1)
    clips, _ = drawn_clips(table, protocol, np.arange(50_000))
    segment = drawn_segments(table, protocol, np.arange(50_000))
    assert 0 <= segment.min() < 1e-3
    assert 1 - 1e-3 < segment.max() < 1
    third = (segment[:, 0, 0] * 3).astype(int)
    table_of_counts = np.zeros((10, 3))
    np.add.at(table_of_counts, (clips[:, 0, 0], third), 1)
    assert scipy.stats.chi2_contingency(table_of_counts).pvalue > LEAST_P
    assert scipy.stats.chisquare(np.bincount(third)).pvalue > LEAST_P


def test_an_episode_depends_on_its_number_alone_and_not_on_those_drawn_beside_it():
    table = clip_table((6, 7, 8, 9))
    protocol = Protocol(n_way=3, k_shot=1, n_query=2)
    together, _ = drawn_clips(table, protocol, np.arange(64))
    for some in ([5], [63, 0, 17], range(32, 64)):
        np.testing.assert_array_equal(drawn_clips(table, protocol, list(some))[0], together[list(some)])
    # Numbers take all of 32 bits.
    last, _ = drawn_clips(table, protocol, [2**32 - 1])
    assert (last != together[0]).any()


@pytest.mark.parametrize(("n_devices", "block"), [(1, None), (2, 16), (8, 16), (8, 64)])
def test_the_same_episodes_come_from_any_number_of_devices_and_size_of_blocks(n_devices, block):
    table = clip_table((6, 7, 8, 9))
    protocol = Protocol(n_way=3, k_shot=1, n_query=2, n_episodes=300)
    expected, _ = drawn_clips(table, protocol, np.arange(300))
    segment = drawn_segments(table, protocol, np.arange(300))
    drawn = Evaluator(jax.devices()[:n_devices], block=block).draw(table, protocol)
    assert drawn.clips.dtype == np.uint16
    np.testing.assert_array_equal(drawn.clips, expected)
    np.testing.assert_array_equal(drawn.segment, segment)
    np.testing.assert_array_equal(drawn.support_segment, segment[:, :, :1])


def test_small_memory_cuts_the_draw_into_chunks_and_changes_nothing():
    table = clip_table((6, 7, 8, 9))
    protocol = Protocol(n_way=3, k_shot=1, n_query=2, n_episodes=300)
    drawn = Evaluator(jax.devices()[:2], memory_bytes=8 * 2 * 16 * 400, block=16).draw(table, protocol)
    np.testing.assert_array_equal(drawn.clips, drawn_clips(table, protocol, np.arange(300))[0])


def test_supports_of_fewer_shots_come_first_in_those_of_more_with_the_same_queries():
    table = clip_table((9, 8, 7))
    one, few = (drawn_clips(table, Protocol(n_way=2, k_shot=k, n_query=3), np.arange(500))[0] for k in (1, 4))
    np.testing.assert_array_equal(one[:, :, :1], few[:, :, :1])
    np.testing.assert_array_equal(one[:, :, 1:], few[:, :, 4:])


def test_fewer_ways_are_the_first_of_more():
    table = clip_table((5, 5, 5, 5, 5))
    two, five = (drawn_clips(table, Protocol(n_way=n, k_shot=1, n_query=2), np.arange(500))[0] for n in (2, 5))
    np.testing.assert_array_equal(two, five[:, :2])


def test_seed_and_clip_table_name_the_sequence_of_episodes():
    table, protocol = clip_table((9, 9)), Protocol(n_way=2, k_shot=1, n_query=2)
    reference, _ = drawn_clips(table, protocol, np.arange(50))
    pool = class_pool(table, protocol)
    other_seed, _ = drawn_clips(table, Protocol(n_way=2, k_shot=1, n_query=2, seed=1), np.arange(50))
    assert (other_seed != reference).any()
    arrays = pool_arrays(pool, protocol, "another digest")
    other_table = compiled_draw(arrays, jnp.arange(50, dtype=jnp.uint32), **draw_arguments(protocol, pool))
    assert (np.moveaxis(np.asarray(other_table.clips), -1, 0) != reference).any()


def test_the_clips_of_an_episode_never_change_from_one_version_to_the_next():
    # Records of different versions are compared with each other; if this must change, the draw's identity has to.
    table = ClipTable.build([f"{n:02d}" for n in range(12)], [f"c{n // 4}" for n in range(12)])
    assert table.digest.startswith("1a44cb30b1160423")
    clips, _ = drawn_clips(table, Protocol(n_way=2, k_shot=1, n_query=2), np.arange(3))
    assert clips.tolist() == [[[4, 6, 5], [0, 1, 2]], [[8, 11, 10], [3, 2, 1]], [[3, 2, 0], [10, 9, 11]]]


@pytest.mark.parametrize("unrolled", [0, 40])
@pytest.mark.parametrize(("sizes", "protocol"), [
    ((6, 7, 8, 9), Protocol(n_way=3, k_shot=2, n_query=3)),
    ((45, 47), Protocol(n_way=2, k_shot=5, n_query=40, seed=1)),
])  # fmt: skip
def test_every_episode_is_the_one_that_plain_python_draws(sizes, protocol, unrolled, monkeypatch):
    monkeypatch.setattr(shuffling, "_UNROLLED_DRAWS", unrolled)
    table = clip_table(sizes)
    episodes = [*range(40), 2**31, 2**32 - 1]
    pool = class_pool(table, protocol)
    # A function of its own: jit would remember the other way of drawing.
    compiled = jax.jit(functools.partial(draw, **draw_arguments(protocol, pool)))
    result = compiled(pool_arrays(pool, protocol, table.digest), jnp.asarray(episodes, jnp.uint32))
    clips, segments = np.moveaxis(np.asarray(result.clips), -1, 0), drawn_segments(table, protocol, episodes)
    for number, found, segment in zip(episodes, clips, segments, strict=True):
        expected = draw_episode(table, protocol, number)
        assert found.tolist() == expected[0]
        assert segment.tolist() == expected[1]


def test_a_class_can_be_drawn_to_its_last_clip():
    table = clip_table((45, 47))
    clips, _ = drawn_clips(table, Protocol(n_way=2, k_shot=5, n_query=40), np.arange(300))
    for name in table.classes:
        owner = table.class_name[clips[:, :, 0]] == name
        assert (table.class_name[clips[owner]] == name).all()
        assert all(len(set(drawn)) == 45 for drawn in clips[owner].tolist())
    # Each clip of the larger class is the one left out 2 times in 47.
    counts = np.bincount(clips.ravel(), minlength=92)
    assert counts[table.class_name == "class0"].min() == counts[table.class_name == "class0"].max() == 300
    assert (
        scipy.stats.chisquare(counts[table.class_name == "class1"]).pvalue > 0.9
    )  # 45 of 47: less spread than free draws


def test_lists_are_padded_to_powers_of_two():
    assert [power_of_two(n) for n in (1, 2, 3, 1024)] == [1, 2, 4, 1024]
    assert [padded_length(n, 4) for n in (1, 4, 5, 8, 9, 1025)] == [4, 4, 8, 8, 16, 2048]
