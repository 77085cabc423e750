import dataclasses

import jaxtyping
import numpy as np
import pytest

from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol, protocols
from jfewshot.episodes.sides import Side
from jfewshot.errors import UserError
from jfewshot.store import ClipTable
from tests.synthetic_stores import clip_table


def test_a_pool_holds_each_class_with_its_clips():
    table = clip_table((3, 5, 4))
    pool = class_pool(table, Protocol(n_way=2, k_shot=1, n_query=2))
    assert pool.names.tolist() == ["class0", "class1", "class2"]
    assert pool.count.tolist() == [3, 5, 4]
    for name, start, count in zip(pool.names, pool.start, pool.count, strict=True):
        assert pool.clips[start : start + count].tolist() == np.flatnonzero(table.class_name == name).tolist()


def test_a_pool_of_one_split_holds_its_clips_alone():
    table = clip_table((4, 4, 4, 4), splits=["train", "test", "test", "train"])
    pool = class_pool(table, Protocol(n_way=2, n_query=2, split="test"))
    assert pool.names.tolist() == ["class1", "class2"]
    assert set(table.split[pool.clips].tolist()) == {"test"}


def test_small_classes_are_left_out_and_named():
    table = clip_table((3, 8, 2, 8))
    pool = class_pool(table, Protocol(n_way=2, n_query=4, min_clips=5))
    assert pool.names.tolist() == ["class1", "class3"]
    assert pool.left_out == (("class0", 3), ("class2", 2))
    assert pool.start.tolist() == [0, 8]
    for name, start in zip(pool.names, pool.start, strict=True):
        assert pool.clips[start : start + 8].tolist() == np.flatnonzero(table.class_name == name).tolist()


@pytest.mark.parametrize(
    ("groups", "reach_over"),
    [("abcd efgh", False), ("aabb ccdd", False), ("aabb bcdd", True), ("abcd abcd", True), ("aaaa aaaa", True)],
)
def test_groups_reach_over_where_one_has_clips_of_two_classes(groups, reach_over):
    table = ClipTable.build([f"c{i}" for i in range(8)], ["x"] * 4 + ["y"] * 4, list(groups.replace(" ", "")))
    pool = class_pool(table, Protocol(n_way=2, n_query=1))
    assert pool.groups_reach_over is reach_over


def test_a_class_of_exactly_the_least_number_of_clips_takes_part():
    pool = class_pool(clip_table((5, 4, 6)), Protocol(n_way=2, n_query=3, min_clips=5))
    assert pool.names.tolist() == ["class0", "class2"]
    assert pool.left_out == (("class1", 4),)


@pytest.mark.parametrize(
    ("sizes", "changes", "message"),
    [
        (
            (20, 3, 2),
            {},
            r"class 'class1' has 3 clips \(1 more too few\); 1-shot with 15 queries needs 16.*--min-clips 16",
        ),
        ((20, 20, 1), {}, "class 'class2' has 1 clip; "),
        ((16, 3, 16), {}, "--min-clips 16 to drop small classes"),
        ((5, 6), {"n_way": 2}, "the largest class has 6. Lower --shots or --n-query"),
        ((20, 20), {}, "birds has 2 classes; 5-way needs 5. Lower --ways"),
        (
            (20, 20, 3),
            {"n_way": 3, "min_clips": 16},
            r"2 classes with at least 16 clips \(of 3\).*--ways or --min-clips",
        ),
        ((20, 20), {"n_way": 2, "split": "test"}, "no clips in split 'test'; its clips name no splits"),
        ((20, 20), {"n_way": 2, "group_aware": True}, "--group-aware needs groups, and no clip has one"),
    ],
)
def test_a_store_that_does_not_allow_the_protocol_is_refused_with_the_fix(sizes, changes, message):
    with pytest.raises(UserError, match=message):
        class_pool(clip_table(sizes), Protocol(**changes), "birds")


def test_a_split_that_is_not_there_is_answered_with_those_that_are():
    table = clip_table((4, 4), splits=["train", "test"])
    with pytest.raises(UserError, match="no clips in split 'tset'; it has test, train"):
        class_pool(table, Protocol(n_way=2, n_query=1, split="tset"), "birds")


def table_of_groups(*classes):
    labels = [f"c{number}" for number, groups in enumerate(classes) for _ in groups]
    return ClipTable.build([f"{n:02d}" for n in range(len(labels))], labels, list("".join(classes)))


@pytest.mark.parametrize(
    ("groups", "k_shot", "n_query", "possible"),
    [
        ("aaaa", 1, 1, False),
        ("aaab", 1, 1, True),
        ("aaab", 1, 3, True),  # the support is b
        ("aaab", 2, 1, True),  # the support is of a
        ("aaab", 2, 2, False),
        ("aabb", 1, 2, True),
        ("aabb", 1, 3, False),
        ("aabb", 3, 1, False),
        # Five shots fill a group of two and a group of three, which leaves the other group of two.
        ("aabbccc", 5, 2, True),
        ("aabbccc", 5, 3, False),
    ],
)
def test_groups_that_leave_a_class_no_queries_whatever_the_support_are_refused(groups, k_shot, n_query, possible):
    table = table_of_groups(groups, "pqrstuvw")
    protocol = Protocol(n_way=2, k_shot=k_shot, n_query=n_query, group_aware=True)
    if possible:
        class_pool(table, protocol)
    elif k_shot + n_query <= len(groups):
        with pytest.raises(
            UserError, match=r"class 'c0' has .* Lower --n-query or --shots, or leave --group-aware out"
        ):
            class_pool(table, protocol, "birds")


def test_clips_of_unknown_group_share_it_with_nobody():
    table = ClipTable.build(list("abcdef"), ["x"] * 3 + ["y"] * 3, ["", "", "s", "s", "", ""])
    pool = class_pool(table, Protocol(n_way=2, n_query=1, group_aware=True))
    numbers = dict(zip(pool.clips.tolist(), pool.group.tolist(), strict=True))
    assert numbers[2] == numbers[3]
    assert len(set(numbers.values())) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_way": 1}, "n_way is 1; it must be at least 2"),
        ({"k_shot": 0}, "k_shot is 0; it must be at least 1"),
        ({"n_query": 0}, "n_query is 0"),
        ({"n_episodes": 0}, "n_episodes is 0"),
        ({"n_episodes": 2**32}, "32-bit"),
        ({"n_way": 512}, "512-way"),
        ({"n_query": 70_000}, "more than this draws"),
        ({"k_shot": 5, "nested_shots": 1}, "nested_shots is 1, fewer than the 5 shots"),
    ],
)
def test_a_protocol_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        Protocol(**changes)


def test_a_way_of_deciding_queries_that_there_is_not_is_refused():
    # By our own message, or before it by the type checker that is switched on in tests.
    with pytest.raises((UserError, jaxtyping.TypeCheckError), match=r"choose vote, mean or one|query_segments"):
        Protocol(query_segments="all")


def test_the_draw_does_not_depend_on_how_queries_are_decided_but_the_result_does():
    vote, mean = Protocol(), Protocol(query_segments="mean")
    assert vote.draw_identity("d") == mean.draw_identity("d")
    assert vote.identity() != mean.identity()


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Protocol)])
def test_every_other_field_is_part_of_both_identities(field):
    values = {"split": "test", "min_clips": 20, "group_aware": True, "query_segments": "one", "nested_shots": 5}
    values |= {"support": Side("train"), "query": Side("test"), "support_from": "noisy", "all_labels": True}
    values |= {"every_query": True, "every_class": True, "mteb": "folds", "independent": True}
    # Some fields count beside another one only.
    beside = {
        "nested_shots": {"group_aware": True},
        "independent": {"mteb": "splits"},
        "total_queries": {"query_balance": 2},
    }
    plain = Protocol(**beside.get(field, {}))
    other = dataclasses.replace(plain, **{field: values.get(field, getattr(plain, field) if field in values else 7)})
    assert other.identity() != plain.identity()
    assert (other.draw_identity("d") != plain.draw_identity("d")) == (field not in ("query_segments", "all_labels"))


def test_shots_drawn_together_are_part_of_the_identity_only_where_groups_matter():
    assert Protocol(nested_shots=5).identity() == Protocol().identity() == Protocol(nested_shots=1).identity()
    aware = [Protocol(group_aware=True, nested_shots=n).identity() for n in (None, 1, 5)]
    assert aware[0] == aware[1] != aware[2]


def test_without_pools_of_their_own_the_identity_is_the_one_that_records_have_had_all_along():
    assert Protocol().draw_identity("d") == {
        "clip_table": "d", "n_way": 5, "k_shot": 1, "n_query": 15, "n_episodes": 10_000, "seed": 42, "split": None,
        "min_clips": None, "group_aware": False, "nested_shots": None,
    }  # fmt: skip
    assert Protocol().identity().keys() - Protocol().draw_identity("d").keys() == {"query_segments"}


def test_group_aware_draws_name_their_version_and_others_keep_the_identity_they_had():
    assert "group_aware_draws" not in Protocol().identity() | Protocol().draw_identity("d")
    aware = Protocol(group_aware=True)
    assert aware.identity()["group_aware_draws"] == aware.draw_identity("d")["group_aware_draws"] == 2


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"n_episodes": 50.0}, "n_episodes is '50.0'; it must be a whole number"),
        ({"seed": 1.0}, "seed is '1.0'; it must be a whole number"),
        ({"seed": np.float32(1)}, "seed is '1.0'"),
        ({"n_query": "15"}, "n_query is '15'"),
        ({"min_clips": 1.5}, r"min_clips is '1\.5'"),
        ({"shots": [1, 2.0]}, r"shots is '2\.0'"),
        ({"ways": "5"}, "ways is '5'"),
        ({"ways": []}, "ways has no values"),
        ({"shots": ()}, "shots has no values"),
    ],
)
def test_a_number_that_is_not_whole_is_refused_by_its_name(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        protocols(**{"ways": [5], "shots": [1]} | settings)


def test_numpys_whole_numbers_name_the_same_protocol_as_pythons():
    ours = protocols([5], [1, 5], n_query=15, n_episodes=100, seed=7, min_clips=20)
    theirs = protocols(
        np.int64(5),
        np.array([1, 5]),
        n_query=np.int8(15),
        n_episodes=np.uint32(100),
        seed=np.int64(7),
        min_clips=np.int16(20),
    )
    assert theirs == ours
    assert type(theirs[0].min_clips) is int
    assert protocols(np.array(5), np.array(1)) == protocols([5], [1])
    assert [one.identity() for one in theirs] == [one.identity() for one in ours]
    assert {type(value) for value in theirs[0].identity().values()} == {
        type(value) for value in ours[0].identity().values()
    }


def test_an_episodes_supports_and_queries_are_those_of_all_its_classes():
    protocol = Protocol(n_way=5, k_shot=3, n_query=7)
    assert (protocol.n_support, protocol.n_queries, protocol.drawn_per_class) == (15, 35, 10)
