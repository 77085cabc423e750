import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.labelling.splits import split_repeatedly
from tests.synthetic_stores import clip_table


def test_groups_stay_together_and_every_clip_is_on_one_side():
    table = clip_table(sizes=(12, 12, 12), groups_of=3)
    found = split_repeatedly(table, 6, 0.4, 7, True, "birds")
    for pool, in_pool, held, in_held in zip(*found, strict=True):
        mine, theirs = pool[in_pool], held[in_held]
        assert sorted([*mine, *theirs]) == list(range(len(table)))
        assert not set(table.group[mine]) & set(table.group[theirs])
        # Groups are taken until the share is reached: by less than a group too many.
        assert (
            0 <= len(theirs) - 0.4 * len(table) < np.bincount(np.unique(table.group, return_inverse=True)[1]).max() + 1
        )
    orders = {tuple(row) for row in found.pool.tolist()}
    assert len(orders) == 6
    again = split_repeatedly(table, 3, 0.4, 7, True, "birds")
    # A repetition is the same whatever their number; padding goes to the longest.
    for number in range(3):
        assert again.pool[number][again.in_pool[number]].tolist() == found.pool[number][found.in_pool[number]].tolist()
    other = split_repeatedly(table, 3, 0.4, 8, True, "birds")
    assert other.pool.tolist() != again.pool.tolist()


def test_without_groups_the_share_is_met_exactly_and_a_class_of_one_group_is_refused():
    table = clip_table(sizes=(10, 10))
    found = split_repeatedly(table, 2, 0.25, 0, False, "birds")
    assert found.in_held_out.sum(1).tolist() == [5, 5]
    single = clip_table(sizes=(10, 10), groups_of=10)
    with pytest.raises(UserError, match=r"are of one group, so the class cannot .* --no-group-aware"):
        split_repeatedly(single, 2, 0.25, 0, True, "birds")
