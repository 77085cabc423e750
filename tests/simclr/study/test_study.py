"""Studies: which trainings they consist of, what is not repeated, what their tables say."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from jfewshot.errors import UserError
from jfewshot.simclr.config import STEPS, DataConfig, TrainConfig
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.study import encoders as encoders_module
from jfewshot.simclr.study.encoders import make_encoders
from jfewshot.simclr.study.plan import AUGMENTATIONS, Study, trainings
from jfewshot.simclr.study.table import as_markdown, compared
from jfewshot.training.config import OptimiserConfig, as_record


@pytest.fixture
def base(tmp_path):
    optimiser = OptimiserConfig("cosine", 1e-3, warmup_steps=5)
    return TrainConfig(DataConfig(tmp_path), tmp_path / "x", batch=16, steps=20, optimiser=optimiser)


def test_a_study_of_profiles_trains_each_with_every_seed_and_takes_the_untrained_one_from_the_first(base, tmp_path):
    planned = trainings(Study(tmp_path, seeds=(3, 4)), base, 100)
    assert [each.name for each in planned[:4]] == ["random-3", "speech_simclr-3", "speech_simclr_recon-3", "tera-3"]
    assert len(planned) == 8
    assert planned[0].untrained
    assert planned[0].config == planned[1].config
    assert [each.config.profile for each in planned[1:4]] == ["speech_simclr", "speech_simclr_recon", "tera"]
    assert {each.config.seed for each in planned[4:]} == {4}
    assert len({each.config.out for each in planned}) == 6


def test_an_ablation_switches_off_one_augmentation_at_a_time(base, tmp_path):
    planned = trainings(Study(tmp_path, kind="ablation", seeds=(0,)), base, 100)
    assert [each.row for each in planned] == ["random", "speech_simclr", *(f"no_{name}" for name in AUGMENTATIONS)]
    for name, each in zip(AUGMENTATIONS, planned[2:], strict=True):
        off = {other for other in AUGMENTATIONS if not getattr(each.config.augmentation, other)}
        assert off == {name}


def test_a_sweep_gives_every_batch_size_every_number_of_epochs(base, tmp_path):
    study = Study(tmp_path, kind="sweep", seeds=(0,), batches=(10, 25), epochs=(1, 8))
    found = {each.row: (each.config.batch, each.config.steps) for each in trainings(study, base, 100)[1:]}
    assert found == {
        "batch_10_epochs_1": (10, 10),
        "batch_10_epochs_8": (10, 80),
        "batch_25_epochs_1": (25, 4),
        "batch_25_epochs_8": (25, 32),
    }
    # The warm-up fits into the shortest of them.
    assert all(each.config.optimiser.warmup_steps < each.config.steps for each in trainings(study, base, 100))


def test_a_study_of_epochs_knows_its_steps(base, tmp_path):
    longer = dataclasses.replace(base, steps=STEPS, epochs=2.5, optimiser=OptimiserConfig())
    planned = trainings(Study(tmp_path, seeds=(0,)), longer, 100)
    # 250 utterances in batches of 16.
    assert {(each.config.steps, each.config.epochs, each.config.checkpoint_every) for each in planned} == {
        (15, None, 15)
    }
    sweep = trainings(Study(tmp_path, kind="sweep", seeds=(0,), batches=(10,), epochs=(1,)), longer, 100)
    assert {(each.config.steps, each.config.optimiser.warmup_steps) for each in sweep} == {(10, None)}


def test_a_finished_training_is_not_repeated_and_another_in_its_place_is_refused(base, tmp_path, monkeypatch):
    planned = trainings(Study(tmp_path, seeds=(0,)), base, 100)[1:2]
    done = []

    def train(config):
        config.out.mkdir(parents=True)
        (config.out / "config.json").write_text(json.dumps({"config": as_record(config)}, default=str))
        done.append(config.out.name)

    def export(options):
        options.out.mkdir(parents=True)
        (options.out / "encoder.json").write_text("{}")
        return options.out

    monkeypatch.setattr(encoders_module, "train", train)
    monkeypatch.setattr(encoders_module, "export", export)
    first = make_encoders(planned, tmp_path / "encoders")
    assert make_encoders(planned, tmp_path / "encoders") == first
    assert done == ["speech_simclr-0"]
    another = dataclasses.replace(planned[0], config=dataclasses.replace(planned[0].config, temperature=0.5))
    with pytest.raises(UserError, match=r"temperature: 0\.5 here, 0\.1 there"):
        make_encoders([another], tmp_path / "encoders")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"tests": ("fsdd_digits",)}, "DATASET=ROOT"), ({"seeds": (1, 1)}, "each once"), ({"seeds": ()}, "at least one")],
)
def test_impossible_studies_are_refused(tmp_path, change, complaint):
    with pytest.raises(UserError, match=complaint):
        Study(tmp_path, **change)


def test_differences_are_paired_by_episode_and_by_seed():
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 0.3, 400)  # what all share, and pairing removes
    accuracies = {("digits", 1, "fbank"): 0.5 + hard}
    shifts = {"a": (0.10, 0.12, 0.17), "b": (0.05, 0.05, 0.05)}
    for row, of_row in shifts.items():
        for seed, shift in enumerate(of_row):
            accuracies["digits", 1, f"{row}-{seed}"] = 0.5 + hard + shift + rng.normal(0, 0.01, 400)
    rows = {"fbank": ["fbank"], **{row: [f"{row}-{seed}" for seed in range(3)] for row in shifts}}
    records = compared(accuracies, rows, ["fbank", "b"])
    found = {record["row"]: record for record in records}
    a = found["a"]["differences"]["fbank"]
    own = np.array([accuracies["digits", 1, f"a-{seed}"] - accuracies["digits", 1, "fbank"] for seed in range(3)])
    assert a["mean"] == pytest.approx(own.mean())
    assert a["ci_episodes"] == pytest.approx(1.96 * own.mean(axis=0).std() / 20, rel=1e-3)
    low, high = stats.t.interval(0.95, 2, own.mean(), stats.sem(own.mean(axis=1)))
    assert a["ci_seeds"] == pytest.approx((high - low) / 2)
    # The episodes' own spread is in the accuracy's interval and not in the difference's.
    assert a["ci_episodes"] < found["a"]["ci_episodes"] / 10
    assert found["a"]["differences"]["b"]["ci_seeds"] == pytest.approx(a["ci_seeds"], rel=0.1)
    assert "b" not in found["b"]["differences"]
    assert found["fbank"]["ci_seeds"] is None
    text = as_markdown(records, ["fbank", "b"])
    assert f"| a | {100 * a['mean']:+.1f} ± {100 * a['ci_episodes']:.1f} / {100 * a['ci_seeds']:.1f} |" in text


def test_the_untrained_encoder_of_a_seed_is_the_same_for_every_profile(base):
    """So one of them stands for all."""
    from jfewshot.simclr.training.model import initial_params

    small = EncoderConfig(n_layers=1, d_model=8, d_ff=8, n_heads=1)
    base = dataclasses.replace(base, encoder=small, projection_hidden=4, projection_out=4)
    parts = [initial_params(dataclasses.replace(base, profile=name)) for name in ("tera", "speech_simclr_recon")]
    names = [name for name in parts[0] if name.startswith("encoder.")]
    assert len(names) > 10
    for name in names:
        np.testing.assert_array_equal(parts[0][name], parts[1][name])
