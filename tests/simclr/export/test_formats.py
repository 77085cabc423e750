"""Exported encoders for programs without JAX: ONNX by onnxruntime, safetensors by its own reader."""

import dataclasses
import json

import numpy as np
import pytest
from flax import nnx

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from jfewshot.simclr.encoder import Encoder, EncoderConfig, to_arrays
from jfewshot.simclr.export import EncoderFolder, load_encoder, write_encoder
from jfewshot.simclr.export.onnx_file import frame_transform, write_onnx
from jfewshot.simclr.export.options import ExportOptions
from jfewshot.simclr.export.run import export
from jfewshot.simclr.features import FbankSettings

SIZES = {"n_mels": 20, "n_layers": 2, "d_model": 16, "d_ff": 32, "n_heads": 4, "prenet_channels": 6, "init_std": 0.3}


def encoder(**changes) -> EncoderFolder:
    """Every parameter is random, those of LayerNorm too."""
    config, rng = EncoderConfig(**SIZES, **changes), np.random.default_rng(0)
    arrays = {
        name: (value + 0.1 * rng.standard_normal(value.shape)).astype(np.float32)
        for name, value in to_arrays(Encoder(config, rngs=nnx.Rngs(0))).items()
    }
    mean, std = rng.normal(-8, 1, 20).astype(np.float32), rng.uniform(2, 4, 20).astype(np.float32)
    return EncoderFolder(
        "tiny", config, arrays, FbankSettings(n_mels=20), mean, std, "Tiny", "CC0-1.0", "here", {"steps": 3}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"prenet": "none", "norm": "post"},
        {"prenet": "conv1d", "norm": "pre", "layer_norm_eps": 1e-6},
        pytest.param({"prenet": "conv2d"}, marks=pytest.mark.slow),
    ],
    ids=["no prenet", "conv1d, norm before", "conv2d"],
)
def test_an_onnx_network_gives_the_encoder_s_hidden_states(tmp_path, voice, changes):
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = encoder(**changes)
    write_onnx(tmp_path / "tiny.onnx", folder)
    session = onnxruntime.InferenceSession(str(tmp_path / "tiny.onnx"), providers=["CPUExecutionProvider"])
    ours = load_encoder(write_encoder(tmp_path / "tiny", folder))
    for waves in (np.stack([voice[:16_000], voice[9_000:25_000]]), voice[None, :400], 0.0 * voice[None, :3_000]):
        found = session.run(None, {"waves": waves})
        expected = ours(waves, ours.layers)
        assert len(found) == len(expected) == 3
        for name, frames in zip(ours.layers, found, strict=True):
            np.testing.assert_allclose(frames, expected[name], atol=2e-4, err_msg=name)


def test_extraction_takes_the_network(tmp_path, voice):
    pytest.importorskip("onnxruntime")
    folder = encoder(prenet="none")
    write_encoder(tmp_path / "tiny", folder)
    export(ExportOptions(tmp_path / "tiny", tmp_path / "small.onnx", name="tiny", format="onnx", title="Small"))
    upstream = load_upstream(f"onnx:{tmp_path / 'small.onnx'}", UpstreamOptions(device="cpu", threads=1))
    assert (upstream.title, upstream.licence, upstream.layers) == ("Small", "CC0-1.0", ("0", "1", "2"))
    assert (upstream.sample_rate, upstream.min_samples) == (16_000, 400)
    assert upstream.n_parameters == sum(value.size for value in folder.arrays.values())
    expected = load_encoder(tmp_path / "tiny")(voice[None, :8_000])["last"]
    np.testing.assert_allclose(upstream.encode(voice[None, :8_000], ["last"])["last"], expected, atol=2e-4)
    with pytest.raises(
        UserError, match=r"small\.onnx is there already; name another file, or replace a file with --replace"
    ):
        export(ExportOptions(tmp_path / "tiny", tmp_path / "small.onnx", name="tiny", format="onnx"))
    with pytest.raises(UserError, match="has one step; leave out --step"):
        export(ExportOptions(tmp_path / "tiny", tmp_path / "other.onnx", name="tiny", format="onnx", step=3))


def test_a_frame_s_transform_is_numpy_s_step_by_step():
    settings = FbankSettings()
    frame = np.random.default_rng(0).standard_normal(400) + 5.0
    x = frame - frame.mean()
    x = (x - 0.97 * np.concatenate([x[:1], x[:-1]])) * np.hanning(400) ** 0.85
    spectrum = np.fft.rfft(x, 512)[:-1]
    np.testing.assert_allclose(
        frame_transform(settings) @ frame, np.concatenate([spectrum.real, spectrum.imag]), atol=1e-5
    )


def test_safetensors_holds_arrays_and_description(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    folder = encoder(prenet="conv1d")
    write_encoder(tmp_path / "tiny", folder)
    for dtype in ("float32", "float16"):
        path = tmp_path / f"{dtype}.safetensors"
        export(ExportOptions(tmp_path / "tiny", path, name="renamed", format="safetensors", dtype=dtype))
        with safetensors.safe_open(path, "numpy") as file:
            assert set(file.keys()) == {*folder.arrays, "cmvn.mean", "cmvn.std"}
            for name, value in folder.arrays.items():
                np.testing.assert_array_equal(file.get_tensor(name), value.astype(dtype))
            np.testing.assert_array_equal(file.get_tensor("cmvn.std"), folder.std)
            described = json.loads(file.metadata()["encoder"])
    assert EncoderConfig(**described["encoder"]) == folder.config
    assert FbankSettings(**described["fbank"]) == folder.fbank
    assert (described["name"], described["training"]) == ("renamed", {"steps": 3})


def test_an_encoder_without_a_filter_bank_is_no_network_from_waves(tmp_path):
    converted = dataclasses.replace(encoder(), fbank=None, mean=None, std=None)
    with pytest.raises(UserError, match="does not say how its input features are computed"):
        write_onnx(tmp_path / "x.onnx", converted)
    assert not list(tmp_path.iterdir())
