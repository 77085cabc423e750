"""Experiments: controls beside, records once, a report of what is there, and errors in one line."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from scipy import stats
from sklearn.metrics import recall_score

from jfewshot.downstream.emotion import experiment
from jfewshot.downstream.emotion.config import EmotionConfig
from jfewshot.downstream.emotion.experiment import run_experiment
from jfewshot.downstream.emotion.report import build_report
from jfewshot.errors import UserError
from jfewshot.reporting.speech_simclr import read_own_scores
from jfewshot.simclr.encoder import Encoder, EncoderConfig, to_arrays
from jfewshot.simclr.export import EncoderFolder, read_encoder, write_encoder
from jfewshot.simclr.features import FbankSettings


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
    scores = {(score.features, score.metric): score for score in read_own_scores(config.out)}
    assert f"{100 * scores['FBANK', 'UAR'].value:.1f} ± " in tables[0].rows[0][1].text
    assert scores["FBANK", "accuracy"].seeds == 2
    assert [row[0].text for row in tables[0].rows] == ["FBANK", "speech_simclr_small, random", "speech_simclr_small"]
    mine = [record for record in records if record["features"] == "FBANK"]
    pooled = []
    for seed in (0, 1):
        both = [record["test"] for record in mine if record["seed"] == seed]
        true, predicted = (np.concatenate([each[what] for each in both]) for what in ("true", "predicted"))
        pooled.append(recall_score(true, predicted, average="macro"))
    assert tables[0].rows[0][1].text.startswith(f"{100 * np.mean(pooled):.1f} ± ")
    assert all(len(record["curve"]) == 3 for record in records)
    by_seed = ", ".join(f"{100 * value:.1f}" for value in pooled)
    assert tables[0].rows[0][3].text == by_seed
    page = (config.out / "report" / "index.html").read_text()
    assert "Emotion recognition: EmoDB, light head" in page
    assert "none of them trained on or tested" in page
    assert (config.out / "report" / "figures" / "confusion-1.svg").exists()
    # Half a seed is said to be missing, and is not averaged.
    tables = build_report(records[:-1], config.out / "report", ("svg",))
    assert [row[3].text.count(",") for row in tables[0].rows].count(0) == 1
    assert "1 of 2 seeds have not run all folds yet" in (config.out / "report" / "index.html").read_text()


def exported(folder, name, step, seed):
    """An encoder as `jfewshot.simclr.export` writes it, of random weights."""
    shape = EncoderConfig(n_layers=1, d_model=8, d_ff=16, n_heads=2, prenet="conv1d", prenet_channels=4)
    weights = to_arrays(Encoder(shape, rngs=nnx.Rngs(seed)))
    told = EncoderFolder(
        name, shape, weights, FbankSettings(), np.zeros(80, np.float32), np.ones(80, np.float32),
        training={"checkpoints": [step]},
    )  # fmt: skip
    write_encoder(folder, told, replace=True)


def test_an_encoder_for_each_seed_is_one_row_and_one_exported_at_step_0_is_the_control(config, tmp_path):
    for seed in (0, 1):
        exported(tmp_path / f"mine-{seed}", f"mine-{seed}", 300, seed)
        exported(tmp_path / f"random-{seed}", f"random-{seed}", 0, 10 + seed)
    features = tuple(f"simclr:{tmp_path}/{name}-{{seed}}" for name in ("mine", "random"))
    config = dataclasses.replace(config, features=features, epochs=1)
    records = run_experiment(config)
    assert {(record["features"], record["kind"]) for record in records} == {
        ("FBANK", "fbank"), ("random", "random"), ("mine", "simclr"),
    }  # fmt: skip
    used = {
        record["seed"]: record["identity"]["features"]["weights"] for record in records if record["kind"] == "simclr"
    }
    assert used == {seed: read_encoder(tmp_path / f"mine-{seed}").revision for seed in (0, 1)}

    differences = build_report(records, config.out / "report", ("svg",), "mine")[1]
    assert list(differences.columns) == ["Features", "less FBANK", "less random", "less mine"]
    by_name = {name: _uars(records, name) for name in ("mine", "random")}
    difference = by_name["mine"] - by_name["random"]
    low, high = stats.t.interval(0.95, 1, difference.mean(), stats.sem(difference))
    cell = differences.rows[-1][2].text.replace("−", "-").removesuffix(" *")
    assert cell.startswith(f"{100 * difference.mean():+.1f} ± ")
    assert cell.endswith(f" / {50 * (high - low):.1f}")
    with pytest.raises(UserError, match="--baseline theirs: no finished features of that name; there are FBANK, "):
        build_report(records, config.out / "report", ("svg",), "theirs")

    # Another encoder in the same folder would be averaged with the first.
    exported(tmp_path / "mine-1", "mine-1", 300, 99)
    with pytest.raises(
        UserError, match=r"holds runs of another 'mine' \(seed 1\): export this one under another --name"
    ):
        run_experiment(config)


def _uars(records, name):
    found = []
    for seed in (0, 1):
        tests = [record["test"] for record in records if record["features"] == name and record["seed"] == seed]
        true, predicted = (np.concatenate([each[what] for each in tests]) for what in ("true", "predicted"))
        found.append(recall_score(true, predicted, average="macro"))
    return np.array(found)


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


@pytest.mark.slow  # three fresh processes: about a CPU-minute
def test_a_process_that_is_killed_anywhere_continues_to_the_same_records(speech, tmp_path):
    def start(out):
        given = [sys.executable, "-m", "jfewshot.downstream.emotion", "--dataset", "emodb", "--root", speech]
        given += ["--out", out, "--head", "light", "--features", "fbank", "--no-controls", "--batch", 12, "--width", 8]
        given += ["--formats", "svg"]
        return subprocess.Popen(
            list(map(str, given)), env=os.environ | {"JAX_PLATFORMS": "cpu"}, cwd=Path(__file__).parents[3],
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def records(out):
        return {path.name: json.loads(path.read_text())["test"] for path in (out / "records").glob("*.json")}

    killed = start(tmp_path / "killed")
    while killed.poll() is None and len(list((tmp_path / "killed" / "records").glob("*.json"))) < 3:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert 3 <= len(records(tmp_path / "killed")) < 12
    assert start(tmp_path / "killed").wait() == 0
    assert start(tmp_path / "whole").wait() == 0
    assert len(records(tmp_path / "whole")) == 12
    assert records(tmp_path / "killed") == records(tmp_path / "whole")


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
