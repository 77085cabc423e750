"""mteb's experiments against what mteb itself drew (tests/doors/driving_mteb.py wrote the fixture), and independent ones."""

import dataclasses
import json

import numpy as np
import pytest

from jfewshot.episodes.mteb_draws import experiments, list_experiments, order_of
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.resolving import resolved
from jfewshot.episodes.sides import Side
from jfewshot.errors import UserError
from jfewshot.store.clips import ClipTable
from tests.doors.driving_mteb import FIXTURE, SIZES, is_test, small_dataset


def table(labels, splits=None):
    """Clips whose ids sort in another order than that of the dataset."""
    ids = [f"clip {number * 7919 % 1000:03}" for number in range(len(labels))]
    names = [f"class {label}" for label in labels]
    return ClipTable.build(ids, names, split=splits)


def mtebs(n_episodes=None, **settings):
    settings = {"seed": 42, "split": None, "support": None, "query": None} | settings
    return Protocol.of_mteb(n_episodes, **settings)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("form", ["splits", "folds"])
def test_draws_are_mtebs_index_by_index(name, form):
    labels, _ = small_dataset(name)
    test = is_test(labels)
    clips = table(labels, np.where(test, "test", "train") if form == "splits" else None)
    protocol = resolved(mtebs(), clips, "d")
    assert (protocol.mteb, protocol.n_way) == (form, len(SIZES[name]))
    row_number = np.argsort(order_of(clips))
    theirs = json.loads(FIXTURE.read_text())[f"{name}-{form}"]
    found = list_experiments(clips, protocol, "d")
    assert len(found) == protocol.n_episodes == len(theirs["support"])
    for ours, support, predicted in zip(found, theirs["support"], theirs["predicted"], strict=True):
        query = row_number[ours.query]
        trained_on = np.flatnonzero(~test) if form == "splits" else np.setdiff1d(np.arange(len(labels)), query)
        assert row_number[ours.support].tolist() == trained_on[support].tolist()
        assert len(query) == len(predicted)
        assert (query == (np.flatnonzero(test) if form == "splits" else np.sort(query))).all()


def test_arrays_hold_the_lists():
    labels, _ = small_dataset("many")
    clips = table(labels)
    protocol = resolved(mtebs(), clips, "d")
    drawn = experiments(clips, protocol, "d")
    assert drawn.clips.shape == (5, protocol.n_way, 8 + protocol.n_query)
    for number, one in enumerate(drawn.listed):
        for rows, count, first in ((one.support, drawn.support_count, 0), (one.query, drawn.query_count, 8)):
            kept = [drawn.clips[number, c, first : first + count[number, c]] for c in range(protocol.n_way)]
            assert sorted(np.concatenate(kept).tolist()) == sorted(rows.tolist())
    assert (clips.class_number[drawn.clips] == np.arange(protocol.n_way)[:, None]).all()
    assert drawn.support_count.max() == 8
    assert (drawn.support_count[:, 5] <= 3).all()  # a class of three clips gives what it has


def test_independent_experiments_are_uniform_and_do_not_depend_on_the_order_of_extraction():
    labels = np.repeat([0, 1, 2], [20, 12, 5])
    clips, turned = table(labels), table(labels[::-1])
    turned = dataclasses.replace(clips, first_segment=clips.first_segment[::-1].copy())
    protocol = resolved(mtebs(1500), clips, "d")
    assert protocol.n_episodes == 1500
    found = list_experiments(clips, protocol, "d")
    assert all(
        (a.support == b.support).all() for a, b in zip(found, list_experiments(turned, protocol, "d"), strict=True)
    )
    times, asked = np.zeros(len(clips)), np.zeros(len(clips))
    for one in found:
        assert not set(one.support) & set(one.query)
        times[one.support] += 1
        asked[one.query] += 1
    # Each clip is a query in one fold of five, that is 300 times exactly.
    assert (asked == 300).all()
    # A class of 20 has 8 supports among its clips: 0.4 each, five standard deviations are 0.063.
    assert np.abs(times[clips.class_number == 0] / 1500 - 0.4).max() < 0.063
    assert list_experiments(clips, dataclasses.replace(protocol, n_episodes=7), "d")[6].support.tolist() == (
        found[6].support.tolist()
    )


def test_old_identities_do_not_mention_mteb():
    assert "mteb" not in Protocol().identity()
    assert "independent" not in Protocol().identity()
    assert mtebs().identity()["mteb"] == "either"


REFUSED = {
    "few clips": (lambda: resolved(mtebs(), table([0, 1, 0]), "d"), "d has 3 clips"),
    "one class": (lambda: resolved(mtebs(), table([0] * 20), "d"), "of one class"),
    "seed": (lambda: resolved(mtebs(seed=-1), table([0, 1] * 10), "d"), "--seed is -1"),
    "one side": (lambda: mtebs(support=Side("dev")), "needs both"),
    "one split twice": (lambda: mtebs(support=Side("a"), query=Side("a")), "are both a,.*give --split a"),
    "two forms": (lambda: mtebs(split="test", support=Side("a"), query=Side("b")), "choose one"),
    "no shared class": (
        lambda: resolved(mtebs(), table([0, 1, 2, 3] * 5, ["train", "train", "test", "test"] * 5), "d"),
        "no class has clips in both of the splits 'train' and 'test'.*--split test",
    ),
    "split": (lambda: resolved(mtebs(split="dev"), table([0, 1] * 10), "d"), "no clips in split 'dev'|name no splits"),
}


def test_classes_without_training_clips_are_named(caplog):
    clips = table([0, 1, 0, 1, 2] * 5, ["train", "train", "test", "test", "test"] * 5)
    for _ in range(2):
        assert resolved(mtebs(), clips, "d").n_way == 3
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("d: 1 of 3 classes of the split 'test' have no clip in the split 'train'")
    assert said.endswith("class 2")


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_named(what):
    work, message = REFUSED[what]
    with pytest.raises(UserError, match=message):
        work()
