"""One run: the test utterances choose nothing, and a kill changes nothing."""

import dataclasses

import numpy as np
import pytest

from jfewshot.downstream.folds import Fold
from jfewshot.downstream.frames import Frames
from jfewshot.downstream.phones.batches import LabelledFrames
from jfewshot.downstream.phones.config import PhonesConfig
from jfewshot.downstream.phones.phone_sets import own_phones
from jfewshot.downstream.phones.segments import FrameTimes, Segments
from jfewshot.downstream.phones.training import Plan
from jfewshot.downstream.phones.trial import Trial, frame_accuracy, run_trial
from jfewshot.training import metrics as metrics_module
from jfewshot.training.checkpoints import steps_on_disk

PHONES = own_phones({"a", "b", "c"})
TIMES = FrameTimes(200.0, 160.0)


def spoken(rng, n_frames, phones="abc"):
    """Frames whose phone is told by their mean, and where the phones are: five frames each."""
    said = rng.choice(list(phones), -(-n_frames // 5))
    begin = 800.0 * np.arange(len(said))
    segments = Segments(begin, begin + 800.0, tuple(said.tolist()))
    labels = segments.labels_at(TIMES.middles(n_frames), PHONES.numbers)
    return (rng.standard_normal((n_frames, 3)) + 3.0 * np.eye(3)[labels]).astype(np.float32), segments, labels


def trial_of(parts, folder, hidden=0, **settings):
    frames, segments, labels = zip(*parts, strict=True)
    config = PhonesConfig(folder, batch=4, epochs=4, rate=0.2, average_best=2, buckets=1, **settings)
    fold = Fold("them", np.arange(8), np.arange(8, 12), np.arange(12, 16))
    return Trial(
        folder / "run", [f"u{n}" for n in range(16)], segments, PHONES, LabelledFrames(Frames.joined(frames), labels),
        TIMES, fold, 0, Plan(3, 3, hidden), config,
    )  # fmt: skip


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return [spoken(rng, int(rng.integers(10, 20))) for _ in range(16)]


def test_the_test_utterances_choose_nothing(parts, tmp_path):
    trial = trial_of(parts, tmp_path)
    outcome = run_trial(trial)
    true, predicted = np.concatenate(outcome.true), np.concatenate(outcome.predicted)
    assert [len(each) for each in outcome.predicted] == [
        len(trial.segments[n].scored_instants()) for n in range(12, 16)
    ]
    assert np.mean(true == predicted) > 0.7  # what can be learnt is learnt; guessing gives a third
    assert frame_accuracy(true, predicted, PHONES.folded) == np.mean(true == predicted)
    assert len(outcome.curve) == 4
    assert max(outcome.curve, key=lambda each: each[1])[1] == outcome.development[0]
    # The same run with other test utterances, whose phones are told in another way.
    rng = np.random.default_rng(9)
    others = [(each[0][:, ::-1].copy(), *each[1:]) for each in (spoken(rng, 13) for _ in range(4))]
    other = run_trial(trial_of(parts[:12] + others, tmp_path / "other"))
    assert (other.steps, other.development) == (outcome.steps, outcome.development)  # to the last bit
    assert np.mean(np.concatenate(other.true) == np.concatenate(other.predicted)) < 0.6


def test_what_has_no_label_and_what_is_folded_is_scored_so():
    folded = np.array([0, 0, 1])
    true, predicted = np.array([0, 1, 2, -1, 2]), np.array([1, 0, 2, 2, 0])
    assert frame_accuracy(true, predicted, folded) == 0.75
    assert np.isnan(frame_accuracy(true[3:4], predicted[3:4], folded))


@pytest.mark.slow  # checkpoints on disk, three runs
def test_a_killed_run_continues_to_the_same_outcome(parts, tmp_path, monkeypatch):
    undisturbed = trial_of(parts, tmp_path / "undisturbed", hidden=8)
    expected = run_trial(undisturbed, keep_checkpoints=True)
    assert max(steps_on_disk(undisturbed.folder / "checkpoints")) == expected.n_steps == 8
    add = metrics_module.Metrics.add

    def killed(self, step, *rest):
        add(self, step, *rest)
        if step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(metrics_module.Metrics, "add", killed)
    trial = dataclasses.replace(undisturbed, folder=tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        run_trial(trial)
    monkeypatch.undo()
    assert max(steps_on_disk(trial.folder / "checkpoints")) == 4
    outcome = run_trial(trial)
    assert (outcome.steps, outcome.development) == (expected.steps, expected.development)
    for one, other in zip(outcome.predicted, expected.predicted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (trial.folder / "metrics.jsonl").read_text() == (undisturbed.folder / "metrics.jsonl").read_text()
    assert not (trial.folder / "checkpoints").exists()
