"""Experiments: records once, models kept, a report of what is there, and what is wrong in one line."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jiwer
import numpy as np
import pytest

from jfewshot.downstream.asr import experiment
from jfewshot.downstream.asr import trial as trial_module
from jfewshot.downstream.asr.config import AsrConfig
from jfewshot.downstream.asr.experiment import record_folder, run_experiment
from jfewshot.downstream.asr.planning import chosen_sources, identity
from jfewshot.downstream.asr.report import build_report, scores_grid
from jfewshot.downstream.asr.settings import BeamConfig, DecoderConfig, RecurrentConfig
from jfewshot.downstream.asr.summary import summarise
from jfewshot.errors import UserError
from jfewshot.reporting.grid import TableEntry
from jfewshot.reporting.speech_simclr import read_own_scores
from jfewshot.simclr.augmentation import AugmentationConfig
from jfewshot.simclr.encoder import Encoder, EncoderConfig, to_arrays
from jfewshot.simclr.export import EncoderFolder, write_encoder
from jfewshot.simclr.features import FbankSettings
from jfewshot.training import metrics as metrics_module
from jfewshot.training.checkpoints import steps_on_disk
from jfewshot.training.config import OptimiserConfig

ADAM = OptimiserConfig("constant", 5e-3, 1, weight_decay=0.0)
ENCODER = EncoderConfig(n_layers=1, d_model=16, d_ff=32, n_heads=2, prenet="conv1d", prenet_channels=16)


@pytest.fixture
def config(tones, tmp_path):
    """Recurrent CTC on FBANK: the quickest to compile."""
    return AsrConfig(
        root=tones, dataset=f"table:{tones / 'tones.csv'}", out=tmp_path / "out", features=("fbank",), controls=False,
        model="recurrent", units="words", seeds=1, only_folds=(0,), recurrent=RecurrentConfig("gru", 1, 16, 0.0),
        optimiser=ADAM, batch=6, epochs=2, average_best=1, n_masks=0, buckets=1, threads=0, devices=1,
        beam=BeamConfig(size=2), formats=("svg",), stack=4,
    )  # fmt: skip


def attention(config, **changes):
    return dataclasses.replace(
        config, features=("random",), model="attention_ctc", encoder=ENCODER,
        decoder=DecoderConfig(n_layers=1, d_model=16, d_ff=32, n_heads=2), **changes,
    )  # fmt: skip


def test_runs_are_recorded_once_and_another_decoding_trains_nothing(config, monkeypatch):
    (record,) = run_experiment(config)
    assert record["features"] == "FBANK, frozen"
    test = record["test"]
    assert set(test["speakers"]) == {record["fold"]["tests"]} == {"ann"}
    assert record["rates"]["WER (beam)"] == pytest.approx(jiwer.wer(test["said"], test["beam"]), abs=1e-6)
    assert record["rates"]["WER (greedy)"] == pytest.approx(jiwer.wer(test["said"], test["greedy"]), abs=1e-6)
    assert record["steps"] == 2 * 2
    assert [step for step, *_ in record["curve"]] == [2, 4]
    assert not any((config.out / "runs").glob("*/checkpoints"))

    trained = []
    original = trial_module._fit
    monkeypatch.setattr(trial_module, "_fit", lambda given: (trained.append(given), original(given))[1])
    assert run_experiment(config) == [record]
    both = run_experiment(dataclasses.replace(config, decode="greedy"))
    assert len(both) == 2
    assert not trained
    by_way = {each["decoding"]["decode"]: each for each in both}
    assert by_way["greedy"]["test"]["greedy"] == test["greedy"]
    assert "beam" not in by_way["greedy"]["test"]
    with pytest.raises(UserError, match="epochs: 5 here, 2 there"):
        run_experiment(dataclasses.replace(config, epochs=5))

    tables = build_report(both, config.out / "report", ("svg",))
    scores = {score.features: score for score in read_own_scores(config.out)}
    assert (scores["FBANK, frozen"].task, scores["FBANK, frozen"].metric) == ("asr", "WER")
    assert scores["FBANK, frozen"].value == pytest.approx(record["rates"]["WER (beam)"])
    assert tables[0].rows[0][1].text.startswith(f"{100 * record['rates']['WER (beam)']:.1f} (")
    page = (config.out / "report" / "index.html").read_text()
    assert "not comparable with the paper" in page
    assert (config.out / "report" / "figures" / "learning.svg").exists()
    with pytest.raises(UserError, match="--baseline tera: no finished features of that name; there are FBANK, frozen"):
        build_report(both, config.out / "report", ("svg",), "tera")


def test_features_with_more_errors_than_an_empty_transcript_are_not_marked_as_the_best(config):
    (record,) = run_experiment(config)

    def shown(errors_per_word):
        counts = record["errors"]["beam"]["WER"]
        wrong = {"WER": {**counts, "errors": [errors_per_word * length for length in counts["lengths"]]}}
        records = [record | {"errors": {"beam": wrong, "greedy": wrong}}]
        table = scores_grid(summarise(records)[0], records, "digits")
        return table.rows[0][1], " ".join(table.notes)

    entry, notes = shown(6)
    assert entry == TableEntry("600.0 (600.0 to 600.0)", "")
    assert "Nothing is recognised" in notes
    entry, notes = shown(0)
    assert entry == TableEntry("0.0 (0.0 to 0.0)", "best")
    assert "Nothing is recognised" not in notes


def unusable(config, text, **changes):
    """What is said of the table, one of whose lines is another."""
    table = config.out.parent / "changed.csv"
    lines = (config.root / "tones.csv").read_text().splitlines()
    table.write_text("\n".join([lines[0], *text, *lines[4:]]) + "\n")
    return dataclasses.replace(config, dataset=f"table:{table}", **changes)


def test_what_cannot_be_used_stops_the_experiment_in_a_line(config, tones):
    rest = ["ann-1.wav,low mid,ann", "ann-2.wav,low mid,ann"]
    with pytest.raises(UserError, match=r"ann-0\.wav: its transcript has the word 'shrill', which no training"):
        run_experiment(unusable(config, ["ann-0.wav,low shrill,ann", *rest]))
    with pytest.raises(UserError, match=r"ann-0\.wav: its transcript has the character 'x'.*--on-error skip"):
        run_experiment(unusable(config, ["ann-0.wav,low x,ann", *rest], units="characters"))
    many = " ".join(["low low"] * 9)
    with pytest.raises(
        UserError, match=r"ann-0\.wav: too short for its transcript: .* \d+ frames of it, 18 units need 35"
    ):
        run_experiment(unusable(config, [f"ann-0.wav,{many},ann", *rest]))
    damaged = config.out.parent / "damaged"
    shutil.copytree(tones, damaged)
    (damaged / "bob-3.wav").write_bytes(b"RIFF, but no more")
    with pytest.raises(UserError, match=r"bob-3\.wav: cannot be decoded.*1 such utterances.*--on-error skip"):
        run_experiment(dataclasses.replace(config, root=damaged))
    with pytest.raises(UserError, match="--leave-out nobody: tones has no such utterance"):
        run_experiment(dataclasses.replace(config, leave_out=("nobody",)))
    with pytest.raises(UserError, match="--only-folds 7: tones has folds 0 to 2"):
        run_experiment(dataclasses.replace(config, only_folds=(7,)))
    with pytest.raises(UserError, match="12 utterances do not fill a batch of 99"):
        run_experiment(dataclasses.replace(config, out=config.out / "b", batch=99))


def test_other_features_of_the_same_name_are_refused(config):
    """A report would average the runs of two encoders as runs of one."""
    ((source,),) = chosen_sources(config)
    features = {**identity(source, 0), "layer": "another"}
    record = {"features": "FBANK, frozen", "seed": 0, "fold": {"number": 0}, "identity": {"features": features}}
    record_folder(config).write("of another layer", record)
    with pytest.raises(UserError, match=r"holds runs of another 'FBANK, frozen' \(seed 0\)"):
        run_experiment(config)


def test_settings_that_make_no_sense_are_named(config):
    with pytest.raises(UserError, match="--lm is for the beam search"):
        dataclasses.replace(config, decode="greedy", lm=Path("x.arpa"))
    with pytest.raises(UserError, match="--epochs is 0"):
        dataclasses.replace(config, epochs=0)
    with pytest.raises(UserError, match="choose checkpoints with --choose-by loss"):
        dataclasses.replace(config, model="attention_ctc", ctc_weight=0.0)
    with pytest.raises(UserError, match="for frozen frames give random:FOLDER"):
        run_experiment(dataclasses.replace(config, features=("random",)))
    with pytest.raises(UserError, match="two features are called 'FBANK'"):
        run_experiment(dataclasses.replace(config, features=("fbank", "fbank")))


@pytest.mark.slow  # trains to the end: about half a CPU-minute
def test_what_can_be_learnt_is_learnt_and_the_test_utterances_choose_nothing(config):
    long = dataclasses.replace(config, epochs=40, evaluate_every=4, average_best=2)
    (record,) = run_experiment(long)
    assert record["rates"]["WER (greedy)"] < 0.2
    assert record["rates"]["WER (beam)"] < 0.2
    # The same with other words said, and other audio, in the fold that is tested.
    changed = config.out.parent / "changed"
    shutil.copytree(config.root, changed)
    lines = (changed / "tones.csv").read_text().replace("low", "LOW").splitlines()
    lines = [line.replace("LOW", "high" if ",ann" in line else "low") for line in lines]
    (changed / "tones.csv").write_text("\n".join(lines) + "\n")
    for number in range(1, 12):
        shutil.copy(changed / "ann-0.wav", changed / f"ann-{number}.wav")
    (other,) = run_experiment(
        dataclasses.replace(long, root=changed, dataset=f"table:{changed / 'tones.csv'}", out=config.out / "other")
    )
    assert (other["chosen"], other["curve"]) == (record["chosen"], record["curve"])  # to the last bit
    assert other["rates"] != record["rates"]
    # An utterance that cannot be used is left out where that is asked for.
    (changed / "bob-3.wav").write_bytes(b"RIFF, but no more")
    (changed / "ann-5.wav").write_bytes(b"")
    skipping = dataclasses.replace(config, root=changed, out=config.out / "skipping", epochs=1, on_error="skip")
    (record,) = run_experiment(skipping)
    assert "ann-5.wav" not in record["test"]["utterances"]
    assert record["fold"]["development"] + record["fold"]["training"] + record["fold"]["test"] == 34


@pytest.mark.slow  # compiles a transformer's gradient with augmentation: about a CPU-minute
def test_a_killed_run_continues_to_the_same_model(config, monkeypatch):
    given = attention(config, augmentation=AugmentationConfig(pitch=False, reverb=False), n_masks=1, epochs=3)
    (expected,) = run_experiment(dataclasses.replace(given, out=config.out / "undisturbed"))
    add = metrics_module.Metrics.add

    def killed(self, step, *rest):
        add(self, step, *rest)
        if step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(metrics_module.Metrics, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(given)
    monkeypatch.undo()
    (run,) = (given.out / "runs").iterdir()
    assert max(steps_on_disk(run / "checkpoints")) == 4
    # Another model cannot take that checkpoint up.
    (given.out / "config.json").rename(given.out / "aside.json")
    wider = dataclasses.replace(given, decoder=dataclasses.replace(given.decoder, d_ff=48))
    monkeypatch.setattr(experiment.RecordFolder, "key", lambda self, identity: run.name)
    with pytest.raises(
        UserError, match=r"is of another model: decoder\.layers\.0\.intermediate\.bias is \(32,\) there"
    ):
        run_experiment(wider)
    monkeypatch.undo()
    (given.out / "aside.json").rename(given.out / "config.json")

    (record,) = run_experiment(given)
    for name in ("chosen", "curve", "rates", "test"):
        assert record[name] == expected[name]
    with np.load(given.out / "models" / f"{run.name}.npz") as archive:
        assert np.isfinite(archive["params/encoder.layers.0.query.kernel"]).all()


@pytest.mark.slow  # three kinds of features, two of them encoders: about a CPU-minute
def test_pretrained_encoders_of_every_seed_are_compared(config, tmp_path):
    import jax.numpy as jnp
    from flax import nnx

    for seed in (0, 1):
        arrays = to_arrays(Encoder(ENCODER, rngs=nnx.Rngs(seed)))
        folder = EncoderFolder(f"tera-{seed}", ENCODER, arrays, FbankSettings(), np.full(80, -8.0), np.full(80, 3.0))
        write_encoder(tmp_path / f"tera-{seed}", folder)
    given = attention(config, augmentation=AugmentationConfig(speed=False, pitch=False, reverb=False, noise=False))
    given = dataclasses.replace(
        given, features=(f"simclr:{tmp_path}/tera-{{seed}}", f"random:{tmp_path}/tera-{{seed}}"), seeds=2, epochs=1
    )
    records = run_experiment(given)
    assert {record["features"] for record in records} == {"tera", "tera, random"}
    weights = {record["identity"]["features"].get("weights") for record in records}
    assert len(weights) == 4
    tables = build_report(records, given.out / "report", ("svg",))
    assert [row[0].text for row in tables[0].rows] == ["tera, random", "tera"]
    assert tables[1].title == "WER less that of tera, random"
    assert len(tables[1].rows[0][-1].text.split(", ")) == 2
    # What the fine-tuned encoder began with is the folder's.
    path = next((given.out / "models").iterdir())
    with np.load(path) as archive:
        shape = archive["params/encoder.layers.0.query.kernel"].shape
    assert jnp.zeros(shape).shape == (16, 16)
    wrong = dataclasses.replace(given, features=("simclr:{seed}",))
    with pytest.raises(UserError, match="a folder needs a name in addition to"):
        run_experiment(wrong)


@pytest.mark.slow  # a fresh process: about half a CPU-minute
def test_the_command_line_goes_from_audio_to_a_page_and_names_what_is_wrong(tones, tmp_path):
    def command(*flags):
        base = [sys.executable, "-m", "jfewshot.downstream.asr", "--root", tones]
        return subprocess.run(
            list(map(str, [*base, *flags])),
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=600,
        )

    table = ["--dataset", f"table:{tones / 'tones.csv'}", "--units", "words"]
    small = [
        "--model",
        "recurrent",
        "--recurrent.n-layers",
        1,
        "--recurrent.size",
        8,
        "--features",
        "fbank",
        "--seeds",
        1,
    ]
    small += ["--epochs", 1, "--batch", 6, "--only-folds", 1, "--threads", 0, "--buckets", 1, "--formats", "svg"]
    done = command(*table, *small, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Speech recognition: tones, recurrent CTC" in done.stdout
    assert (tmp_path / "out" / "report" / "index.html").exists()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["config"]["recurrent"]["size"] == 8
    text = tmp_path / "lm.txt"
    assert command(*table, "--only-folds", 0, "--write-lm-text", text).returncode == 0
    assert set(text.read_text().split()) == {"low", "mid", "high"}
    wrong = command("--dataset", "wsj", "--out", tmp_path / "out2")
    assert wrong.returncode == 2
    assert wrong.stderr.strip().splitlines()[-1].startswith("error: dataset 'wsj' is not known")
