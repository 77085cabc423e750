"""Episodes whose queries share no group with their supports."""

import fractions
import itertools

import jax
import numpy as np
import pytest
import scipy.stats

from jfewshot.episodes import group_aware
from jfewshot.episodes.balance import class_episodes
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.store import ClipTable
from tests.episodes.drawn import LEAST_P, drawn_clips, drawn_segments, p_value
from tests.episodes.one_by_one import draw_episode
from tests.synthetic_stores import clip_table


def grouped(*classes):
    """A table from one text per class, a letter per clip's group ('.' for none)."""
    labels = [number for number, groups in enumerate(classes) for _ in groups]
    groups = ["" if letter == "." else letter for letter in "".join(classes)]
    return ClipTable.build([f"{n:02d}" for n in range(len(labels))], [f"c{label}" for label in labels], groups)


def exact_group_aware(table, n_way, k_shot, n_query):
    """Classes uniform; supports uniform among those of the same classes that leave enough queries; queries uniform among the
    clips of other groups. Also how likely a support leaves enough, for each choice of classes and slot (None: for all slots
    together, where groups reach over classes)."""
    by_class = [np.flatnonzero(table.class_name == name).tolist() for name in table.classes]
    group = {clip: table.group[clip] or f"clip {clip}" for clip in range(len(table))}
    of_class = [{group[clip] for clip in clips} for clips in by_class]
    across = any(a & b for a, b in itertools.combinations(of_class, 2))
    expected, enough = {}, []
    choices = list(itertools.permutations(by_class, n_way))
    for classes in choices:
        supports = list(itertools.product(*(itertools.permutations(clips, k_shot) for clips in classes)))
        feasible = {}
        for support in supports:
            excluded = {group[clip] for clip in itertools.chain(*support)}
            allowed = [[clip for clip in clips if group[clip] not in excluded] for clips in classes]
            if queries := list(itertools.product(*(itertools.permutations(clips, n_query) for clips in allowed))):
                feasible[support] = queries
        for support, queries in feasible.items():
            for query in queries:
                outcome = itertools.chain(*((*s, *q) for s, q in zip(support, query, strict=True)))
                expected[tuple(outcome)] = fractions.Fraction(1, len(choices) * len(feasible) * len(queries))
        if across:
            enough.append([len(feasible) / len(supports)])
        else:
            one = [len({s[w] for s in feasible}) / len({s[w] for s in supports}) for w in range(n_way)]
            enough.append(one)
    return expected, enough


TABLES = {
    "groups within classes": (grouped("aabc", "ddef"), 2, 1, 1),
    "a class of few groups among others": (grouped("aaaab", "cdefg", "hijk"), 2, 1, 2),
    "groups across classes": (grouped("aab", "acc", "bcd"), 2, 1, 1),
    "clips of no group": (grouped("aa..", "ab."), 2, 1, 1),
    "two shots": (grouped("aabcc", "ddeef"), 2, 2, 1),
    "two shots across classes": (grouped("aabcd", "abbce"), 2, 2, 1),
    "two queries": (grouped("aabbc", "dddef"), 2, 1, 2),
}


@pytest.mark.parametrize("name", TABLES)
def test_group_aware_draws_have_their_exact_conditional_distribution(name):
    table, n_way, k_shot, n_query = TABLES[name]
    protocol = Protocol(n_way=n_way, k_shot=k_shot, n_query=n_query, group_aware=True)
    expected, enough = exact_group_aware(table, n_way, k_shot, n_query)
    n = 100_000
    clips, result = drawn_clips(table, protocol, np.arange(n))
    assert p_value(clips, expected) > LEAST_P
    assert not np.asarray(result.class_redraws).any()
    # The number of redraws is a sum of geometric ones; all slots of an episode are drawn again together across classes.
    redraws = np.asarray(result.redraws)
    weight = n_way if len(enough[0]) == 1 else 1
    means = [sum(weight * (1 - p) / p for p in one) for one in enough]
    squares = [sum(weight**2 * (1 - p) / p**2 for p in one) + mean**2 for one, mean in zip(enough, means, strict=True)]
    variance = np.mean(squares) - np.mean(means) ** 2
    assert redraws.min() == 0
    assert (redraws.max() > 0) == (np.mean(means) > 0)
    assert abs(redraws.mean() - np.mean(means)) <= 4.5 * np.sqrt(variance / n)


def letters(*sizes_of_groups):
    """Groups of the given sizes within a class, as names."""
    return [
        [f"{c}-{g}" for g, size in enumerate(sizes) for _ in range(size)] for c, sizes in enumerate(sizes_of_groups)
    ]


def table_of(groups):
    labels = [f"c{c}" for c, names in enumerate(groups) for _ in names]
    return ClipTable.build([f"{n:03d}" for n in range(len(labels))], labels, list(itertools.chain(*groups)))


# The rarest class of the first is that of the case that was reported: 25 clips in 19 groups among classes of 60.
POOLS = {
    "a small class among large ones": (letters(*[[1] * 60] * 9, [2] * 6 + [1] * 13), 5, 10, 15, False),
    "one large group": (letters([12, 1, 1, 1, 1, 1], [1] * 17, [3] * 6), 2, 2, 10, False),
    "two hard classes": (letters([6, 6, 1, 1], [7, 7], [1] * 14), 2, 3, 7, False),
    "speakers who say every class": ([[f"s{n % 5}" for n in range(15)]] * 3, 3, 1, 7, True),
    "some groups reach over": ([["a"] * 4 + ["b"] * 4, ["a"] * 3 + ["c"] * 5, ["d"] * 4 + ["e"] * 4], 2, 1, 4, True),
}


def rejected_and_drawn_again(rng, groups, n_shots, n_query, across):
    """Supports of some classes, uniform among those that leave enough queries, and their queries, by NumPy alone."""
    slots = range(len(groups))
    names = [np.array(one) for one in groups]

    def support_of(slot):
        return rng.permutation(len(names[slot]))[:n_shots]

    def left(supports, slot):
        taken = [names[other][supports[other]] for other in (slots if across else [slot])]
        return np.flatnonzero(~np.isin(names[slot], np.concatenate(taken)))

    if across:
        while True:
            supports = [support_of(slot) for slot in slots]
            allowed = [left(supports, slot) for slot in slots]
            if min(map(len, allowed)) >= n_query:
                break
    else:
        supports, allowed = [None] * len(groups), [None] * len(groups)
        for slot in slots:
            while True:
                supports[slot] = support_of(slot)
                allowed[slot] = left(supports, slot)
                if len(allowed[slot]) >= n_query:
                    break
    return supports, [rng.permutation(rows)[:n_query] for rows in allowed]


@pytest.mark.parametrize("name", POOLS)
def test_group_aware_draws_are_those_of_a_rejection_sampler_within_the_classes(name):
    groups, n_way, k_shot, n_query, across = POOLS[name]
    table = table_of(groups)
    protocol = Protocol(n_way=n_way, k_shot=k_shot, n_query=n_query, group_aware=True)
    pool = class_pool(table, protocol)
    assert pool.groups_reach_over == across
    n = 2_000
    clips, result = drawn_clips(table, protocol, np.arange(n))
    assert np.asarray(result.redraws).max() > 0
    assert not np.asarray(result.class_redraws).any()
    # Classes are uniform, whatever their groups: within chance of their share.
    share = n_way / len(groups)
    episodes = class_episodes(pool, clips)
    assert episodes.sum() == n * n_way
    assert abs(episodes - n * share).max() <= 4.5 * np.sqrt(n * share * (1 - share)) + 1e-9
    # Supports and queries, clip by clip, against as many episodes of the same classes.
    rng = np.random.default_rng(0)
    first = np.cumsum([0, *map(len, groups)])
    found, other = np.zeros((2, len(table))), np.zeros((2, len(table)))
    class_of_clip = np.repeat(np.arange(len(groups)), list(map(len, groups)))
    for episode in clips:
        classes = class_of_clip[episode[:, 0]]
        supports, queries = rejected_and_drawn_again(rng, [groups[c] for c in classes], k_shot, n_query, across)
        for slot, c in enumerate(classes):
            np.add.at(found[0], episode[slot, :k_shot], 1)
            np.add.at(found[1], episode[slot, k_shot:], 1)
            np.add.at(other[0], first[c] + supports[slot], 1)
            np.add.at(other[1], first[c] + queries[slot], 1)
    for ours, theirs in zip(found, other, strict=True):
        counted = ours + theirs > 0
        # Clips of an episode exclude each other, so counts vary less than free ones: large deviations alone are improbable.
        assert scipy.stats.chi2_contingency(np.stack([ours, theirs])[:, counted]).pvalue > LEAST_P


@pytest.mark.parametrize("name", [*TABLES, *POOLS])
def test_every_group_aware_episode_is_the_one_that_plain_python_draws(name):
    if name in TABLES:
        table, n_way, k_shot, n_query = TABLES[name]
    else:
        groups, n_way, k_shot, n_query, _ = POOLS[name]
        table = table_of(groups)
    # One shot of several that are drawn together.
    protocol = Protocol(n_way=n_way, k_shot=1, n_query=n_query, group_aware=True, nested_shots=k_shot)
    clips, result = drawn_clips(table, protocol, np.arange(30))
    segments = drawn_segments(table, protocol, np.arange(30))
    for number in range(30):
        expected = draw_episode(table, protocol, number)
        assert clips[number].tolist() == expected[0]
        assert segments[number].tolist() == expected[1]
        assert (int(result.redraws[number]), int(result.class_redraws[number])) == expected[2:]


def test_the_one_shot_number_of_classes_does_not_depend_on_the_shots_drawn_together():
    groups, n_way, _, n_query, _ = POOLS["a small class among large ones"]
    table = table_of(groups)
    n = 600
    for nested in (1, 10):
        protocol = Protocol(n_way, 1, n_query, n, group_aware=True, nested_shots=nested)
        drawn = Evaluator(jax.devices()[:2]).draw(table, protocol)
        # 1.9% of the episodes had the small class when episodes were drawn again as a whole.
        assert abs(drawn.class_episodes[-1] / n - 0.5) <= 4.5 * np.sqrt(0.25 / n)
        assert (drawn.redraws > 10 * n) == (nested == 10)


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


def fewer_tries(monkeypatch, tries):
    """Give up on a set of classes sooner, in functions that were not compiled before."""
    monkeypatch.setattr(group_aware, "MAX_SUPPORT_DRAWS", tries)
    from jfewshot.evaluator import drawing_programs

    drawing_programs.jit_draw.cache_clear()


def test_where_no_support_leaves_queries_of_other_groups_the_error_counts_the_episodes(monkeypatch):
    # Each class alone could, but no choice of three supports leaves all three a query.
    table = grouped("ab", "bc", "ca")
    assert not exact_group_aware(table, 3, 1, 1)[0]
    protocol = Protocol(n_way=3, k_shot=1, n_query=1, n_episodes=40, group_aware=True)
    fewer_tries(monkeypatch, 20)
    with pytest.raises(UserError, match=r"birds: 40 episodes found no support .* tries .* Lower --n-query"):
        Evaluator(jax.devices()[:1], block=40).draw(table, protocol, "birds")


def hopeless_pair():
    """Six classes; the first two can never stand in one episode, since each one's support takes the other's queries."""
    return grouped("aaab", "bbba", "cdef", "ghij", "klmn", "opqr")


def test_classes_are_drawn_again_where_their_supports_run_out_of_tries(monkeypatch, caplog):
    table = hopeless_pair()
    protocol = Protocol(n_way=2, k_shot=1, n_query=3, n_episodes=3_000, group_aware=True)
    fewer_tries(monkeypatch, 20)
    with caplog.at_level("WARNING"):
        drawn = Evaluator(jax.devices()[:2], block=64).draw(table, protocol, "birds")
    pairs = {frozenset(names) for names in table.class_name[drawn.clips[:, :, 0]].tolist()}
    assert frozenset(("c0", "c1")) not in pairs
    assert len(pairs) == 14
    # One pair of 15 is impossible: 200 of 3,000 episodes are drawn again, and its classes stand in 4/14 instead of 1/3.
    assert abs(drawn.class_redraws - 200) < 4.5 * np.sqrt(200)
    assert abs(drawn.class_episodes[0] - 3_000 * 4 / 14) < 4.5 * np.sqrt(3_000 * 4 / 14)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"birds: in {drawn.class_redraws} of 3,000 episodes no 1-shot support left 3 queries")
    assert "expected 1,000, 'c0' in " in message or "expected 1,000, 'c1' in " in message
    assert "Lower --n-query or --shots" in message
    for number in range(30):
        expected = draw_episode(table, protocol, number, support_draws=20)
        assert drawn.clips[number].tolist() == expected[0]


def test_a_class_that_takes_part_in_less_than_half_of_its_episodes_is_refused(monkeypatch):
    # A support of the first class leaves enough queries once in 780, by taking a whole group of two out of forty clips.
    table = table_of(letters([2, 38], [1] * 60, [1] * 60, [1] * 60))
    protocol = Protocol(n_way=2, k_shot=2, n_query=38, n_episodes=2_000, group_aware=True)
    fewer_tries(monkeypatch, 40)
    message = r"birds: in [\d,]+ of 2,000 episodes no 2-shot support left 38 queries .* of 1,000 episodes expected, class 'c0' in"
    with pytest.raises(UserError, match=message):
        Evaluator(jax.devices()[:2], block=64).draw(table, protocol, "birds")
