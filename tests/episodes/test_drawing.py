import collections
import fractions
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jfewshot.episodes import drawing
from jfewshot.episodes.drawing import draw, draw_arguments, pool_arrays
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.store import ClipTable
from tests.synthetic_stores import clip_table

# A fair draw falls below this once in 100,000 seeds; the seeds here are fixed.
LEAST_P = 1e-5
# One compilation per set of arguments for the whole file.
compiled_draw = jax.jit(draw, static_argnames=("n_way", "k_shot", "n_query", "shots_drawn", "largest_class"))


def drawn_clips(table, protocol, episodes, **changes):
    """Clips of some episodes: episodes x n_way x drawn, and the draw."""
    pool = class_pool(table, protocol)
    arguments = draw_arguments(protocol, pool) | changes
    result = compiled_draw(pool_arrays(pool, protocol, table.digest), jnp.asarray(episodes, jnp.uint32), **arguments)
    return np.moveaxis(np.asarray(result.clips), -1, 0), result


def p_value(found, expected):
    """Chi-square of outcomes (rows of an array) against exact probabilities (a dict of tuples)."""
    counts = collections.Counter(map(tuple, found.reshape(len(found), -1).tolist()))
    assert set(counts) <= set(expected), "an outcome that cannot be"
    assert sum(expected.values()) == 1
    return scipy.stats.chisquare(
        [counts[outcome] for outcome in expected], [float(p) * len(found) for p in expected.values()]
    ).pvalue


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
    clips, result = drawn_clips(table, protocol, np.arange(50_000))
    segment = np.moveaxis(np.asarray(result.segment), -1, 0)
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
    expected, result = drawn_clips(table, protocol, np.arange(300))
    drawn = Evaluator(jax.devices()[:n_devices], block=block).draw(table, protocol)
    assert drawn.clips.dtype == np.uint16
    np.testing.assert_array_equal(drawn.clips, expected)
    np.testing.assert_array_equal(drawn.segment, np.moveaxis(np.asarray(result.segment), -1, 0))


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
    # Records of different versions are compared with each other; if this must change, raise NUMERICS_VERSION.
    table = ClipTable.build([f"{n:02d}" for n in range(12)], [f"c{n // 4}" for n in range(12)])
    assert table.digest.startswith("1a44cb30b1160423")
    clips, _ = drawn_clips(table, Protocol(n_way=2, k_shot=1, n_query=2), np.arange(3))
    assert clips.tolist() == [[[4, 6, 5], [0, 1, 2]], [[8, 11, 10], [3, 2, 1]], [[3, 2, 0], [10, 9, 11]]]


def test_many_draws_in_a_loop_are_the_same_as_draws_written_out(monkeypatch):
    table = clip_table((10, 14))
    protocol = Protocol(n_way=2, k_shot=1, n_query=9)
    pool = class_pool(table, protocol)
    arrays, numbers = pool_arrays(pool, protocol, table.digest), jnp.arange(200, dtype=jnp.uint32)
    found = []
    for unrolled in (0, 1000):
        monkeypatch.setattr(drawing, "_UNROLLED_DRAWS", unrolled)
        # A function of its own: jit would remember the other.
        function = functools.partial(draw, **draw_arguments(protocol, pool))
        found.append(np.asarray(jax.jit(lambda arrays, numbers, f=function: f(arrays, numbers))(arrays, numbers).clips))
    np.testing.assert_array_equal(found[0], found[1])


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


# ---- group-aware


def grouped(*classes):
    """A table from one text per class, a letter per clip's group ('.' for none)."""
    labels = [number for number, groups in enumerate(classes) for _ in groups]
    groups = ["" if letter == "." else letter for letter in "".join(classes)]
    return ClipTable.build([f"{n:02d}" for n in range(len(labels))], [f"c{label}" for label in labels], groups)


def exact_group_aware(table, n_way, k_shot, n_query):
    """Supports uniform among those that leave enough queries, queries uniform among the clips of other groups; and how likely
    a support leaves enough."""
    by_class = [np.flatnonzero(table.class_name == name).tolist() for name in table.classes]
    group = {clip: table.group[clip] or f"clip {clip}" for clip in range(len(table))}
    expected, enough, all_ways = collections.defaultdict(fractions.Fraction), fractions.Fraction(0), 0
    choices = list(itertools.permutations(by_class, n_way))
    for classes in choices:
        supports = list(itertools.product(*(itertools.permutations(clips, k_shot) for clips in classes)))
        for support in supports:
            all_ways += 1
            probability = fractions.Fraction(1, len(choices) * len(supports))
            excluded = {group[clip] for clip in itertools.chain(*support)}
            allowed = [[clip for clip in clips if group[clip] not in excluded] for clips in classes]
            queries = list(itertools.product(*(itertools.permutations(clips, n_query) for clips in allowed)))
            if not queries:
                continue
            enough += probability
            for query in queries:
                outcome = itertools.chain(*((*s, *q) for s, q in zip(support, query, strict=True)))
                expected[tuple(outcome)] += probability / len(queries)
    return {outcome: p / enough for outcome, p in expected.items()}, enough


TABLES = {
    "groups within classes": (grouped("aabc", "ddef"), 2, 1, 1),
    "groups across classes": (grouped("aab", "acc", "bcd"), 2, 1, 1),
    "clips of no group": (grouped("aa..", "ab."), 2, 1, 1),
    "two queries and two shots": (grouped("aabcc", "ddeef"), 2, 2, 1),
}


@pytest.mark.parametrize("name", TABLES)
def test_group_aware_draws_have_their_exact_conditional_distribution(name):
    table, n_way, k_shot, n_query = TABLES[name]
    protocol = Protocol(n_way=n_way, k_shot=k_shot, n_query=n_query, group_aware=True)
    expected, enough = exact_group_aware(table, n_way, k_shot, n_query)
    n = 100_000
    clips, result = drawn_clips(table, protocol, np.arange(n))
    assert p_value(clips, expected) > LEAST_P
    # The number of redraws is geometric.
    redraws, p = np.asarray(result.redraws), float(enough)
    assert redraws.min() == 0
    assert abs(redraws.mean() - (1 - p) / p) <= 4.5 * np.sqrt((1 - p) / p**2 / n)


def test_no_query_shares_a_group_with_any_support_of_its_episode():
    table = clip_table((12, 14, 16, 18), groups_of=3)
    # Groups that reach over classes.
    table = ClipTable.build(table.clip_id, table.class_name, [name[3:] or "0" for name in table.group])
    protocol = Protocol(n_way=3, k_shot=2, n_query=3, n_episodes=300, group_aware=True)
    drawn = Evaluator(jax.devices()[:2], block=64).draw(table, protocol)
    groups = table.group[drawn.clips]
    support, query = groups[:, :, :2].reshape(300, -1), groups[:, :, 2:].reshape(300, -1)
    assert not (support[:, :, None] == query[:, None]).any()
    assert all(len(set(episode)) == 15 for episode in drawn.clips.reshape(300, -1).tolist())
    names = table.class_name[drawn.clips]
    assert (names == names[:, :, :1]).all()
    _, result = drawn_clips(table, protocol, np.arange(300))
    assert drawn.redraws == int(np.asarray(result.redraws).sum()) > 0


def test_group_aware_shots_are_nested_where_they_are_drawn_together():
    table = clip_table((12, 14, 16), groups_of=2)
    one, three = (
        drawn_clips(table, Protocol(n_way=2, k_shot=k, n_query=2, group_aware=True, nested_shots=3), np.arange(400))[0]
        for k in (1, 3)
    )
    np.testing.assert_array_equal(one[:, :, 0], three[:, :, 0])
    np.testing.assert_array_equal(one[:, :, 1:], three[:, :, 3:])


def test_where_no_support_leaves_queries_of_other_groups_the_error_counts_the_episodes():
    # Each class alone could, but no choice of three supports leaves all three a query.
    table = grouped("ab", "bc", "ca")
    assert exact_group_aware(table, 3, 1, 1)[1] == 0
    protocol = Protocol(n_way=3, k_shot=1, n_query=1, n_episodes=40, group_aware=True)
    with pytest.raises(UserError, match=r"birds: 40 episodes found no support .* in 100 tries\. Lower --n-query"):
        Evaluator(jax.devices()[:1], block=40).draw(table, protocol, "birds")
