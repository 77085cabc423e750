"""Whole runs: killed and continued, refused, stopped by a loss that is not finite, averaged, exported."""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.simclr.config import FREE, STEPS, from_record
from jfewshot.simclr.export import load_encoder
from jfewshot.simclr.export.run import ExportOptions, export
from jfewshot.simclr.settings import MonitorConfig
from jfewshot.simclr.training.loop import train
from jfewshot.training import metrics as metrics_module
from jfewshot.training.checkpoints import average, read_params, steps_on_disk
from jfewshot.training.config import as_record, differences


def curve(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow  # three runs, each compiled anew: about two CPU-minutes
def test_a_killed_run_continues_on_the_same_curve(tiny, tmp_path, monkeypatch):
    tiny = dataclasses.replace(tiny, data=dataclasses.replace(tiny.data, validation_share=0.4))
    undisturbed = dataclasses.replace(tiny, out=tmp_path / "undisturbed")
    train(undisturbed)

    add = metrics_module.Metrics.add

    def killed(self, step, *rest):
        add(self, step, *rest)
        if step == 5:
            with open(tiny.out / "metrics.jsonl", "a") as file:
                file.write('{"step": 6, "lo')  # as a kill would leave it
            raise KeyboardInterrupt

    monkeypatch.setattr(metrics_module.Metrics, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tiny)
    monkeypatch.undo()
    assert max(steps_on_disk(tiny.out / "checkpoints")) == 4
    train(tiny)
    assert curve(tiny.out) == curve(undisturbed.out)
    assert [line["step"] for line in curve(tiny.out) if "loss" in line] == [1, 2, 3, 4, 5, 6]
    for name, value in read_params(undisturbed.out / "checkpoints", 6).items():
        np.testing.assert_array_equal(value, read_params(tiny.out / "checkpoints", 6)[name])
    assert train(tiny) == {}  # nothing left to do

    # From here on, what follows a run: refusal of other settings, export, averages.
    wider = dataclasses.replace(tiny, encoder=dataclasses.replace(tiny.encoder, d_ff=64))
    with pytest.raises(UserError, match=r"encoder\.d_ff: 64 here, 32 there"):
        train(wider)
    one = load_encoder(export(ExportOptions(tiny.out, tmp_path / "one", name="one", licence="CC0-1.0")))
    parts = [read_params(tiny.out / "checkpoints", step) for step in (4, 6)]
    kernel = "layers.0.query.kernel"
    np.testing.assert_array_equal(one.folder.arrays[kernel], parts[1][f"encoder.{kernel}"])
    untrained = load_encoder(export(ExportOptions(tiny.out, tmp_path / "zero", name="zero", step=0)))
    assert np.abs(untrained.folder.arrays[kernel] - one.folder.arrays[kernel]).max() > 1e-4
    mean = load_encoder(export(ExportOptions(tiny.out, tmp_path / "mean", name="mean", average_best=2)))
    best = sorted((line["validation_loss"], line["step"]) for line in curve(tiny.out) if "validation_loss" in line)[:2]
    chosen = [read_params(tiny.out / "checkpoints", step)[f"encoder.{kernel}"] for _, step in best]
    np.testing.assert_allclose(mean.folder.arrays[kernel], np.mean(chosen, axis=0), rtol=1e-6)
    frames = mean(np.random.default_rng(0).uniform(-0.1, 0.1, (2, 8000)).astype(np.float32))["last"]
    assert frames.shape == (2, 12, 16)
    assert np.all(np.isfinite(frames))
    with pytest.raises(UserError, match="no checkpoint of step 5"):
        export(ExportOptions(tiny.out, tmp_path / "five", name="five", step=5))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_step_files_and_checkpoint(tiny):
    wild = dataclasses.replace(tiny, optimiser=dataclasses.replace(tiny.optimiser, schedule="constant", rate=1e30))
    with pytest.raises(
        UserError, match=r"not finite at step [23]; its batch is .*\.wav.*last good checkpoint is step [02]"
    ):
        train(wild)
    listed = next(tiny.out.glob("not-finite-step-*.txt")).read_text().split()
    assert len(listed) == 16


def test_epochs_and_minutes_say_how_long_a_run_is_and_when_it_saves(tiny):
    """1.5 epochs of three batches are four steps (4.5, rounded to the even number); every step saves when minutes pass."""
    asked = dataclasses.replace(tiny, epochs=1.5, steps=STEPS, checkpoint_every=1000, checkpoint_minutes=1e-9)
    train(asked)
    assert [line["step"] for line in curve(tiny.out) if "loss" in line] == [1, 2, 3, 4]
    # The three latest, and step 0.
    assert steps_on_disk(tiny.out / "checkpoints") == [0, 2, 3, 4]
    recorded = json.loads((tiny.out / "config.json").read_text())["config"]
    assert recorded["steps"] == 4
    assert recorded["epochs"] is None
    # The same command finds nothing left to do; one that says it in steps is the same run.
    assert train(asked) == {}
    assert train(dataclasses.replace(asked, epochs=None, steps=4, checkpoint_minutes=0.0)) == {}


@pytest.mark.slow  # two compilations
def test_speakers_statistics_normalise_and_events_are_written(tiny, tmp_path, voice):
    pytest.importorskip("tensorboardX", reason="metrics for TensorBoard")
    speech = tiny.data.source
    rows = [
        {"path": str(path), "speaker": "ann" if k % 3 else "bob"} for k, path in enumerate(sorted(speech.glob("*.wav")))
    ]
    manifest = tmp_path / "two-speakers.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = dataclasses.replace(tiny.data, source=manifest, normalisation="speaker")
    by_speaker = dataclasses.replace(tiny, data=data, tensorboard=True, steps=3)
    values = train(by_speaker)
    assert np.isfinite(values["loss"])
    with np.load(by_speaker.out / "statistics.npz") as statistics:
        assert statistics["speakers"].tolist() == ["ann", "bob"]
        everybody, ann, bob = statistics["mean"]
        assert np.all(np.minimum(ann, bob) - 1e-4 <= everybody)
        assert np.all(everybody <= np.maximum(ann, bob) + 1e-4)
        assert np.abs(ann - bob).max() > 0.05
    together = train(
        dataclasses.replace(by_speaker, data=dataclasses.replace(data, normalisation="global"), out=tmp_path / "g")
    )
    assert abs(together["loss"] - values["loss"]) > 1e-5  # the speakers' rows were used
    assert any(path.stat().st_size > 500 for path in (by_speaker.out / "tensorboard").iterdir())
    # What is exported carries everybody's statistics: a speaker's own would give it away.
    exported = load_encoder(export(ExportOptions(by_speaker.out, tmp_path / "exported", name="one")))
    np.testing.assert_array_equal(exported.folder.mean, everybody)


@pytest.mark.slow  # two runs, and the evaluator's compilation
def test_a_measured_run_is_killed_continued_and_exported_by_its_accuracy(tiny, tmp_path, monkeypatch):
    """Measuring changes nothing of what is trained; lines after the checkpoint are dropped, and the best steps are exported."""
    pytest.importorskip("tensorboardX", reason="metrics for TensorBoard")
    rows = [f"{path},{'ab'[k % 2]}" for k, path in enumerate(sorted(tiny.data.source.glob("*.wav")))]
    (tmp_path / "development.csv").write_text("path,class\n" + "\n".join(rows) + "\n")
    development = {"development": tmp_path / "development.csv", "classifier": "centroid", "episodes": 50, "ways": 2}
    watched = dataclasses.replace(tiny, monitor=MonitorConfig(every=1, utterances=16, **development), tensorboard=True)
    train(tiny)
    add = metrics_module.Metrics.add

    def killed(self, step, *rest):
        add(self, step, *rest)
        if step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(metrics_module.Metrics, "add", killed)
    watched = dataclasses.replace(watched, out=tmp_path / "watched")
    with pytest.raises(KeyboardInterrupt):
        train(watched)
    monkeypatch.undo()
    train(watched)
    lines = curve(watched.out)
    assert [line for line in lines if "loss" in line] == curve(tiny.out)
    measured = {line["step"]: line["few_shot"] for line in lines if "effective_rank" in line}
    assert list(measured) == [0, 1, 2, 3, 4, 5, 6]
    assert (watched.out / "monitor.png").stat().st_size > 1000
    assert any((watched.out / "tensorboard").iterdir())
    best = export(ExportOptions(watched.out, tmp_path / "best", name="best", average_best=1))
    found = json.loads((best / "encoder.json").read_text())["training"]["checkpoints"]
    later = {step: accuracy for step, accuracy in measured.items() if step}
    assert found == [min(later, key=lambda step: (-later[step], step))]


@pytest.mark.slow  # four runs
def test_copies_pieces_and_rounds_of_noise_survive_a_kill(tiny, tmp_path, monkeypatch):
    """Two views of different pieces, other noise every second step, copies left out: what a continued run computes again."""
    folder, noise = tmp_path / "speech", tmp_path / "noise"
    shutil.copytree(tiny.data.source, folder)
    shutil.copy(folder / "03.wav", folder / "99.wav")
    noise.mkdir()
    for k in (20, 40):
        shutil.copy(folder / f"{k}.wav", noise / f"{k}.wav")
    augmentation = dataclasses.replace(tiny.augmentation, noise_folder=noise, noise_pieces=4, noise_every=2)
    data = dataclasses.replace(tiny.data, source=folder, crops="different", crop_s=0.3)
    tiny = dataclasses.replace(tiny, data=data, augmentation=augmentation, profile="speech_simclr", steps=5)
    undisturbed = dataclasses.replace(tiny, out=tmp_path / "undisturbed")
    train(undisturbed)
    assert json.loads((undisturbed.out / "copies.json").read_text()) == {"03.wav": ["99.wav"]}
    data = json.loads((undisturbed.out / "config.json").read_text())["data"]
    assert (data["utterances"], data["recordings_with_copies"], data["noise_recordings"]) == (48, 1, 2)
    add = metrics_module.Metrics.add

    def killed(self, step, *rest):
        add(self, step, *rest)
        if step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(metrics_module.Metrics, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tiny)
    monkeypatch.undo()
    train(tiny)
    assert curve(tiny.out) == curve(undisturbed.out)
    # With the same pieces of noise in every step, it is another run from the third step on.
    steady = dataclasses.replace(
        tiny, out=tmp_path / "steady", augmentation=dataclasses.replace(augmentation, noise_every=9)
    )
    train(steady)
    assert [one == other for one, other in zip(curve(steady.out), curve(tiny.out), strict=True)] == [True] * 2 + [
        False
    ] * 3


def test_settings_survive_their_json(tiny):
    record = json.loads(json.dumps(as_record(tiny)))
    again = from_record(record)
    assert again == tiny
    assert differences(record, as_record(dataclasses.replace(tiny, chunks=2, log_every=9)), FREE) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"batch": 1}, "at least 2"),
        ({"batch": 10, "chunks": 3}, "does not divide"),
        ({"contrast_weight": 0.0, "reconstruction_weight": 0.0}, "nothing would be learnt"),
        ({"steps": 0}, "at least 1"),
        ({"epochs": 2.0}, "both say how long the run is"),
        ({"epochs": 0.0, "steps": STEPS}, "above 0"),
        ({"checkpoint_minutes": -1.0}, "0 or more minutes"),
    ],
)
def test_impossible_settings_are_refused(tiny, change, complaint):
    with pytest.raises(UserError, match=complaint):
        dataclasses.replace(tiny, **change)


def test_more_utterances_than_there_are_cannot_make_a_batch(tiny):
    with pytest.raises(UserError, match="48 utterances do not fill a batch of 64"):
        train(dataclasses.replace(tiny, batch=64))
    # The folder is nobody's yet: with settings that the data allow, the run can begin there.
    assert not (tiny.out / "config.json").exists()


def test_the_average_of_no_checkpoints_is_refused():
    with pytest.raises(UserError, match="no checkpoints"):
        average([])


@pytest.mark.slow
def test_two_processes_compute_what_one_with_two_devices_does(tiny, tmp_path):
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port = listener.getsockname()[1]

    def start(out, devices, *flags):
        command = [
            sys.executable, "-m", "jfewshot.simclr.train", "--data.source", tiny.data.source, "--out", out, "--batch", 16,
            "--steps", 4, "--log-every", 1, "--data.crop-s", 0.4, "--data.buckets", 1, "--encoder.n-layers", 1,
            "--encoder.d-model", 16, "--encoder.d-ff", 32, "--encoder.n-heads", 2, "--projection-hidden", 16,
            "--projection-out", 8, "--augmentation.no-pitch", "--augmentation.no-reverb", *flags,
        ]  # fmt: skip
        environment = os.environ | {
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "JAX_PLATFORMS": "cpu",
        }
        return subprocess.Popen(list(map(str, command)), env=environment, cwd=Path(__file__).parents[3])

    assert start(tmp_path / "one", 2).wait(600) == 0
    pair = ["--coordinator", f"localhost:{port}", "--processes", 2, "--process"]
    running = [start(tmp_path / "two", 1, *pair, number) for number in range(2)]
    assert [process.wait(600) for process in running] == [0, 0]
    for one, two in zip(curve(tmp_path / "one"), curve(tmp_path / "two"), strict=True):
        for name, value in one.items():
            np.testing.assert_allclose(two[name], value, rtol=1e-5, err_msg=name)


def test_a_run_whose_data_lost_and_damaged_files_continues(tiny, tmp_path, monkeypatch, caplog):
    folder = tmp_path / "speech"
    shutil.copytree(tiny.data.source, folder)
    tiny = dataclasses.replace(tiny, data=dataclasses.replace(tiny.data, source=folder), steps=4)
    add = metrics_module.Metrics.add

    def killed(self, step, *rest):
        add(self, step, *rest)
        if step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(metrics_module.Metrics, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tiny)
    monkeypatch.undo()
    (folder / "05.wav").unlink()
    (folder / "06.wav").write_bytes(b"<html>")
    train(tiny)
    assert [line["step"] for line in curve(tiny.out) if "loss" in line] == [1, 2, 3, 4]
    assert "the data lost 2 of the 48 files that the run began with: 05.wav, 06.wav. The run continues" in caplog.text
    (folder / "99.wav").write_bytes((folder / "07.wav").read_bytes())
    with pytest.raises(UserError, match=r"another configuration \(the data: 47 utterances here, 48 there"):
        train(tiny)
