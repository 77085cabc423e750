"""The comparison of recipes: their flags are options of today, and what scores them is computed as described."""

import json

import numpy as np
import pytest

from jfewshot.errors import UserError
from studies.simclr_development import midi_of
from studies.simclr_readouts import SHOTS, TASKS, score, whiten
from studies.simclr_recipes import RECIPES, configuration, write_scores
from studies.simclr_views import score as view_score


@pytest.mark.parametrize("recipe", ["shipped", "mild_recon", "quiet", "soft"])
def test_the_flags_of_a_recipe_are_options_of_pretraining(recipe, tmp_path):
    config = configuration(recipe, 3, 300, tmp_path, tmp_path / "out")
    assert (config.seed, config.steps, config.encoder.d_model) == (3, 300, 128)
    assert config.weights == (1.0, 1.0 if recipe == "mild_recon" else 0.0)
    assert config.temperature == (0.05 if recipe in ("quiet", "soft") else 0.1)
    assert config.augmentation.may("noise") == (recipe != "quiet")


def test_a_recipe_that_does_not_exist_is_refused_with_those_that_do(tmp_path):
    with pytest.raises(UserError, match=f"there is no recipe 'loud'; use one of untrained, {next(iter(RECIPES))}, "):
        configuration("loud", 0, 300, tmp_path, tmp_path)


def test_the_score_is_half_words_and_a_quarter_each_of_sounds_and_voices():
    worth = {"words": 40.0, "sounds": 60.0, "voices": 20.0}
    accuracy = {
        readout: {task: {str(shots): worth[kind] + extra for shots in SHOTS} for task, kind in TASKS.items()}
        for readout, extra in (("B", 0.0), ("C", 10.0), ("A", 99.0))
    }
    assert score(accuracy) == pytest.approx(0.5 * 40 + 0.25 * 60 + 0.25 * 20 + 10 / 2)


def test_scores_of_other_trainings_are_kept_with_their_provenance(tmp_path):
    def record(recipe, steps, score):
        return {"recipe": recipe, "seed": 0, "steps": steps, "score": score}

    path = tmp_path / "scores.json"
    earlier = {"provenance": {"command": "earlier"}, "recipes": [record("quiet", 300, 66.7), record("soft", 300, 1.0)]}
    path.write_text(json.dumps(earlier))
    write_scores(path, [record("soft", 300, 63.9), record("soft", 3000, 70.0)])
    found = json.loads(path.read_text())
    assert [(one["recipe"], one["steps"], one["score"]) for one in found["recipes"]] == [
        ("soft", 3000, 70.0),
        ("quiet", 300, 66.7),
        ("soft", 300, 63.9),
    ]
    assert found["provenance"].keys() == {"first comparison", "soft-0-300", "soft-0-3000"}
    assert found["provenance"]["first comparison"] == {"command": "earlier"}


def test_whitening_by_other_clips_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    background = rng.standard_normal((200, 3)) @ np.diag([5.0, 1.0, 0.1]) + 2.0
    clips = rng.standard_normal((4, 3))
    covariance = (background - background.mean(0)).T @ (background - background.mean(0)) / 200
    values, vectors = np.linalg.eigh(covariance + np.trace(covariance) / 3 * np.eye(3))
    expected = (clips - background.mean(0)) @ vectors @ np.diag(values**-0.5) @ vectors.T
    np.testing.assert_allclose(whiten(clips, background), expected, atol=1e-5)


def test_notes_are_written_as_midi_says():
    # One note of half a second, pitch 60, velocity 100, by instrument 40, in a file that ends two seconds after its start.
    header = bytes.fromhex("4d546864 00000006 0000 0001 01e0")
    events = bytes.fromhex("00 c028  00 903c64  8360 803c00  8b20 ff2f00")
    assert midi_of(40, [(60, 100, 0.5)]) == header + b"MTrk" + len(events).to_bytes(4, "big") + events


def test_the_default_view_is_chosen_by_words_sounds_and_voices_in_the_same_shares():
    worth = {"words": 40.0, "sounds": 60.0, "voices": 20.0}
    accuracy = {
        "last.mean": {task: {str(shots): worth[kind] + shots for shots in SHOTS} for task, kind in TASKS.items()}
    }
    assert view_score(accuracy, "last.mean") == pytest.approx(0.5 * 40 + 0.25 * 60 + 0.25 * 20 + 3)
