"""Experiments: controls beside, records once, a report of what is there, and errors in one line."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import recall_score

from jfewshot.downstream.emotion import experiment
from jfewshot.downstream.emotion.config import EmotionConfig
from jfewshot.downstream.emotion.experiment import run_experiment
from jfewshot.downstream.emotion.report import build_report
from jfewshot.errors import UserError


@pytest.fixture
def config(speech, tmp_path):
    return EmotionConfig(
        root=speech,
        dataset="emodb",
        out=tmp_path / "out",
        head="light",
        seeds=2,
        epochs=3,
        batch=12,
        width=8,
        devices=1,
    )


def test_controls_run_beside_and_nothing_runs_twice(config, monkeypatch):
    records = run_experiment(config)
    assert {record["features"] for record in records} == {"FBANK", "speech_simclr_small, random", "speech_simclr_small"}
    assert len(records) == 3 * 2 * 4
    for record in records:
        test = record["test"]
        np.testing.assert_allclose(
            record["uar"], recall_score(test["true"], test["predicted"], average="macro"), rtol=1e-12
        )
        assert set(test["speakers"]) == {record["fold"]["tests"]}
    runs = []
    original = experiment.run_trial
    monkeypatch.setattr(experiment, "run_trial", lambda *given: (runs.append(given), original(*given))[1])
    assert run_experiment(config) == records
    assert not runs
    (config.out / "records" / f"{records[0]['key']}.json").unlink()
    again = run_experiment(dataclasses.replace(config, seeds=2))
    assert len(runs) == 1
    assert [record["test"] for record in again] == [record["test"] for record in records]
    with pytest.raises(UserError, match="epochs: 5 here, 3 there"):
        run_experiment(dataclasses.replace(config, epochs=5))

    tables = build_report(records, config.out / "report", ("svg",))
    assert [row[0].text for row in tables[0].rows] == ["FBANK", "speech_simclr_small, random", "speech_simclr_small"]
    mine = [record for record in records if record["features"] == "FBANK"]
    pooled = []
    for seed in (0, 1):
        both = [record["test"] for record in mine if record["seed"] == seed]
        true, predicted = (np.concatenate([each[what] for each in both]) for what in ("true", "predicted"))
        pooled.append(recall_score(true, predicted, average="macro"))
    assert tables[0].rows[0][1].text.startswith(f"{100 * np.mean(pooled):.1f} ± ")
    page = (config.out / "report" / "index.html").read_text()
    assert "Emotion recognition: EmoDB, light head" in page
    assert "none of them trained on or tested" in page
    assert (config.out / "report" / "figures" / "confusion-1.svg").exists()
    # Half a seed is said to be missing, and is not averaged.
    tables = build_report(records[:-1], config.out / "report", ("svg",))
    assert tables[0].rows[-1][-1].text in ("1", "2")
    assert "1 of 2 seeds have not run all folds yet" in (config.out / "report" / "index.html").read_text()


def test_an_unusable_utterance_stops_the_experiment_or_is_left_out(config, speech, tmp_path):
    import shutil

    root = tmp_path / "damaged"
    shutil.copytree(speech, root)
    (root / "wav" / "03a00Wa.wav").write_bytes(b"RIFF, but no more")
    broken = dataclasses.replace(config, root=root, features=("fbank",), controls=False, seeds=1, epochs=1)
    with pytest.raises(UserError, match=r"wav/03a00Wa\.wav: cannot be decoded .*1 such utterances.*--on-error skip"):
        run_experiment(broken)
    records = run_experiment(dataclasses.replace(broken, on_error="skip"))
    tested = [name for record in records for name in record["test"]["utterances"]]
    assert len(tested) == len(set(tested)) == 71
    named = dataclasses.replace(broken, out=tmp_path / "named", leave_out=("wav/03a00Wa.wav",))
    assert [record["test"] for record in run_experiment(named)] == [record["test"] for record in records]
    with pytest.raises(UserError, match="--leave-out nobody: EmoDB has no such utterance"):
        run_experiment(dataclasses.replace(broken, leave_out=("nobody",)))


def test_two_encoders_of_one_name_are_refused(config):
    with pytest.raises(UserError, match="two features are called 'speech_simclr_small'"):
        run_experiment(dataclasses.replace(config, features=("simclr:speech_simclr_small",) * 2))


@pytest.mark.slow  # compiles an encoder's gradient for several padded sizes: about a CPU-minute
def test_an_encoder_is_fine_tuned_and_says_so(config):
    records = run_experiment(dataclasses.replace(config, finetune=True, seeds=1, epochs=1, n_folds=3))
    assert {record["features"] for record in records} == {
        "FBANK", "speech_simclr_small, random, fine-tuned", "speech_simclr_small, fine-tuned",
    }  # fmt: skip
    assert not any((config.out / "runs").glob("*/checkpoints"))


@pytest.mark.slow  # a fresh process that compiles the paper's kind of head: about a CPU-minute
def test_the_command_line_goes_from_audio_to_a_page_and_names_what_is_wrong(speech, tmp_path):
    def command(*flags):
        given = [sys.executable, "-m", "jfewshot.downstream.emotion", "--dataset", "emodb", "--root", speech, *flags]
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}
        return subprocess.run(
            list(map(str, given)),
            env=environment,
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=600,
        )

    small = [
        "--transformer.n-layers",
        1,
        "--transformer.d-model",
        8,
        "--transformer.d-ff",
        16,
        "--transformer.n-heads",
        2,
    ]
    done = command("--out", tmp_path / "out", "--seeds", 1, "--epochs", 1, "--batch", 12, "--features", "fbank", *small)
    assert done.returncode == 0, done.stderr
    assert "Emotion recognition: EmoDB, paper head" in done.stdout
    assert (tmp_path / "out" / "report" / "index.html").exists()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["config"]["transformer"]["n_layers"] == 1
    wrong = command("--out", tmp_path / "out2", "--features", "mfcc")
    assert wrong.returncode == 2
    assert wrong.stderr.strip().splitlines()[-1].startswith("error: features 'mfcc' are not known")
