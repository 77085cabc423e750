"""Encoders of avex give what avex gives, in a process that imports avex alone."""

import importlib.util
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
from extraction.upstreams.zoo_names import names_of
from jfewshot.audio import read_audio
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction import recordings

# BEATs with two small layers, in avex's YAML.
SPEC = """
model_spec:
  name: beats
  pretrained: false
  device: cpu
  audio_config: {sample_rate: 16000, representation: raw, normalize: false, target_length_seconds: 10}
  init_config: {encoder_layers: 2, encoder_embed_dim: 32, encoder_ffn_embed_dim: 64, encoder_attention_heads: 4, embed_dim: 16,
                input_patch_size: 16, conv_pos: 16, conv_pos_groups: 4, deep_norm: true, relative_position_embedding: true,
                gru_rel_pos: true, num_buckets: 32, max_distance: 80}
"""
# What the neighbour says: it imports nothing of ours. The first lines are for builds for CUDA beside a torch for CPUs, and for
# avex's EfficientNet, which fetches ImageNet's weights before it is given others.
NEIGHBOUR = """
import sys, types, numpy, torch
class Absent(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return (lambda function: function) if name.startswith("fail_if_no") else None
def forget(package):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
try:
    import torchaudio
except OSError:
    forget("torchaudio")
    sys.modules["torchaudio._extension"] = Absent("torchaudio._extension")
try:
    import torchvision
except RuntimeError:
    forget("torchvision")
    sys.modules["torchvision._meta_registrations"] = Absent("torchvision._meta_registrations")
import torchvision, avex, avex.models.efficientnet
avex.models.efficientnet.efficientnet_b0 = lambda weights: torchvision.models.efficientnet_b0()
model, weights, files = sys.argv[1], sys.argv[2], sys.argv[3:]
if not files:  # random weights
    torch.manual_seed(3)
    spec = avex.models.utils.load.load_model_spec_from_yaml(model) if model.endswith("yml") else avex.get_model_spec(model)
    network = avex.build_model_from_spec(spec, "cpu", return_features_only=True)
    # The norms of a trained EfficientNet are not those of one at its start, which make nearly constant features.
    for name, value in network.state_dict().items():
        if value.is_floating_point() and ("running_var" in name or value.ndim == 1 and "weight" in name):
            value.copy_(0.5 + torch.rand(value.shape))
    torch.save({"model_state_dict": network.state_dict()}, weights)
    sys.exit()
network = avex.load_model(model, "cpu", checkpoint_path=weights, return_features_only=True).eval()
assert not any(loaded.startswith(("jfewshot", "extraction")) for loaded in sys.modules)
for file in files:
    wave = torch.from_numpy(numpy.load(file))[None]
    with torch.no_grad():
        features = network(wave)
    pooled = network.model.avgpool(features).flatten(1) if features.ndim == 4 else features.mean(1)
    peaks = features.amax((2, 3)) if features.ndim == 4 else features.amax(1)
    numpy.savez(file + ".npz", mean=pooled[0].numpy(), max=peaks[0].numpy())
"""


@pytest.fixture(scope="module", autouse=True)
def _avex():
    if importlib.util.find_spec("avex") is None:
        pytest.skip("avex is not installed")


def neighbour(*arguments) -> None:
    command = [sys.executable, "-W", "ignore", "-c", NEIGHBOUR, *map(str, arguments)]
    done = subprocess.run(command, timeout=300, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def small_beats(tmp_path_factory):
    """A spec of a small BEATs and a file with random weights for it."""
    folder = tmp_path_factory.mktemp("beats")
    (folder / "small_beats.yml").write_text(SPEC)
    neighbour(folder / "small_beats.yml", folder / "weights.pt")
    return folder / "small_beats.yml", folder / "weights.pt"


def compare_with_the_neighbour(model, weights, tmp_path):
    """Three clips of different length and rate through the pipeline, and through avex in a process of its own."""
    upstream = load_upstream(f"avex:{model}", UpstreamOptions(checkpoint=weights))
    root, files = tmp_path / "clips", []
    for number, (rate, duration_s) in enumerate(((44_100, 0.8), (16_000, 2.1), (22_050, 1.3))):
        path = root / f"class{number}" / "x.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, recordings.wave(number, rate, duration_s), rate)
        files.append(str(tmp_path / f"{number}.npy"))
        np.save(files[-1], read_audio(path, upstream.sample_rate))
    neighbour(model, weights, *files)
    expected = []
    for file in files:
        with np.load(f"{file}.npz") as arrays:
            expected.append(dict(arrays))
    given = ExtractionSettings(workers=0, pooling=("mean", "max"))
    extract(load_dataset("folder:clips"), root, [upstream], tmp_path, given)
    store = open_store(tmp_path / "clips" / upstream.name)
    for pooling in ("mean", "max"):
        wanted = np.stack([one[pooling] for one in expected])
        size = np.abs(wanted).max()
        assert np.ptp(wanted, axis=0).max() > 0.01 * size  # clips differ
        # Rounding in float32, in other blocks of the same sums.
        np.testing.assert_allclose(store.view(f"last.{pooling}"), wanted, rtol=0, atol=1e-5 * size)
    return upstream


def test_beats_of_one_s_own_spec_is_as_avex_computes_it(small_beats, tmp_path):
    upstream = compare_with_the_neighbour(*small_beats, tmp_path)
    assert (upstream.name, upstream.sample_rate) == ("small_beats", 16_000)
    assert "checkpoint sha256:" in upstream.revision
    # 98 frames of 25 ms in a second, in patches of 16 x 16 of 128 bands.
    assert self_check(upstream).shapes == {"features": (48, 32)}


def test_efficientnet_of_the_registry_is_as_avex_computes_it(tmp_path):
    neighbour("esp_aves2_effnetb0_bio", tmp_path / "weights.pt")
    upstream = compare_with_the_neighbour("esp_aves2_effnetb0_bio", tmp_path / "weights.pt", tmp_path)
    assert self_check(upstream).shapes == {"features": (16, 1280)}


def test_weights_that_lack_a_tensor_or_are_of_another_encoder_are_refused(small_beats, tmp_path):
    spec, weights = small_beats
    saved = torch.load(weights, weights_only=True)["model_state_dict"]
    first = next(name for name in saved if "fc1.weight" in name)
    # As trainers write it: wrapped in a module, without the backbone's prefix, beside a head.
    dressed = {f"module.{name.removeprefix('backbone.')}": value for name, value in saved.items()}
    torch.save({"model": {**dressed, "module.classifier.weight": torch.zeros(3, 32)}}, tmp_path / "dressed.pt")
    wave = np.random.default_rng(0).standard_normal((1, 8_000)).astype(np.float32)
    found = [
        load_upstream(f"avex:{spec}", UpstreamOptions(checkpoint=file)).encode(wave, ["last"])["last"]
        for file in (weights, tmp_path / "dressed.pt")
    ]
    np.testing.assert_array_equal(*found)
    torch.save({name: value for name, value in saved.items() if name != first}, tmp_path / "partial.pt")
    torch.save({"network.weight": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save([torch.zeros(3)], tmp_path / "list.pt")
    for file, message in (
        ("partial.pt", f"does not fill avex:.*1 are missing .{first}."),
        ("other.pt", "does not fill avex"),
        ("list.pt", "holds list; a checkpoint of named tensors is needed"),
        ("gone.pt", r"there is no file .*gone\.pt for avex"),
    ):
        with pytest.raises(UserError, match=message):
            load_upstream(f"avex:{spec}", UpstreamOptions(checkpoint=tmp_path / file))


def test_the_list_and_the_shell_know_the_registry_without_torch():
    program = (
        "import sys; from extraction.upstreams.listing import found; sys.stdout.write(found(['avex:esp', 'avex,'])); "
        "assert not {'torch', 'avex'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=120, capture_output=True, text=True)
    listed = [line.split()[0].removeprefix("avex:") for line in done.stdout.splitlines()]
    with pytest.raises(UserError) as refused:
        load_upstream("avex:no such name")
    assert listed == names_of("avex")
    assert f"it has {', '.join(listed)}," in str(refused.value)  # as avex's registry names them
    assert "avex:esp_aves2_effnetb0_bio avex, efficientnet; 16 kHz" in done.stdout


def test_names_specs_and_code_of_others_that_cannot_be_taken_are_refused(small_beats, tmp_path):
    (tmp_path / "no_spec.yml").write_text("model_spec: {colour: blue}\n")
    (tmp_path / "no_rate.yml").write_text("model_spec: {name: beats, pretrained: false, device: cpu}\n")
    for name, message in (
        ("esp_aves2_sl_beats", "has no model 'esp_aves2_sl_beats'; did you mean avex:esp_aves2_sl_beats_"),
        (tmp_path / "gone.yml", "there is no file"),
        (tmp_path / "no_spec.yml", "is no spec of avex"),
        (tmp_path / "no_rate.yml", "has no audio_config"),
        (small_beats[0], "names no weights; give their file with --checkpoint"),
        ("esp_aves2_eat_bio", "runs code that avex downloads from the Hugging Face hub.*pass --trust-checkpoint"),
    ):
        with pytest.raises(UserError, match=message):
            load_upstream(f"avex:{name}")
