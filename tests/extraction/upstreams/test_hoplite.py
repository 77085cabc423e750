"""Presets of Hoplite's zoo give what perch-hoplite gives, in a process that imports perch-hoplite alone."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

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

# What the neighbour says: it imports nothing of ours.
NEIGHBOUR = """
import sys, numpy
from perch_hoplite.zoo import model_configs
preset, weights, files = sys.argv[1], sys.argv[2], sys.argv[3:]
if preset == "perch_v2_onnx":
    from perch_hoplite.zoo.models_onnx import TaxonomyModelOnnx
    roles = {"embedding": "embedding", "logits": "label"}
    model = TaxonomyModelOnnx(sample_rate=32000, output_map=roles, model_path=weights)
elif preset == "perch_8":
    from perch_hoplite.zoo.taxonomy_model_tf import TaxonomyModelTF
    model = TaxonomyModelTF.from_config(model_configs.perch_config(weights))
else:
    model = model_configs.load_model_by_name(preset)
assert not any(loaded.startswith(("jfewshot", "extraction")) for loaded in sys.modules)
for file in files:
    numpy.save(file + ".expected.npy", model.embed(numpy.load(file)).embeddings)
"""
SAVED_MODEL = """
import sys, numpy, tensorflow as tf
class Network(tf.Module):
    def __init__(self):
        draw = numpy.random.default_rng(0).standard_normal((160, 6))
        self.weights = tf.Variable(draw, dtype=tf.float32)
    @tf.function(input_signature=[tf.TensorSpec([None, 160000], tf.float32, name="inputs")])
    def __call__(self, inputs):
        embedding = tf.reduce_mean(tf.abs(tf.reshape(inputs, [-1, 160, 1000])), axis=2) @ self.weights
        return {"embedding": embedding, "label": embedding}
network = Network()
tf.saved_model.save(network, sys.argv[1], signatures={"serving_default": network.__call__})
"""


@pytest.fixture(scope="module", autouse=True)
def _hoplite():
    pytest.importorskip("perch_hoplite", reason="perch-hoplite is not installed")


def onnx_network(path: Path) -> Path:
    """A network with the input, the window and the outputs of Perch's ONNX form, and six random features."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    draw = np.random.default_rng(0).standard_normal((160, 6)).astype(np.float32)
    kind = onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Reshape", ["inputs", "shape"], ["pieces"]),
        helper.make_node("Abs", ["pieces"], ["sizes"]),
        helper.make_node("ReduceMean", ["sizes"], ["means"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["embedding"]),
        helper.make_node("Identity", ["embedding"], ["label"]),
    ]
    values = [numpy_helper.from_array(np.array([-1, 160, 1000]), "shape"), numpy_helper.from_array(draw, "weights")]
    inputs = [helper.make_tensor_value_info("inputs", kind, ["n", 160_000])]
    outputs = [helper.make_tensor_value_info(name, kind, ["n", 6]) for name in ("embedding", "label")]
    graph = helper.make_graph(nodes, "perch", inputs, outputs, values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def compare_with_the_neighbour(preset, weights, tmp_path, atol):
    """Three clips of different length and rate through the pipeline, and through perch-hoplite in a process of its own."""
    root, files = tmp_path / "clips", []
    upstream = load_upstream(f"hoplite:{preset}", UpstreamOptions(checkpoint=weights))
    # With windows of 5 s: less than one, one and a rest, two and a rest.
    for number, (rate, duration_s) in enumerate(((44_100, 0.8), (16_000, 6.1), (22_050, 11.3))):
        path = root / f"class{number}" / "x.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, recordings.wave(number, rate, duration_s), rate)
        files.append(str(tmp_path / f"{number}.npy"))
        np.save(files[-1], read_audio(path, upstream.sample_rate))
    command = [sys.executable, "-W", "ignore", "-c", NEIGHBOUR, preset, str(weights), *files]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    expected = [np.load(f"{file}.expected.npy")[:, 0] for file in files]
    assert all(np.abs(expected[i][0] - expected[j][0]).max() > 100 * atol for i, j in ((0, 1), (0, 2), (1, 2)))
    dataset, poolings = load_dataset("folder:clips"), {"mean": np.mean, "max": np.max}
    given = ExtractionSettings(workers=0, pooling=tuple(poolings))
    extract(dataset, root, [upstream], tmp_path / "pooled", given)
    store = open_store(tmp_path / "pooled" / "clips" / upstream.name)
    for row, windows in enumerate(expected):
        for pooling, function in poolings.items():
            wanted = function(windows.astype(np.float64), axis=0)
            np.testing.assert_allclose(store.view(f"last.{pooling}")[row], wanted, rtol=0, atol=atol)
    frames = ExtractionSettings(workers=0, pooling=("frames",), segment="whole")
    extract(dataset, root, [upstream], tmp_path / "frames", frames)
    store = open_store(tmp_path / "frames" / "clips" / upstream.name)
    np.testing.assert_allclose(store.view("last.frames"), np.concatenate(expected), rtol=0, atol=atol)
    return upstream, store, [len(windows) for windows in expected]


def test_the_baseline_of_beans_is_as_hoplite_computes_it(tmp_path, capfd):
    # MFCC in float32, up to 500 in size: rounding alone, as librosa computes both.
    upstream, store, n_windows = compare_with_the_neighbour("beans_baseline", None, tmp_path, 1e-4)
    assert n_windows == [1, 6, 11]
    assert (upstream.sample_rate, upstream.n_parameters) == (32_000, 0)
    assert store.manifest["upstream"]["frame_times"] == {"layer": "windows", "first_s": 0.0, "hop_s": 1.0}
    assert self_check(upstream).shapes == {"windows": (1, 80)}
    assert "features:" not in capfd.readouterr().out  # perch-hoplite prints at every call


def test_perch_as_onnx_is_as_hoplite_computes_it(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    weights = onnx_network(tmp_path / "perch.onnx")
    upstream, store, n_windows = compare_with_the_neighbour("perch_v2_onnx", weights, tmp_path, 1e-6)
    assert n_windows == [1, 1, 2]
    assert store.manifest["upstream"]["frame_times"]["hop_s"] == 5.0
    assert store.manifest["upstream"]["licence"] == "Apache-2.0"
    assert "weights sha256:" in upstream.revision
    assert self_check(upstream).shapes == {"windows": (1, 6)}
    # A silent window has no peak to scale to; perch-hoplite by itself divides into memory that nothing has filled.
    silence = np.zeros((1, 160_000), np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(upstream.encode(silence, ["last"])["last"], 0)


def test_perch_in_tensorflow_is_as_hoplite_computes_it(tmp_path):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("tensorflow is not installed")
    weights = tmp_path / "perch"
    subprocess.run([sys.executable, "-c", SAVED_MODEL, str(weights)], check=True, timeout=300, capture_output=True)
    upstream, _, n_windows = compare_with_the_neighbour("perch_8", weights, tmp_path, 1e-6)
    assert n_windows == [1, 1, 2]
    assert "weights sha256:" in upstream.revision


def test_the_list_and_the_shell_know_all_presets_without_what_runs_them():
    from perch_hoplite.zoo.model_configs import ModelConfigName

    presets = sorted(preset.value for preset in ModelConfigName)
    assert names_of("hoplite") == presets
    program = (
        "import sys; from extraction.upstreams.listing import found; sys.stdout.write(found(['hoplite:'])); "
        "assert not {'torch', 'tensorflow', 'onnxruntime'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=120, capture_output=True, text=True)
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines()}
    del lines["hoplite:..."]
    assert sorted(lines) == [f"hoplite:{preset}" for preset in presets]
    assert lines["hoplite:perch_v2"] == "Perch Hoplite; 32 kHz, 1536 dimensions, windows of 5 s; Apache-2.0"
    assert lines["hoplite:birdnet_V2.4"] == "Perch Hoplite; 48 kHz, 1024 dimensions, windows of 3 s; CC-BY-NC-SA-4.0"
    assert lines["hoplite:beans_baseline"] == "Perch Hoplite; 32 kHz, 80 dimensions, windows of 1 s"
    assert lines["hoplite:birdaves"] == "Perch Hoplite; 16 kHz, 768 dimensions"


def test_zeros_of_the_placeholder_are_refused_by_the_check():
    upstream = load_upstream("hoplite:placeholder")
    assert not upstream.encode(np.ones((1, 32_000), np.float32), ["last"])["last"].any()
    with pytest.raises(UserError, match="layer windows is the same for three unlike sounds"):
        self_check(upstream)


def test_presets_that_hoplite_does_not_have_and_weights_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "file.onnx").write_bytes(b"")
    for preset, checkpoint, message in (
        (
            "perch_v3",
            None,
            r"has no preset 'perch_v3'; did you mean hoplite:perch_v2 or .*its presets are birdnet_V2\.1",
        ),
        ("", None, "has no preset ''; its presets are"),
        ("beans_baseline", tmp_path, "takes no --checkpoint: it has no weights"),
        ("humpback", tmp_path, "takes no --checkpoint: perch-hoplite always reads its weights from Kaggle's cache"),
        ("birdaves", tmp_path / "file.onnx", r"takes no --checkpoint; onnx:.*file\.onnx runs that file"),
        ("perch_v2_onnx", tmp_path / "gone.onnx", r"there is no .*gone\.onnx for hoplite:perch_v2_onnx"),
        ("perch_v2_onnx", tmp_path / "file.onnx", r"cannot be loaded \(.*name a copy with --checkpoint"),
    ):
        with pytest.raises(UserError, match=message):
            load_upstream(f"hoplite:{preset}", UpstreamOptions(checkpoint=checkpoint))
    with pytest.raises(UserError, match="run in float32, not in bf16"):
        load_upstream("hoplite:beans_baseline", UpstreamOptions(autocast="bf16"))


@pytest.mark.parametrize(("package", "preset"), [("tensorflow", "perch_8"), ("onnxruntime", "perch_v2_onnx")])
def test_a_package_that_a_preset_needs_is_named(monkeypatch, tmp_path, package, preset):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "perch_hoplite.zoo.taxonomy_model_tf", raising=False)
    monkeypatch.delitem(sys.modules, "perch_hoplite.zoo.models_onnx", raising=False)
    with pytest.raises(UserError, match=rf"needs the Python package {package}.*pip install 'perch-hoplite\["):
        load_upstream(f"hoplite:{preset}", UpstreamOptions(checkpoint=tmp_path))
