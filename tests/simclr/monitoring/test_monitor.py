"""What is measured of a training: embeddings as NumPy pools them, few-shot accuracy, early stopping, one line and one picture."""

import dataclasses
import json
import types

import jax
import jax.numpy as jnp
import kaldi_native_fbank
import numpy as np
import pytest
import soundfile

from jfewshot.errors import UserError
from jfewshot.simclr.config import DataConfig, TrainConfig, from_record
from jfewshot.simclr.data import Utterance
from jfewshot.simclr.data.labelled import read_labelled
from jfewshot.simclr.monitoring import draw_run, make_monitor
from jfewshot.simclr.monitoring.embedding import Embedder
from jfewshot.simclr.settings import MonitorConfig
from jfewshot.training.checkpoints import MemoryCheckpoints
from jfewshot.training.config import as_record
from jfewshot.training.loop import TrainingRun, run_steps
from jfewshot.training.metrics import Metrics
from jfewshot.training.step import State

RATE = 16_000


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Five classes of eight noisy tones, told apart by their pitch."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    for k, name in enumerate("abcde"):
        (folder / name).mkdir()
        for number in range(8):
            t = np.arange(3000 + 700 * number) / RATE
            wave = np.sin(2 * np.pi * 300 * 1.6**k * t + number) + 0.1 * rng.standard_normal(t.size)
            soundfile.write(folder / name / f"{number}.wav", 0.2 * wave, RATE)
    return folder


def config(tones, out, **monitor):
    chosen = MonitorConfig(every=2, utterances=8, episodes=50, n_query=2, classifier="centroid", **monitor)
    return TrainConfig(DataConfig(tones, crop_s=0.3), out, steps=20, monitor=chosen)


def scaled_features(params):
    """A model whose last layer is its input, times a parameter."""
    return types.SimpleNamespace(encoder=lambda features, n_frames: ([features * params["gain"]], n_frames))


def kaldi(wave):
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither, options.mel_opts.num_bins = 0.0, 80
    online = kaldi_native_fbank.OnlineFbank(options)
    online.accept_waveform(RATE, wave.tolist())
    online.input_finished()
    return np.stack([online.get_frame(frame) for frame in range(online.num_frames_ready)])


def monitor_of(config, utterances=None):
    if utterances is None:
        paths = sorted(config.data.source.rglob("*.wav"))
        utterances = [Utterance(path, str(path), "", 0.2) for path in paths]
    return make_monitor(config, utterances, np.full(80, -6, np.float32), np.full(80, 3, np.float32), scaled_features)


@pytest.mark.parametrize("pooling", ["mean", "mean_std"])
def test_embeddings_are_pooled_over_true_frames(tones, tmp_path, pooling):
    waves = [soundfile.read(path, dtype="float32")[0] for path in sorted((tones / "b").iterdir())[::-1]]
    mean, std = np.full(80, -6, np.float32), np.full(80, 3, np.float32)
    found = Embedder(waves, mean, std, config(tones, tmp_path), scaled_features, pooling)({"gain": jnp.float32(1.0)})
    for row, wave in zip(found, waves, strict=True):
        frames = (kaldi(wave) + 6) / 3
        by_hand = np.concatenate([frames.mean(axis=0), *([frames.std(axis=0)] if pooling == "mean_std" else [])])
        np.testing.assert_allclose(row, by_hand, atol=1e-3)


def test_a_training_is_measured_drawn_and_stopped(tones, tmp_path, caplog):
    caplog.set_level("INFO")
    chosen = config(tones, tmp_path, development=tones, patience=2, shots=(1,))
    monitor = monitor_of(chosen)
    # The gain decides: with zero all embeddings are the same. It is that of steps 6 and on.
    gains = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, *[0.0] * 30]

    def step(state, batch, key, fixed):
        now = int(state.step) + 1
        values = {"loss": jnp.float32(1.0), "gradient_norm": jnp.float32(1.0), "rate": jnp.float32(0.1)}
        return State(jnp.int32(now), {"gain": jnp.float32(gains[now])}, ()), values

    def run(monitor, checkpoints):
        training = TrainingRun(
            tmp_path, 20, 50, step, lambda first, last: iter(()), lambda step: [],
            lambda first: Metrics(tmp_path, first, 100), watch=monitor, score_by_watch="few_shot",
        )  # fmt: skip
        training = dataclasses.replace(
            training, batches=lambda first, last: iter([_Batch(np.zeros(1))] * (last - first))
        )
        steps = checkpoints.steps()
        state = checkpoints.load(None) if steps else State(jnp.int32(0), {"gain": jnp.float32(0.5)}, ())
        return run_steps(training, state, jax.random.key(0), None, checkpoints)

    checkpoints = MemoryCheckpoints(keep_best=9, higher_is_better=True)
    run(monitor, checkpoints)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    measured = [line for line in lines if "effective_rank" in line]
    # Tones are told apart at once; two measurements later nothing is better, and the training stops at step 4.
    assert [line["step"] for line in measured] == [0, 2, 4]
    assert all(line["few_shot_1"] > 0.9 for line in measured)
    assert "stopped early at step 4: 2 measurements in a row have not exceeded the accuracy of" in caplog.text
    assert (tmp_path / "monitor.png").read_bytes()[:4] == b"\x89PNG"
    # The same command finds nothing left to do, by what metrics.jsonl says.
    again = monitor_of(chosen)
    assert again.begin(4)
    assert again.stopped == monitor.stopped
    assert monitor_of(chosen).begin(3) is False  # as a run that was killed after the measurement, and begins at step 3
    patient = monitor_of(dataclasses.replace(chosen, monitor=dataclasses.replace(chosen.monitor, patience=9)))
    assert patient.begin(4)
    assert not patient.stopped
    assert patient(6, {"gain": jnp.float32(0.0)})["collapse"] == "complete"
    assert "step 6: complete collapse: all recordings have nearly the same embedding" in caplog.text
    patient(8, {"gain": jnp.float32(1.0)})
    assert "step 8: the embeddings have recovered from the complete collapse" in caplog.text


class _Batch(tuple):
    """One array; `spread` rebuilds a batch from its parts."""

    def __new__(cls, *parts):
        return super().__new__(cls, parts)


def test_nothing_measured_is_nothing_drawn(tones, tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    assert draw_run(tmp_path) is None
    chosen = config(tones, tmp_path)
    assert monitor_of(dataclasses.replace(chosen, monitor=MonitorConfig(every=0))) is None
    assert monitor_of(chosen, []) is None


def test_labelled_recordings_come_from_folders_or_a_manifest(tones, tmp_path):
    found = read_labelled(tones, 8)
    assert len(found) == 40
    assert {each.class_name for each in found} == set("abcde")
    manifest = tmp_path / "m.csv"
    rows = [f"{path},{path.parent.name},s{path.stem}" for path in sorted(tones.rglob("*.wav"))]
    manifest.write_text("path,label,speaker\n" + "\n".join(rows) + "\n")
    by_manifest = read_labelled(manifest, 8)
    assert [each.class_name for each in by_manifest] == [each.class_name for each in found]
    assert by_manifest[3].group == "s3"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, r"class 'a' has 8 recordings, and --monitor\.shots with --monitor\.n-query needs 9"),
        ("path\nx.wav\n", "no column 'label'"),
        ("path,class\nx.wav,a\n", "line 2 names no file that exists"),
        ("path,class\n{0},\n", "line 2 has no class"),
        ("path,class\n{0},a\n", "recordings of 1 classes"),
    ],
)
def test_recordings_that_cannot_be_a_development_set_are_refused(tones, tmp_path, text, complaint):
    source = tones
    if text is not None:
        source = tmp_path / "m.csv"
        source.write_text(text.format(tones / "a" / "0.wav"))
    with pytest.raises(UserError, match=complaint):
        read_labelled(source, 9)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"every": -1}, "needs 0 or more steps"),
        ({"shots": ()}, "at least 1"),
        ({"patience": 3}, "stops by accuracy on labelled recordings"),
    ],
)
def test_measurements_that_make_no_sense_are_refused(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        MonitorConfig(**settings)


def test_a_run_s_settings_come_back_and_older_ones_have_defaults(tones, tmp_path):
    chosen = config(tones, tmp_path, development=tones)
    record = json.loads(json.dumps(as_record(chosen)))
    assert from_record(record) == chosen
    del record["monitor"]
    assert from_record(record).monitor == MonitorConfig()
