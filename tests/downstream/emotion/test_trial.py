"""One run: the test fold chooses nothing, a kill changes nothing, padding to other sizes changes nothing."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.downstream.emotion.config import Recipe
from jfewshot.downstream.emotion.training import Plan
from jfewshot.downstream.emotion.trial import Trial, run_trial
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.frames import Frames
from jfewshot.downstream.scaling import Scaling
from jfewshot.errors import UserError
from jfewshot.simclr.encoder import Encoder, EncoderConfig, to_arrays
from jfewshot.training import metrics as metrics_module
from jfewshot.training.checkpoints import steps_on_disk
from jfewshot.training.config import OptimiserConfig

SMALL = EncoderConfig(n_layers=1, d_model=8, d_ff=16, n_heads=2)
ADAM = OptimiserConfig("constant", 1e-2, 1, weight_decay=0.0)


@pytest.fixture
def trial(tmp_path):
    """60 utterances of three classes, told by the mean of their frames: 36 train, 12 choose, 12 test."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    parts = [
        (rng.standard_normal((int(rng.integers(4, 30)), 5)) + np.eye(3, 5)[label]).astype(np.float32)
        for label in labels
    ]
    fold = Fold("them", np.arange(36), np.arange(36, 48), np.arange(48, 60))
    return Trial(
        tmp_path / "run", [f"u{n}" for n in range(60)], Frames.joined(parts), labels, fold, 0,
        Plan(5, 3, SMALL, ADAM), Recipe(ADAM, 12, 4, 2), choose_by="loss",
    )  # fmt: skip


def light(trial, epochs=12):
    return dataclasses.replace(trial, plan=dataclasses.replace(trial.plan, head=8), recipe=Recipe(ADAM, 12, epochs, 3))


@pytest.mark.parametrize("choose_by", ["loss", "uar"])
def test_the_test_fold_chooses_nothing(trial, choose_by):
    trial = dataclasses.replace(light(trial), choose_by=choose_by)
    outcome = run_trial(trial)
    # The same run with other test utterances, of other lengths, with other labels.
    parts = [trial.frames.of(n) for n in range(48)]
    rng = np.random.default_rng(9)
    parts += [(50 + 9 * rng.standard_normal((int(rng.integers(1, 90)), 5))).astype(np.float32) for _ in range(12)]
    labels = trial.labels.copy()
    labels[48:] = (labels[48:] + 1) % 3
    other = run_trial(dataclasses.replace(trial, frames=Frames.joined(parts), labels=labels))
    assert other.steps == outcome.steps
    assert other.development == outcome.development  # to the last bit
    assert len(outcome.steps) == 3
    assert outcome.predicted.tolist() != other.predicted.tolist()


def test_what_can_be_learnt_is_learnt(trial):
    outcome = run_trial(light(trial, epochs=30))
    assert np.mean(outcome.predicted == trial.labels[48:]) > 0.6
    assert outcome.n_steps == 30 * 3
    assert outcome.development == sorted(outcome.development)  # losses, best first


@pytest.mark.slow  # four runs with checkpoints on disk, a transformer compiled twice: about 40 CPU-seconds
def test_a_killed_run_continues_to_the_same_outcome(trial, tmp_path, monkeypatch):
    undisturbed = dataclasses.replace(trial, folder=tmp_path / "undisturbed")
    expected = run_trial(undisturbed, keep_checkpoints=True)
    assert max(steps_on_disk(undisturbed.folder / "checkpoints")) == expected.n_steps == 12

    add = metrics_module.Metrics.add

    def killed(self, step, *rest):
        add(self, step, *rest)
        if step == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(metrics_module.Metrics, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        run_trial(trial)
    monkeypatch.undo()
    assert max(steps_on_disk(trial.folder / "checkpoints")) == 6
    outcome = run_trial(trial)
    assert (outcome.steps, outcome.development) == (expected.steps, expected.development)
    np.testing.assert_array_equal(outcome.predicted, expected.predicted)
    lines = [(folder / "metrics.jsonl").read_text() for folder in (trial.folder, undisturbed.folder)]
    assert lines[0] == lines[1]
    assert [json.loads(line)["step"] for line in lines[0].splitlines() if "validation" not in line] == list(
        range(1, 13)
    )
    assert not (trial.folder / "checkpoints").exists()

    # What stands there may be of another model.
    wider = dataclasses.replace(trial.plan, head=dataclasses.replace(SMALL, d_ff=24))
    with pytest.raises(
        UserError,
        match=r"is of another model: head\.transformer\.layers\.0\.intermediate\.bias is \(16,\) there, \(24,\) here",
    ):
        run_trial(dataclasses.replace(undisturbed, plan=wider))


@pytest.mark.slow  # compiles an encoder below the head: about 20 CPU-seconds
def test_a_fine_tuned_encoder_begins_with_its_weights_and_moves(trial, monkeypatch):
    config = EncoderConfig(n_mels=5, n_layers=1, d_model=8, d_ff=16, n_heads=2)
    weights = {name: jnp.asarray(value) for name, value in to_arrays(_encoder(config)).items()}
    plan = Plan(5, 3, 4, ADAM, encoder=config)
    tuned = dataclasses.replace(
        trial, plan=plan, encoder=weights, scaling=Scaling(jnp.zeros(5), jnp.ones(5)), recipe=Recipe(ADAM, 12, 1, 1)
    )
    seen = []
    from jfewshot.downstream.emotion import trial as module

    original = module.predict
    monkeypatch.setattr(module, "predict", lambda *given: (seen.append(given[3]), original(*given))[1])
    run_trial(tuned)
    name = "encoder.layers.0.query.kernel"
    moved = np.abs(np.asarray(seen[-1][name]) - np.asarray(weights["layers.0.query.kernel"]))
    assert 1e-4 < moved.max() < 0.2  # three steps of at most 0.01 and a little, from its own weights


def _encoder(config):
    from flax import nnx

    return Encoder(config, rngs=nnx.Rngs(5))


def test_too_few_utterances_for_a_batch_and_a_wild_rate_are_named(trial):
    with pytest.raises(UserError, match="36 utterances do not fill a batch of 64"):
        run_trial(dataclasses.replace(trial, recipe=Recipe(ADAM, 64, 1, 1)))
    wild = light(trial)
    optimiser = OptimiserConfig("constant", 1e38, 1, weight_decay=0.0, clip_norm=0.0)
    wild = dataclasses.replace(wild, plan=dataclasses.replace(wild.plan, optimiser=optimiser))
    with pytest.raises(UserError, match=r"not finite at step \d; its batch is u\d+.*lower --rate"):
        run_trial(wild)
