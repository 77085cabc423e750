"""Supports and queries from separate pools: against a plain Python definition, exact probabilities, and properties."""

import collections
import fractions
import itertools

import numpy as np
import pytest

from jfewshot.episodes.drawing import draw_arguments, pool_arrays
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import MAX_WAYS, Protocol, protocols
from jfewshot.episodes.resolving import resolved
from jfewshot.episodes.separate import pools_digest
from jfewshot.episodes.sides import Condition, Side
from jfewshot.errors import UserError
from jfewshot.store import ClipTable
from jfewshot.store.joined import join_tables
from tests.episodes.drawn import LEAST_P, compiled_draw, drawn_clips, p_value
from tests.episodes.one_by_one import CLASS_SLOT, Stream, stream_key

SITE_A, SITE_B = Side(where=(Condition("site", ("A",)),)), Side(where=(Condition("site", ("B",)),))
NOT_A = Side(where=(Condition("site", ("A",), False),))


def table_of(sites, groups=None):
    """A class for each text of `sites`, a clip for each of its letters: the site that the clip is from."""
    labels = [f"c{number}" for number, letters in enumerate(sites) for _ in letters]
    # Ids in an order of their own, so that the sorted table mixes the classes.
    ids = np.random.default_rng(0).permutation(len(labels))
    site = list(itertools.chain(*sites))
    group = None if groups is None else list(itertools.chain(*groups))
    return ClipTable.build([f"{n:03d}" for n in ids], labels, group, further={"site": site})


def reference(table, protocol, episode, sides, unit):
    """One episode, in plain Python: queries, then supports among what is left; supports first where groups count.

    Args:
      table: the clips.
      protocol: what is drawn.
      episode: its number.
      sides: whether each clip can be a support, and a query.
      unit: names the recording that each clip is of.
    """
    stream = Stream(stream_key(protocol.seed, table.stream), episode)
    n_way, k_shot, n_query, shots = protocol.n_way, protocol.k_shot, protocol.n_query, protocol.shots_drawn
    rows = range(len(table))
    pools = [
        [[row for row in rows if can[row] and table.class_name[row] == name] for can in sides] for name in table.classes
    ]
    if not protocol.group_aware and protocol.every_query:
        found = []
        for slot, (support, query) in enumerate(stream.shuffled(pools, n_way, CLASS_SLOT)):
            supports = stream.shuffled(support, k_shot, slot)
            found.append(supports + [row for row in query if unit[row] not in {unit[other] for other in supports}])
        return found
    if not protocol.group_aware:
        found = []
        for slot, (support, query) in enumerate(stream.shuffled(pools, n_way, CLASS_SLOT)):
            queries = stream.shuffled(query, n_query, slot)
            free = [row for row in support if unit[row] not in {unit[other] for other in queries}]
            found.append(stream.shuffled(free, k_shot, slot, n_query) + queries)
        return found
    # A clip of unknown group shares its group with its other recordings alone.
    group = [(0, name) if (name := table.group[row]) else (1, unit[row]) for row in rows]
    pools = [[sorted(side, key=lambda row: (group[row], row)) for side in one] for one in pools]
    where = [{group[row] for row in itertools.chain(*one)} for one in pools]
    across = any(a & b for i, a in enumerate(where) for b in where[:i])
    for class_attempt in range(16):
        classes = stream.shuffled(pools, n_way, CLASS_SLOT, attempt=class_attempt)
        attempts = [class_attempt * 1000] * n_way
        while max(attempts) < (class_attempt + 1) * 1000:
            supports = [
                stream.shuffled(one[0], shots, slot, 0 if protocol.every_query else n_query, attempts[slot])
                for slot, one in enumerate(classes)
            ]
            taken = [{group[row] for row in support} for support in supports]
            taken = [set().union(*taken)] * n_way if across else taken
            free = [[row for row in one[1] if group[row] not in taken[slot]] for slot, one in enumerate(classes)]
            short = [len(rows) < (1 if protocol.every_query else n_query) for rows in free]
            if not any(short) and protocol.every_query:
                return [supports[slot][:k_shot] + free[slot] for slot in range(n_way)]
            if not any(short):
                return [supports[slot][:k_shot] + stream.shuffled(free[slot], n_query, slot) for slot in range(n_way)]
            attempts = [a + (any(short) if across else one) for a, one in zip(attempts, short, strict=True)]
    return None


def noisy(table):
    """The same clips in another store, some of them only there, and none of the first class's last clip."""
    keep = table.select(np.arange(len(table)) != np.flatnonzero(table.class_name == "c0")[-1])
    ids = [*keep.clip_id, *(f"new{n}" for n in range(len(table.classes)))]
    return ClipTable.build(ids, [*keep.class_name, *table.classes], [*keep.group, *[""] * len(table.classes)])


SITES = ("AABBBAB", "ABABABA", "BBAAABAB")
OWN_GROUPS = ("uuvvwxx", "uvuvwwx", "uuvvwwxy")  # of each class on its own, once the class is put before it
CASES = {
    "two sites": ({"support": SITE_A, "query": SITE_B}, False),
    "one side is all clips": ({"query": SITE_A}, False),
    "the same side twice": ({"support": SITE_A, "query": SITE_A}, False),
    "another store": ({}, True),
    "groups in two sites": ({"support": SITE_A, "query": SITE_B, "group_aware": True, "n_query": 1}, False),
    "groups in another store": ({"group_aware": True}, True),
    "all queries of one pool": ({"every_query": True, "k_shot": 2}, False),
    "all queries of another site": ({"every_query": True, "support": SITE_A, "query": SITE_B}, False),
    "all queries, one side is all clips": ({"every_query": True, "query": SITE_A, "every_class": True}, False),
    "all queries, another store": ({"every_query": True, "k_shot": 2}, True),
    "all queries of other groups": ({"every_query": True, "group_aware": True}, False),
    "all queries of other groups in another store": ({"every_query": True, "group_aware": True}, True),
}


# Each combination is a program of its own to compile: the fast tests have one of every way of drawing.
FAST = {
    ("two sites", False),
    ("one side is all clips", False),
    ("the same side twice", False),
    ("another store", False),
    ("groups in two sites", True),
    ("groups in another store", False),
    ("all queries of one pool", False),
    ("all queries, another store", False),
    ("all queries of other groups", False),
}
COMBINATIONS = [
    pytest.param(
        case,
        reaching,
        id=f"{case}, {'reaching over classes' if reaching else 'of one class'}" if "groups" in case else case,
        marks=[] if (case, reaching) in FAST else [pytest.mark.slow],
    )
    for case in CASES
    for reaching in ((False, True) if "groups" in case else (False,))
]


@pytest.mark.parametrize(("case", "reaching"), COMBINATIONS)
def test_every_episode_is_the_one_that_the_plain_definition_gives(case, reaching):
    settings, joined = CASES[case]
    groups = [[letter if reaching else f"{n}{letter}" for letter in one] for n, one in enumerate(OWN_GROUPS)]
    table = table_of(SITES, groups)
    settings = {"n_way": 2, "k_shot": 1, "n_query": 2} | settings
    if joined:
        table, settings = join_tables(table, noisy(table), ("clean", "noisy")), settings | {"support_from": "noisy"}
    protocol = resolved(Protocol(**settings), table, "birds")
    pool = class_pool(table, protocol)
    sides = np.isin(np.arange(len(table)), pool.support.clips), np.isin(np.arange(len(table)), pool.clips)
    arrays = pool_arrays(pool, protocol, table.stream)
    drawn = compiled_draw(arrays, np.arange(150, dtype=np.uint32), **draw_arguments(protocol, pool))
    found = np.moveaxis(np.asarray(drawn.clips), -1, 0)
    expected = [reference(table, protocol, number, sides, table.clip_id) for number in range(150)]
    if not protocol.every_query:
        np.testing.assert_array_equal(found, expected)
        return
    count = np.moveaxis(np.asarray(drawn.query_count), -1, 0)
    for episode, slots in enumerate(expected):
        for slot, rows in enumerate(slots):
            assert count[episode, slot] == len(rows) - protocol.k_shot
            assert found[episode, slot, : len(rows)].tolist() == rows
            # What fills the place up is a clip of the class.
            assert set(table.class_name[found[episode, slot]]) == {table.class_name[rows[0]]}


def test_queries_are_uniform_and_supports_are_uniform_among_the_clips_that_are_left():
    table = table_of(("AAAB", "AABB"))
    protocol = Protocol(n_way=2, k_shot=1, n_query=1, query=SITE_A)
    clips, _ = drawn_clips(table, protocol, np.arange(40_000))
    of_class = [np.flatnonzero(table.class_name == name).tolist() for name in table.classes]
    expected = collections.defaultdict(fractions.Fraction)
    for order in itertools.permutations(range(2)):
        slots = []
        for c in order:
            queries = [row for row in of_class[c] if table.further["site"][row] == "A"]
            slots.append([(s, q) for q in queries for s in of_class[c] if s != q])
        for outcome in itertools.product(*slots):
            expected[tuple(itertools.chain(*outcome))] += fractions.Fraction(1, 2 * len(slots[0]) * len(slots[1]))
    assert p_value(clips, dict(expected)) > LEAST_P


def test_the_queries_are_those_of_the_ordinary_protocol_whatever_pool_supports_come_from():
    table = table_of(SITES)
    only_b = table.select(table.further["site"] == "B")
    settings = {"n_way": 2, "n_query": 2, "k_shot": 1}
    found = []
    for support in (None, SITE_A, SITE_B, NOT_A):
        protocol = Protocol(**settings, query=SITE_B, support=support)
        clips, _ = drawn_clips(table, protocol, np.arange(150))
        found.append(clips[:, :, 1:])
        assert (found[-1] == found[0]).all()
    # Of a table with these clips alone the digest is another, so the key is given.
    plain = Protocol(**settings)
    pool = class_pool(only_b, plain)
    arrays = pool_arrays(pool, plain, table.stream)
    alone = np.moveaxis(
        np.asarray(compiled_draw(arrays, np.arange(150, dtype=np.uint32), **draw_arguments(plain, pool)).clips), -1, 0
    )
    assert (only_b.clip_id[alone[:, :, 1:]] == table.clip_id[found[0]]).all()


def test_no_clip_is_on_both_sides_of_an_episode_also_not_as_its_copy_in_another_store():
    table = table_of(SITES)
    joined = join_tables(table, noisy(table), ("clean", "noisy"))
    protocol = Protocol(n_way=3, k_shot=2, n_query=3, support_from="noisy")
    clips, _ = drawn_clips(joined, protocol, np.arange(500))
    assert (clips[:, :, :2] >= len(table)).all()
    assert (clips[:, :, 2:] < len(table)).all()
    ids = joined.clip_id[clips]
    assert not (ids[:, :, :2, None] == ids[:, :, None, 2:]).any()
    # The copies are drawn, though: every clip of the other store is a support somewhere.
    assert set(clips[:, :, :2].ravel().tolist()) == set(range(len(table), len(joined)))


def test_fewer_shots_are_the_first_of_more_with_the_same_queries():
    table = table_of(("AAAAABBB",) * 3)
    few, many = (
        drawn_clips(table, Protocol(n_way=2, k_shot=k, n_query=2, support=SITE_A), np.arange(150))[0] for k in (1, 3)
    )
    np.testing.assert_array_equal(few[:, :, :1], many[:, :, :1])
    np.testing.assert_array_equal(few[:, :, 1:], many[:, :, 3:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"support": SITE_A}, "class 'c2' has no support clips .site=A. beside 3 query clips"),
        ({"query": SITE_A}, "class 'c2' has no query clips .site=A. beside 3 support clips"),
        ({"query": SITE_B, "n_query": 2}, "class 'c0' has 1 query clip .site=B.*--min-clips 2"),
        ({"support": Side(where=(Condition("sitee", ("A",)),))}, "no column 'sitee'; they have clip_id, class,.* site"),
        ({"support": Side(where=(Condition("site", ("C",)),))}, "no clip has site=C; column 'site' has 'A', 'B'"),
        ({"support": Side("train")}, "no clips in split 'train'"),
        ({"support": SITE_A, "min_clips": 1, "n_way": 3}, "has 2 classes with at least 1 support and 1 query"),
        ({"support": Side(where=(*SITE_A.where, *NOT_A.where))}, "no labelled clip can be a support clip"),
        ({"query": SITE_B, "n_query": 1, "k_shot": 3, "min_clips": 1}, "class 'c1' has 3 support clips, of which 2"),
    ],
)
def test_a_side_that_cannot_be_drawn_from_is_named_with_its_class(settings, message):
    table = table_of(("AAAB", "ABB", "BBB"))
    with pytest.raises(UserError, match=message):
        class_pool(table, Protocol(**{"n_way": 2, "n_query": 1} | settings), "birds")


def test_classes_that_one_side_lacks_are_left_out_and_listed_when_asked_for():
    table = table_of(("AAAB", "ABB", "BBB"))
    pool = class_pool(table, Protocol(n_way=2, n_query=1, support=SITE_A, query=SITE_B, min_clips=1))
    assert pool.names.tolist() == ["c0", "c1"]
    assert pool.left_out == (("c2", 0),)


def test_groups_that_leave_no_queries_whatever_the_supports_are_named():
    table = table_of(("AAB", "AAB"), ("uvu", "www"))
    protocol = Protocol(n_way=2, n_query=1, support=SITE_A, query=SITE_B, group_aware=True)
    with pytest.raises(UserError, match=r"class 'c1' has 1 query clips, .* at most 0 of them are of other groups"):
        class_pool(table, protocol)


def test_conditions_are_read_as_they_are_written():
    side = Side.of("train", ["site=A", "mic != far", "site=B", "note=x=y"], "--support-where")
    assert side.words == "split train, mic!= far, note=x=y, site=A or B"
    assert Side.of(None, (), "--support-where") is None
    assert Side.of(None, "site=", "x") == Side(where=(Condition("site", ("",)),))
    with pytest.raises(UserError, match="--query-where is 'site'; give COLUMN=VALUE"):
        Side.of(None, ["site"], "--query-where")


def test_clips_of_two_stores_must_agree_on_what_they_share():
    table = table_of(("AAAB", "ABB"))
    other = ClipTable.build(table.clip_id, [*table.class_name[1:], "c9"])
    with pytest.raises(UserError, match=r"clip '\d+' has class 'c. in clean and 'c. in noisy".replace("c. ", "c.' ")):
        join_tables(table, other, ("clean", "noisy"))


def test_the_digest_of_the_pools_tells_selections_of_equal_tables_apart():
    one, other = table_of(("AAAB", "ABB")), table_of(("AABB", "ABB"))
    assert one.digest == other.digest
    protocol = Protocol(support=SITE_A)
    assert pools_digest(one, protocol, "x") != pools_digest(other, protocol, "x")
    assert pools_digest(one, protocol, "x") == pools_digest(table_of(("AAAB", "ABB")), protocol, "y")


def test_all_classes_and_all_queries_are_counted_in_the_table():
    table = table_of(("AAAB", "ABB", "BBB"))
    (asked,) = protocols("all", 1, n_query="all")
    found = resolved(asked, table, "birds")
    assert (found.n_way, found.n_query) == (3, 4)
    assert found.identity()["every_query"] is found.identity()["every_class"] is True
    (fewer,) = protocols(["all"], 1, n_query=1, support=SITE_A, query=SITE_B, min_clips=1)
    assert resolved(fewer, table, "birds").n_way == 2
    assert resolved(Protocol(), table, "birds") == Protocol()
    with pytest.raises(UserError, match="ways is 'all' beside a number"):
        protocols(["all", 5], 1)
    with pytest.raises(UserError, match=r"class 'c1' has no query clip left where its 3 supports are among them"):
        resolved(protocols(2, 3, n_query="all")[0], table, "birds")
    many = ClipTable.build(map(str, range(2 * MAX_WAYS + 2)), [f"c{n // 2}" for n in range(2 * MAX_WAYS + 2)])
    with pytest.raises(UserError, match=f"has {MAX_WAYS + 1} classes, and an episode at most {MAX_WAYS}"):
        resolved(asked, many, "birds")
