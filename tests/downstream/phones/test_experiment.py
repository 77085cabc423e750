"""Experiments on a made TIMIT: controls beside, records once, a report of what is there, and errors in one line."""

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

from jfewshot.downstream.phones import experiment
from jfewshot.downstream.phones.config import PhonesConfig
from jfewshot.downstream.phones.datasets import timit as timit_module
from jfewshot.downstream.phones.experiment import run_experiment
from jfewshot.downstream.phones.report import build_report
from jfewshot.downstream.phones.summary import summarise
from jfewshot.downstream.timit_phones import TO_39, TO_48
from jfewshot.errors import UserError
from jfewshot.reporting.speech_simclr import read_own_scores
from jfewshot.simclr.encoder import Encoder, EncoderConfig, to_arrays
from jfewshot.simclr.export import EncoderFolder, write_encoder
from jfewshot.simclr.features import FbankSettings
from tests.downstream.phones.made import CORE_TEST, make_dirha, make_timit


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A made TIMIT, DIRHA with labels, and a small encoder of random weights that makes one frame of four."""
    root = tmp_path_factory.mktemp("corpora")
    make_timit(root / "timit", ("SI1", "SX1", "SX2"))
    make_dirha(root)
    shape = EncoderConfig(n_layers=1, d_model=8, d_ff=16, n_heads=2, prenet="conv1d", prenet_channels=4)
    weights = to_arrays(Encoder(shape, rngs=nnx.Rngs(5)))
    mean, std = np.full(80, -10.0, np.float32), np.full(80, 3.0, np.float32)
    write_encoder(
        root / "mine", EncoderFolder("mine", shape, weights, FbankSettings(), mean, std, training={"checkpoints": [9]})
    )
    return root


@pytest.fixture
def config(corpora, tmp_path, monkeypatch):
    monkeypatch.setattr(timit_module, "check_counts", lambda *given: None)  # 36 utterances, where TIMIT has 5,040
    return PhonesConfig(
        root=corpora / "timit", out=tmp_path / "out", features=(f"simclr:{corpora / 'mine'}",), probes=("linear",),
        seeds=2, epochs=6, batch=6, buckets=1, rate=0.03, devices=1,
        dirha=corpora / "dirha", dirha_labels=corpora / "labels",
    )  # fmt: skip


def folded(text):
    return np.array(["" if phone == "-" else TO_39[phone] for phone in text.split()])


def test_timit_and_dirha_are_scored_beside_the_controls_and_nothing_runs_twice(config, monkeypatch):
    records = run_experiment(config)
    names = ["FBANK", "mine, random", "mine"]
    assert sorted({record["features"] for record in records}) == sorted(names)
    assert len(records) == 3 * 2
    for record in records:
        test = record["test"]
        assert set(test["parts"]) == {"core test", "DIRHA real, Beam_Circular_Array"}
        for part, value in record["accuracy"].items():
            chosen = [n for n, own in enumerate(test["parts"]) if own == part]
            true, predicted = (
                np.concatenate([folded(test[what][n]) for n in chosen]) for what in ("true", "predicted")
            )
            assert value == pytest.approx(np.mean((true == predicted)[true != ""]), abs=1e-12)
    # Every 10 ms, whatever the encoder's hop: all features are scored at the same instants, with the same labels.
    assert len({json.dumps(record["test"]["true"]) for record in records}) == 1
    assert [record["frames"] for record in records if record["seed"] == 0] == [
        {"first_ms": 12.5, "hop_ms": 10.0}, {"first_ms": 12.5, "hop_ms": 40.0}, {"first_ms": 12.5, "hop_ms": 40.0}
    ]  # fmt: skip
    first = records[0]["test"]
    lines = [
        line.split() for line in (config.root / first["utterances"][0]).with_suffix(".PHN").read_text().splitlines()
    ]
    expected = []
    for instant in range(200, int(lines[-1][1]), 160):
        (phone,) = [label for begin, end, label in lines if int(begin) <= instant < int(end)]
        expected.append(TO_48.get(phone, "-"))
    assert first["true"][0].split() == expected
    assert "-" in " ".join(first["true"])  # glottal stops
    fbank = [record for record in records if record["features"] == "FBANK"]
    assert min(record["accuracy"]["core test"] for record in fbank) > 0.75  # tones are easily told

    runs = []
    original = experiment.run_trial
    monkeypatch.setattr(experiment, "run_trial", lambda *given: (runs.append(given), original(*given))[1])
    assert run_experiment(config) == records
    assert not runs
    (config.out / "records" / f"{fbank[1]['key']}.json").unlink()
    again = run_experiment(config)
    assert len(runs) == 1
    assert [record["test"] for record in again] == [record["test"] for record in records]
    with pytest.raises(UserError, match="epochs: 7 here, 6 there"):
        run_experiment(dataclasses.replace(config, epochs=7))

    tables = build_report(records, config.out / "report", ("svg",), "mine")
    scores = {(score.features, score.dataset): score for score in read_own_scores(config.out)}
    assert set(scores) == {
        (f"{name}, linear", of) for name in names for of in ("TIMIT", "DIRHA real, Beam_Circular_Array")
    }
    by_seed = [record["accuracy"]["core test"] for record in fbank]
    assert scores["FBANK, linear", "TIMIT"].value == pytest.approx(np.mean(by_seed), abs=1e-12)
    assert [row[0].text for row in tables[0].rows] == names
    assert tables[0].rows[0][2].text.startswith(f"{100 * np.mean(by_seed):.1f} ± ")
    assert tables[0].rows[0][6].text == ", ".join(f"{100 * value:.1f}" for value in by_seed)
    (summary, *others), problems = summarise(records)
    assert not problems
    assert summary.speakers["core test"] == tuple(sorted(name.lower() for name in CORE_TEST))
    # By hand, without silence: closures and h# are one of the 39.
    true, predicted = (
        np.concatenate([folded(text) for text in fbank[0]["test"][what][:9]]) for what in ("true", "predicted")
    )
    speech = (true != "") & (true != "sil")
    alone = dataclasses.replace(
        summary, counts={"core test": summary.counts["core test"][:1]}, seeds=(0,), curve=summary.curve[:1]
    )
    assert alone.accuracy("core test", True)[0] == pytest.approx(np.mean((true == predicted)[speech]), abs=1e-12)
    difference = summary.less(others[0], "core test")
    theirs = [record["accuracy"]["core test"] for record in records if record["features"] == others[0].name]
    assert difference.value == pytest.approx(np.mean(by_seed) - np.mean(theirs), abs=1e-12)
    assert list(tables[1].columns)[2] == "core test, less FBANK"
    assert tables[1].rows[0][2].text == "–"
    page = (config.out / "report" / "index.html").read_text()
    assert "Phones of frames: TIMIT" in page
    assert "6 runs; checkpoints chosen on development speakers" in page


@pytest.mark.slow  # compiles an encoder's gradient; test_training.py tests that gradient
def test_an_encoder_is_fine_tuned_in_the_same_folder_and_says_so(config):
    small = dataclasses.replace(config, seeds=1, epochs=1, dirha=None, dirha_labels=None, controls=False)
    frozen = run_experiment(small)
    both = run_experiment(dataclasses.replace(small, finetune=True))
    assert [record["features"] for record in both] == ["mine", "mine, fine-tuned"]
    assert both[0] == frozen[0]
    assert both[1]["finetune"]
    assert both[1]["test"]["true"] == both[0]["test"]["true"]
    assert not any((config.out / "runs").glob("*/checkpoints"))
    (scores, *_) = build_report(both, config.out / "report")
    assert {row[0].text for row in scores.rows} == {"mine", "mine, fine-tuned"}


def test_what_cannot_be_used_is_refused_or_left_out(config, corpora, tmp_path):
    quick = dataclasses.replace(config, features=("fbank",), controls=False, seeds=1, epochs=1)
    with pytest.raises(UserError, match="--leave-out nobody: TIMIT has no such utterance"):
        run_experiment(dataclasses.replace(quick, leave_out=("nobody",)))
    with pytest.raises(UserError, match="no phones, so frames cannot be scored without labels"):
        run_experiment(dataclasses.replace(quick, dirha_labels=None))
    with pytest.raises(UserError, match="--dirha-labels is used with --dirha"):
        dataclasses.replace(quick, dirha=None)
    with pytest.raises(UserError, match="--n-folds and --folds divide one dataset"):
        run_experiment(dataclasses.replace(quick, n_folds=3))
    with pytest.raises(UserError, match="--batch is 0; it must be at least 1"):
        dataclasses.replace(quick, batch=0)
    with pytest.raises(UserError, match="--probes: give linear, hidden, or both, each once"):
        dataclasses.replace(quick, probes=())
    with pytest.raises(UserError, match="12 utterances do not fill a batch of 99"):
        run_experiment(dataclasses.replace(quick, batch=99))


@pytest.mark.slow  # four fresh processes
def test_a_process_that_is_killed_anywhere_continues_to_the_same_records(corpora, tmp_path):
    table = tmp_path / "mine.csv"
    rows = ["path,phones,speaker,split"]
    for path in sorted((corpora / "timit").glob("*/*/*/*.PHN")):
        name = path.relative_to(corpora / "timit").with_suffix("").as_posix()
        part = "train" if "TRAIN" in name else ("dev" if path.parent.name < "FB" else "test")
        rows.append(f"{name}.WAV,{name}.PHN,{path.parent.name},{part}")
    table.write_text("\n".join(rows) + "\n")

    def start(out, *flags):
        given = [sys.executable, "-m", "jfewshot.downstream.phones", "--dataset", f"table:{table}"]
        given += ["--root", corpora / "timit", "--out", out, "--features", "fbank", "--no-controls", "--hidden", 8]
        given += ["--batch", 4, "--epochs", 2, "--formats", "svg", *flags]
        return subprocess.Popen(
            list(map(str, given)), env=os.environ | {"JAX_PLATFORMS": "cpu"}, cwd=Path(__file__).parents[3],
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def records(out):
        return {path.name: json.loads(path.read_text())["test"] for path in (out / "records").glob("*.json")}

    killed = start(tmp_path / "killed")
    while killed.poll() is None and len(list((tmp_path / "killed" / "records").glob("*.json"))) < 2:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert 2 <= len(records(tmp_path / "killed")) < 6
    assert start(tmp_path / "killed").wait() == 0
    assert start(tmp_path / "whole").wait() == 0
    assert len(records(tmp_path / "whole")) == 6
    assert records(tmp_path / "killed") == records(tmp_path / "whole")
    assert (tmp_path / "whole" / "report" / "index.html").exists()
    assert start(tmp_path / "table", "--write-table", tmp_path / "stores.csv").wait() == 0
    assert (tmp_path / "stores.csv").read_text().startswith("path,label\n")
