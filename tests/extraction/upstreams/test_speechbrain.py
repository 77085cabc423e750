"""Encoders of SpeechBrain give what SpeechBrain gives, in a process that imports SpeechBrain alone."""

import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from extraction.datasets import load_dataset
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings, UpstreamOptions
from extraction.upstreams import load_upstream
from extraction.upstreams.self_check import self_check
from jfewshot.audio import read_audio
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction import recordings

# A small ECAPA-TDNN, as spkrec-ecapa-voxceleb describes its own.
SPEAKERS = """
sample_rate: 16000
n_mels: 24
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: false
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [16, 16, 16, 16, 48]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 8
    se_channels: 8
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 12
    out_neurons: 3
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
"""
# Frames: filter banks and a layer, as recognisers have them.
FRAMES = """
sample_rate: 8000
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 24
    sample_rate: !ref <sample_rate>
model: !new:speechbrain.nnet.linear.Linear
    input_size: 24
    n_neurons: 7
encoder: !new:speechbrain.nnet.containers.LengthsCapableSequential
    compute_features: !ref <compute_features>
    model: !ref <model>
modules:
    encoder: !ref <encoder>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        model: !ref <model>
"""
# What the neighbour says: it imports nothing of ours. The first lines are for builds for CUDA beside a torch for CPUs.
NEIGHBOUR = """
import sys, types, numpy, torch
class Absent(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return (lambda function: function) if name.startswith("fail_if_no") else None
try:
    import torchaudio
except OSError:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    sys.modules["torchaudio._extension"] = Absent("torchaudio._extension")
kind, folder, files = sys.argv[1], sys.argv[2], sys.argv[3:]
if not files:  # random weights
    from hyperpyyaml import load_hyperpyyaml
    torch.manual_seed(3)
    with open(folder + "/hyperparams.yaml") as file:
        for name, module in load_hyperpyyaml(file)["pretrainer"].loadables.items():
            torch.save(module.state_dict(), f"{folder}/{name}.ckpt")
    sys.exit()
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.inference.encoders import WaveformEncoder
model = {"classifier": EncoderClassifier, "encoder": WaveformEncoder}[kind].from_hparams(source=folder)
assert not any(loaded.startswith(("jfewshot", "extraction")) for loaded in sys.modules)
for file in files:
    wave = torch.from_numpy(numpy.load(file))[None]
    with torch.no_grad():
        numpy.save(file + ".expected.npy", model.encode_batch(wave, torch.ones(1))[0].numpy())
"""


@pytest.fixture(scope="module", autouse=True)
def _speechbrain():
    if importlib.util.find_spec("speechbrain") is None:
        pytest.skip("speechbrain is not installed")


def neighbour(*arguments) -> None:
    command = [sys.executable, "-W", "ignore", "-c", NEIGHBOUR, *map(str, arguments)]
    done = subprocess.run(command, timeout=300, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each interface, with random weights."""
    root = tmp_path_factory.mktemp("speechbrain")
    for name, text in (("speakers", SPEAKERS), ("frames", FRAMES)):
        (root / name).mkdir()
        (root / name / "hyperparams.yaml").write_text(text)
        neighbour("weights", root / name)
    return root


@pytest.mark.parametrize(
    ("name", "kind", "poolings", "rate", "shape"),
    [
        ("speakers", "classifier", ("mean",), 16_000, {"embedding": (1, 12)}),
        ("frames", "encoder", ("mean", "max"), 8_000, {"frames": (101, 7)}),
    ],
)
def test_a_store_holds_what_speechbrain_computes(folders, tmp_path, name, kind, poolings, rate, shape):
    upstream = load_upstream(f"speechbrain:{folders / name}")
    assert (upstream.name, upstream.sample_rate) == (name, rate)
    assert self_check(upstream).shapes == shape
    root, files = tmp_path / "clips", []
    for number, (own_rate, duration_s) in enumerate(((44_100, 0.8), (16_000, 2.1), (22_050, 1.3))):
        path = root / f"class{number}" / "x.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, recordings.wave(number, own_rate, duration_s), own_rate)
        files.append(str(tmp_path / f"{number}.npy"))
        np.save(files[-1], read_audio(path, rate))
    neighbour(kind, folders / name, *files)
    expected = [np.load(f"{file}.expected.npy") for file in files]
    given = ExtractionSettings(workers=0, pooling=poolings)
    extract(load_dataset("folder:clips"), root, [upstream], tmp_path, given)
    store = open_store(tmp_path / "clips" / name)
    for pooling in poolings:
        wanted = np.stack([getattr(frames, pooling)(axis=0) for frames in expected])
        size = np.abs(wanted).max()
        assert np.ptp(wanted, axis=0).max() > 0.01 * size  # clips differ
        np.testing.assert_allclose(store.view(f"last.{pooling}"), wanted, rtol=0, atol=1e-5 * size)
    assert "source sha256:" in upstream.revision
    assert "weights sha256:" in upstream.revision


def changed(folder, tmp_path, old, new):
    """A copy of a folder whose hyperparams.yaml has other words."""
    shutil.copytree(folder, tmp_path / "changed")
    text = (folder / "hyperparams.yaml").read_text()
    assert old in text
    (tmp_path / "changed" / "hyperparams.yaml").write_text(text.replace(old, new))
    return tmp_path / "changed"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "sample_rate: 8000",
            "x: !apply:os.getcwd []\nsample_rate: 8000",
            r"names !apply:os\.getcwd, and building those can run",
        ),
        (
            "sample_rate: 8000",
            "sample_rate: 8000\nx: !apply:speechbrain.utils.parameter_transfer.platform.os.getcwd []",
            "and building those can run",
        ),
        (
            "sample_rate: 8000",
            "sample_rate: 8000\nx: !!python/object/apply:os.getcwd []",
            r"names !!python/object/apply:os\.getcwd",
        ),
        ("sample_rate: 8000", "sample_rate: 8000\nx: !include:other.yaml", "names !include:other"),
        ("sample_rate: 8000", "%TAG ! !apply:\n---\nsample_rate: 8000", "names %TAG"),
        (
            "    loadables:\n        model: !ref <model>\n",
            "    loadables: {}\n",
            "no file fills encoder of speechbrain:",
        ),
        ("modules:\n    encoder", "modules:\n    decoder", "has the modules decoder; those of an EncoderClassifier"),
        ("sample_rate: 8000", "sample_rate: [", "cannot load its model"),
    ],
)
def test_a_file_that_describes_no_encoder_or_could_run_code_is_refused(folders, tmp_path, old, new, message):
    with pytest.raises(UserError, match=message):
        load_upstream(f"speechbrain:{changed(folders / 'frames', tmp_path, old, new)}")


def test_code_runs_where_it_is_trusted(folders, tmp_path):
    old, new = "sample_rate: 8000", "x: !apply:os.getcwd []\nsample_rate: 8000"
    folder = changed(folders / "frames", tmp_path, old, new)
    assert load_upstream(f"speechbrain:{folder}", UpstreamOptions(trust_checkpoint=True)).sample_rate == 8_000


def test_weights_that_are_not_there_are_refused(folders, tmp_path):
    folder = changed(folders / "frames", tmp_path, "sample_rate", "sample_rate")
    saved = torch.load(folder / "model.ckpt", weights_only=True)
    torch.save({"w.weight": saved["w.weight"]}, folder / "model.ckpt")
    for name, checkpoint, message in (
        (folder, None, r"lack weights: w\.bias"),
        (tmp_path, None, "has no hyperparams.yaml"),
        (folders / "frames", folder, "take no --checkpoint; name the folder"),
    ):
        with pytest.raises(UserError, match=message):
            load_upstream(f"speechbrain:{name}", UpstreamOptions(checkpoint=checkpoint))
