"""Clips that look mislabelled, and classes that are confused, in `jfewshot try`."""

import types

import numpy as np
import pytest

from extraction.trying import page
from extraction.trying.suspects import Suspect, agreed, confused, find_suspects


def episodes(n_episodes, n_classes, n_per_class, n_way, k_shot, n_query, seed=0):
    rng = np.random.default_rng(seed)
    clips = np.empty((n_episodes, n_way, k_shot + n_query), np.int64)
    for episode in range(n_episodes):
        for slot, label in enumerate(rng.choice(n_classes, n_way, replace=False)):
            clips[episode, slot] = label * n_per_class + rng.choice(n_per_class, k_shot + n_query, replace=False)
    return clips


def test_a_mislabelled_clip_is_found_and_named():
    n_classes, n_per_class, n_way, n_query = 6, 10, 4, 3
    clips = episodes(600, n_classes, n_per_class, n_way, 1, n_query)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    true = labels.copy()
    true[7] = 4  # filed under class 0, sounds like class 4
    slots = labels[clips[:, :, 0]]
    queries = clips[:, :, 1:].reshape(len(clips), -1)
    own = np.repeat(np.arange(n_way), n_query)
    match = slots[:, None, :] == true[queries][:, :, None]
    predicted = np.where(match.any(axis=2), match.argmax(axis=2), (own + 1) % n_way).astype(np.int8)
    draws = {
        "clips": clips,
        "class": np.array([f"k{label}" for label in labels]),
        "clip_id": np.array([f"clip{number}" for number in range(len(labels))]),
    }
    (suspect,) = find_suspects(predicted, draws, {"n_way": n_way, "k_shot": 1})
    assert (suspect.clip_id, suspect.label, suspect.taken_for) == ("clip7", "k0", "k4")
    assert suspect.taken == 1.0
    assert suspect.right < 0.25
    # Counted by hand: of the episodes with the clip as a query and class 4 beside it, all give it to class 4.
    assert suspect.class_right == pytest.approx(1 - 1 / n_per_class, abs=0.05)


def test_a_clip_is_suspicious_to_most_encoders_or_not_at_all():
    def suspect(clip, like, taken):
        return Suspect(clip, "own", like, taken, 0.1, 0.8)

    found = [[suspect("a", "x", 0.9), suspect("b", "x", 0.9)], [suspect("a", "x", 0.7), suspect("b", "y", 0.9)], []]
    assert agreed(found) == [suspect("a", "x", 0.9)]
    assert agreed(found[:1]) == found[0]  # a single encoder has nobody to agree with
    assert agreed([]) == []


def test_the_sentence_on_confusion_names_the_labels_as_a_whole_number(monkeypatch):
    monkeypatch.setattr(page, "shots_of", lambda board: 5.0)
    one = types.SimpleNamespace(confusion=np.array([[0.7, 0.3], [0.1, 0.9]]), class_names=("a", "b"))
    analysis = types.SimpleNamespace(board=types.SimpleNamespace(upstreams=("MFCC",)), paired=(one,))
    (said,) = page.clips_points(analysis, types.SimpleNamespace(main=None), [])
    assert said.startswith(
        "Most confused by MFCC (labels per class: 5), of the clips in episodes with both classes: 'a' is"
    )


def test_the_classes_that_are_confused_most_come_first():
    confusion = np.array([[0.9, 0.1, 0.0], [0.3, 0.7, np.nan], [0.02, 0.0, 0.98]])
    assert confused(confusion, ["a", "b", "c"]) == [("b", "a", 0.3), ("a", "b", 0.1)]
