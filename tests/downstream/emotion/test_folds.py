"""Folds: groups stay whole, everybody is tested once, and nobody is on two sides."""

from pathlib import Path

import numpy as np
import pytest

from jfewshot.downstream.emotion.datasets import EmotionData, Utterance
from jfewshot.downstream.emotion.folds import make_folds
from jfewshot.errors import UserError


def data(n_groups=12, per_group=10, n_folds=None):
    rows = [
        Utterance(f"{g:02d}/{k}", Path(), "ab"[k % 2], f"g{g:02d}", f"g{g:02d}")
        for g in range(n_groups)
        for k in range(per_group + g % 3)
    ]
    return EmotionData("d", "D", tuple(rows), n_folds=n_folds)


@pytest.mark.parametrize(("n_groups", "n_folds", "expected"), [(5, None, 5), (12, None, 5), (12, 4, 4), (10, None, 10)])
def test_groups_stay_whole_and_everybody_is_tested_once(n_groups, n_folds, expected):
    given = data(n_groups)
    groups = np.array([each.group for each in given.utterances])
    folds = make_folds(given, n_folds)
    assert len(folds) == expected
    tested = np.concatenate([fold.test for fold in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(groups)))
    for fold in folds:
        sides = [set(groups[part].tolist()) for part in (fold.training, fold.development, fold.test)]
        assert all(sides)
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]
        assert len(fold.training) + len(fold.development) + len(fold.test) == len(groups)
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= 12  # a group, at most


def test_sessions_test_in_order_and_the_next_one_chooses():
    given = data(5)
    folds = make_folds(given)
    assert [fold.name for fold in folds] == ["g00", "g01", "g02", "g03", "g04"]
    groups = np.array([each.group for each in given.utterances])
    assert [groups[fold.development[0]] for fold in folds] == ["g01", "g02", "g03", "g04", "g00"]


def test_a_random_fifth_of_the_rest_chooses_as_in_s3prl():
    given = data(5)
    groups = np.array([each.group for each in given.utterances])
    for fold in make_folds(given, development="random20"):
        rest = len(groups) - len(fold.test)
        assert len(fold.development) == round(0.2 * rest)
        assert not set(fold.development.tolist()) & set(fold.training.tolist())
        assert not set(groups[fold.test].tolist()) & set(groups[fold.development].tolist())
        assert set(groups[fold.development].tolist()) & set(groups[fold.training].tolist())


def test_folds_of_one_s_own_name_unknown_and_forgotten_groups(tmp_path):
    given, table = data(4), tmp_path / "folds.csv"
    table.write_text("group,fold\ng00,x\ng01,x\ng02,y\ng03,z\n")
    folds = make_folds(given, assignment=table)
    assert [fold.name for fold in folds] == ["g00, g01", "g02", "g03"]
    table.write_text("group,fold\ng00,x\ng01,x\ng02,y\ng03,z\nzoe,z\n")
    with pytest.raises(UserError, match="fold z has the speaker 'zoe', of which D has no utterance"):
        make_folds(given, assignment=table)
    table.write_text("group,fold\ng00,x\ng01,x\ng02,y\n")
    with pytest.raises(UserError, match="puts the speaker 'g03' of D in no fold"):
        make_folds(given, assignment=table)


def test_folds_that_cannot_train_every_class_or_are_too_few_are_refused():
    with pytest.raises(UserError, match="D has 4 speakers; give 2 to 4"):
        make_folds(data(4), 7)
    with pytest.raises(UserError, match="at least 3 are needed"):
        make_folds(data(4), 2)
    rows = [*data(4).utterances, Utterance("rare", Path(), "c", "g00", "g00")]
    with pytest.raises(UserError, match="tests g00 has no 'c' to train on"):
        make_folds(EmotionData("d", "D", tuple(rows)))
