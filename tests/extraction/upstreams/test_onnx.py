"""ONNX files as encoders: a small network made here, in the shapes that people export."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.self_check import self_check
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file

KERNEL, HOP, WIDTH = 400, 320, 4


def weights() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((WIDTH, 1, KERNEL)).astype(np.float32) / KERNEL


def write(
    path: Path, batch="batch", samples="samples", last="frames", told: dict[str, str] | None = None, **outputs
) -> Path:
    """One strided convolution and a ReLU: outputs `/conv/out` (before) and `last` (after), both batch x frames x dim."""
    nodes = [
        helper.make_node("Unsqueeze", ["waves", "axis"], ["one_channel"]),
        helper.make_node("Conv", ["one_channel", "kernel"], ["channels_first"], strides=[HOP]),
        helper.make_node("Transpose", ["channels_first"], ["/conv/out"], perm=[0, 2, 1]),
        helper.make_node("Relu", ["/conv/out"], ["frames"]),
        helper.make_node("ReduceMean", ["frames"], ["vector"], axes=[1], keepdims=0),
    ]
    shapes = {"/conv/out": [batch, "frames", WIDTH], "frames": [batch, "frames", WIDTH], "vector": [batch, WIDTH]}
    shapes = {name: shapes[name] for name in ("/conv/out", last)}
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("waves", TensorProto.FLOAT, [batch, samples])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(weights(), "kernel"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, told or {})
    onnx.save(model, path)
    return path


def expected(waves: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(waves, KERNEL, axis=1)[:, ::HOP]
    return np.maximum(frames @ weights()[:, 0].T, 0)


def test_a_network_of_free_shapes(tmp_path: Path, waves: np.ndarray):
    path = write(tmp_path / "my encoder.onnx")
    upstream = load_upstream(f"onnx:{path}", UpstreamOptions(device="cpu", threads=1))
    assert (upstream.name, upstream.layers) == ("my_encoder", ("conv_out", "frames"))
    assert (upstream.sample_rate, upstream.segment_samples, upstream.min_samples) == (16_000, 80_000, 400)
    assert upstream.device == "cpu"
    assert upstream.revision == f"sha256:{sha256_of_file(path)}"
    frames = upstream.encode(waves, ["last", "conv_out"])
    np.testing.assert_allclose(frames["last"], expected(waves), atol=1e-6)
    assert frames["conv_out"].min() < 0
    assert self_check(upstream).shapes == {"conv_out": (49, 4), "frames": (49, 4)}


def test_a_batch_of_one_is_encoded_wave_by_wave(tmp_path: Path, waves: np.ndarray):
    upstream = load_upstream(f"onnx:{write(tmp_path / 'one.onnx', batch=1)}", UpstreamOptions(device="cpu"))
    np.testing.assert_allclose(upstream.encode(waves, ["last"])["last"], expected(waves), atol=1e-6)
    self_check(upstream)


def test_a_batch_of_two_is_filled_up(tmp_path: Path, waves: np.ndarray):
    upstream = load_upstream(f"onnx:{write(tmp_path / 'two.onnx', batch=2)}", UpstreamOptions(device="cpu"))
    np.testing.assert_allclose(upstream.encode(waves, ["last"])["last"], expected(waves), atol=1e-6)


def test_a_fixed_length_is_the_segment(tmp_path: Path):
    upstream = load_upstream(f"onnx:{write(tmp_path / 'fixed.onnx', samples=8000)}", UpstreamOptions(device="cpu"))
    assert (upstream.segment_samples, upstream.min_samples, upstream.max_samples) == (8000, 8000, 8000)
    self_check(upstream)
    with pytest.raises(UserError, match="takes at least 8000 and at most 8000 samples; this wave has 8001"):
        upstream.encode(np.zeros((1, 8001), np.float32), ["last"])


def test_one_vector_per_wave_is_one_frame(tmp_path: Path, waves: np.ndarray):
    upstream = load_upstream(f"onnx:{write(tmp_path / 'vector.onnx', last='vector')}", UpstreamOptions(device="cpu"))
    frames = upstream.encode(waves, ["last"])["last"]
    np.testing.assert_allclose(frames, expected(waves).mean(axis=1, keepdims=True), atol=1e-6)
    self_check(upstream)


def test_metadata_says_what_shapes_cannot(tmp_path: Path):
    told = {"sample_rate": "48000", "segment_samples": "whole", "min_samples": "500", "title": "Bats", "licence": "MIT"}
    path = write(tmp_path / "bats.onnx", told=told | {"n_parameters": "1600"})
    upstream = load_upstream(f"onnx:{path}", UpstreamOptions(device="cpu"))
    assert (upstream.sample_rate, upstream.segment_samples, upstream.min_samples) == (48_000, None, 500)
    assert (upstream.title, upstream.licence, upstream.n_parameters) == ("Bats", "MIT", 1600)
    self_check(upstream)


@pytest.mark.parametrize("value", ["16k", "-1", "0"])
def test_metadata_that_is_no_number_is_refused(tmp_path: Path, value: str):
    path = write(tmp_path / "bad.onnx", told={"sample_rate": value})
    with pytest.raises(UserError, match=f"gives sample_rate as '{value}'"):
        load_upstream(f"onnx:{path}", UpstreamOptions(device="cpu"))


def test_a_file_that_is_not_there_or_no_network_is_told(tmp_path: Path):
    with pytest.raises(UserError, match="there is no file"):
        load_upstream(f"onnx:{tmp_path / 'nothing.onnx'}", UpstreamOptions(device="cpu"))
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(UserError, match="cannot be opened as an ONNX network"):
        load_upstream(f"onnx:{tmp_path / 'text.onnx'}", UpstreamOptions(device="cpu"))


def test_a_network_of_something_else_is_told_what_is_needed(tmp_path: Path):
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["out"])],
        "image",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "image.onnx"
    )
    with pytest.raises(UserError, match=r"takes image: tensor\(float\) \[1, 3, 8, 8\]; one float32 input"):
        load_upstream(f"onnx:{tmp_path / 'image.onnx'}", UpstreamOptions(device="cpu"))


def test_too_short_waves_are_refused(tmp_path: Path):
    upstream = load_upstream(f"onnx:{write(tmp_path / 'short.onnx')}", UpstreamOptions(device="cpu"))
    with pytest.raises(UserError, match="at least 400 samples; this wave has 399"):
        upstream.encode(np.zeros((1, 399), np.float32), ["last"])


def test_a_gpu_that_onnxruntime_cannot_use_is_told(tmp_path: Path):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(UserError, match="this onnxruntime has no CUDA"):
        load_upstream(f"onnx:{write(tmp_path / 'gpu.onnx')}", UpstreamOptions(device="cuda"))


@pytest.mark.parametrize("device", ["mps", "gpu", "cuda:first", "CPU"])
def test_an_unknown_device_is_refused_and_not_replaced_by_the_cpu(tmp_path, device):
    with pytest.raises(UserError, match=f"run on auto, cpu, cuda, .* not on '{device}'"):
        load_upstream(f"onnx:{write(tmp_path / 'device.onnx')}", UpstreamOptions(device=device))
