import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.store import ClipTable

IDS = ["b", "a", "c/ä 1", 'd,"q"\nx']
CLASSES = ["crow", "rook", "crow", "jay, blue"]


def table(order=(0, 1, 2, 3), **changes):
    pick = lambda values: [values[i] for i in order]  # noqa: E731
    columns = {
        "clip_id": pick(IDS),
        "class_name": pick(CLASSES),
        "group": pick(["s1", "s1", "", "s2"]),
        "split": pick(["train", "test", "test", ""]),
        "first_segment": pick([0, 2, 3, 7]),
        "n_segments": pick([2, 1, 4, 1]),
    }
    return ClipTable.build(**(columns | changes))


def test_rows_are_sorted_by_clip_id_and_keep_their_columns_together():
    clips = table()
    assert clips.clip_id.tolist() == ["a", "b", "c/ä 1", 'd,"q"\nx']
    assert clips.class_name.tolist() == ["rook", "crow", "crow", "jay, blue"]
    assert clips.group.tolist() == ["s1", "s1", "", "s2"]
    assert clips.split.tolist() == ["test", "train", "test", ""]
    assert clips.first_segment.tolist() == [2, 0, 3, 7]
    assert clips.n_segments.tolist() == [1, 2, 4, 1]
    assert clips.n_rows == 8


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (1, 3, 0, 2)])
def test_the_digests_do_not_depend_on_the_order_of_rows(order):
    assert table(order).digest == table().digest
    assert table(order).segments_digest == table().segments_digest


@pytest.mark.parametrize("column", ["clip_id", "class_name", "group", "split"])
def test_the_digest_depends_on_ids_classes_groups_and_splits(column):
    values = {"clip_id": IDS, "class_name": CLASSES, "group": ["s1", "s1", "", "s2"], "split": ["train"] * 4}[column]
    assert table(**{column: [*values[:3], "other"]}).digest != table(**{column: values}).digest


def test_the_digest_does_not_depend_on_segments_but_the_segments_digest_does():
    other = table(first_segment=[0, 1, 2, 3], n_segments=[1, 1, 1, 1])
    assert other.digest == table().digest
    assert other.segments_digest != table().segments_digest


def test_text_that_moves_from_one_column_to_the_next_changes_the_digest():
    one = ClipTable.build(["a"], ["xy"], ["z"], [""])
    other = ClipTable.build(["a"], ["x"], ["yz"], [""])
    assert one.digest != other.digest


def test_a_table_comes_back_from_its_file_and_gives_the_same_bytes(tmp_path):
    table().write(tmp_path / "clips.csv")
    back = ClipTable.read(tmp_path / "clips.csv")
    back.write(tmp_path / "again.csv")
    assert back.digest == table().digest
    assert back.segments_digest == table().segments_digest
    assert (tmp_path / "clips.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()


def test_segments_follow_each_other_in_the_order_given_where_no_rows_are_named():
    clips = ClipTable.build(["z", "a"], ["x", "y"], n_segments=[3, 2])
    assert clips.clip_id.tolist() == ["a", "z"]
    assert clips.first_segment.tolist() == [3, 0]


def test_a_selection_keeps_the_rows_of_its_clips():
    some = table().select(np.array([False, True, True, False]))
    assert some.clip_id.tolist() == ["b", "c/ä 1"]
    assert some.first_segment.tolist() == [0, 3]
    with pytest.raises(UserError, match="no clips are left"):
        table().select(np.zeros(4, bool))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip_id": ["a", "a", "b", "c"]}, "'a' is there more than once"),
        ({"clip_id": ["a", "", "b", "c"]}, "a clip_id is empty"),
        ({"clip_id": ["a\0", "a", "b", "c"]}, "NUL"),
        ({"class_name": ["x", "", "y", "z"]}, "clip 'a' has no class"),
        ({"class_name": ["x", "y"]}, "2 values of class_name for 4 clips"),
        ({"n_segments": [2, 0, 4, 1]}, "clip 'a' has no segments"),
        ({"n_segments": [3, 1, 4, 1]}, "two clips share a segment"),
        ({"first_segment": [-1, 2, 3, 7]}, "share a segment|below zero|negative"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        table(**changes)


def test_an_empty_table_is_refused():
    with pytest.raises(UserError, match="no clips"):
        ClipTable.build([], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip_id,first_segment,n_segments\na,0,1\n", "no column 'class'"),
        ("clip_id,class,group,split,first_segment,n_segments\na,x,,,zero,1\n", "whole numbers"),
        ("clip_id,class,group,split,first_segment,n_segments\na,x,,,0\n", "line 2 has 5 fields, the header has 6"),
        ("clip_id,class,group,split,first_segment,n_segments\n", "no clips"),
        ("", "no clips|no column"),
        ('clip_id,class,group,split,first_segment,n_segments\n"a,x,,,0,1\n', "line 2 cannot be read"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "clips.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        ClipTable.read(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "clips.csv").write_bytes(b"clip_id,class,first_segment,n_segments\n\xff,x,0,1\n")
    with pytest.raises(UserError, match="UTF-8"):
        ClipTable.read(tmp_path / "clips.csv")


def test_group_and_split_may_be_left_out_of_the_file(tmp_path):
    (tmp_path / "clips.csv").write_text("clip_id,class,first_segment,n_segments\na,x,0,1\n")
    clips = ClipTable.read(tmp_path / "clips.csv")
    assert clips.group.tolist() == [""]
    assert clips.split.tolist() == [""]
