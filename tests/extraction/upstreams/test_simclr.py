"""The project's own encoders as upstreams."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.self_check import self_check
from jfewshot.errors import UserError
from jfewshot.simclr.encoder import Encoder, EncoderConfig, to_arrays
from jfewshot.simclr.export import EncoderFolder, load_encoder, write_encoder
from jfewshot.simclr.features import FbankSettings

CONFIG = EncoderConfig(n_mels=20, n_layers=2, d_model=16, d_ff=32, n_heads=2, compute_dtype="bfloat16")
CPU = UpstreamOptions(device="cpu")


def encoder(**changes) -> EncoderFolder:
    config = changes.pop("config", CONFIG)
    rng = np.random.default_rng(0)
    return dataclasses.replace(
        EncoderFolder(
            name="tiny",
            config=config,
            arrays=to_arrays(Encoder(config, rngs=nnx.Rngs(0))),
            fbank=FbankSettings(n_mels=20),
            mean=rng.normal(-8, 1, 20).astype(np.float32),
            std=rng.uniform(2, 4, 20).astype(np.float32),
            title="Tiny SimCLR",
            licence="Apache-2.0",
            source="trained here",
        ),
        **changes,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("simclr") / "tiny", encoder())


@pytest.fixture(scope="module")
def upstream(folder: Path):
    """Shared, since each loaded encoder is compiled anew."""
    return load_upstream(f"simclr:{folder}", CPU)


def test_it_is_the_exported_encoder_in_float32_clip_by_clip(upstream, waves: np.ndarray, tmp_path: Path):
    """The folder's encoder was trained in bfloat16; features are float32 unless asked otherwise."""
    exact = load_encoder(
        write_encoder(tmp_path / "exact", encoder(config=dataclasses.replace(CONFIG, compute_dtype="float32")))
    )
    frames = upstream.encode(waves, [*upstream.layers, "last"])
    for row, wave in enumerate(waves):
        expected = exact(wave[None], upstream.layers)
        for layer in upstream.layers:
            np.testing.assert_allclose(frames[layer][row], expected[layer][0], atol=1e-5)
    np.testing.assert_array_equal(frames["last"], frames["2"])


def test_its_input_is_kaldi_s_filter_bank_normalised(upstream, folder: Path, waves: np.ndarray):
    knf = pytest.importorskip("kaldi_native_fbank")
    options = knf.FbankOptions()
    options.frame_opts.dither, options.mel_opts.num_bins, options.mel_opts.low_freq = 0.0, 20, 20.0
    written = load_encoder(folder).folder
    assert "input" not in upstream.layers
    assert upstream.further_layers == ("input", "hidden")
    for row, wave in zip(upstream.encode(waves, ["input", "last"])["input"], waves, strict=True):
        online = knf.OnlineFbank(options)
        online.accept_waveform(16_000, wave.tolist())
        online.input_finished()
        raw = np.stack([online.get_frame(frame) for frame in range(online.num_frames_ready)])
        # Kaldi's floor of the logarithm is float32's epsilon too, and its samples here lie in [-1, 1].
        np.testing.assert_allclose(row, (raw - written.mean) / written.std, atol=2e-3)


def test_it_says_what_it_is_and_passes_the_self_check(upstream):
    assert (upstream.name, upstream.title, upstream.licence) == ("tiny", "Tiny SimCLR", "Apache-2.0")
    assert (upstream.sample_rate, upstream.segment_samples, upstream.min_samples) == (16_000, 80_000, 400)
    assert upstream.layers == ("0", "1", "2")
    assert upstream.device == "cpu:0"
    assert upstream.revision.startswith("sha256:")
    assert self_check(upstream).shapes["2"] == (98, 16)


def test_bf16_is_by_request_and_near(folder: Path, upstream, waves: np.ndarray):
    exact = upstream.encode(waves, ["last"])["last"].mean(axis=1)
    half = load_upstream(f"simclr:{folder}", UpstreamOptions(device="cpu", autocast="bf16"))
    with jax.numpy_dtype_promotion("standard"):  # as users have it; the tests are strict elsewhere
        moved = np.abs(half.encode(waves, ["last"])["last"].mean(axis=1) - exact).max()
    assert 0 < moved < 4e-2 * np.abs(exact).max()
    assert half.revision.endswith(" bf16")
    with pytest.raises(UserError, match="float32 or bf16, not in fp16"):
        load_upstream(f"simclr:{folder}", UpstreamOptions(device="cpu", autocast="fp16"))


def test_unknown_layers_and_short_waves_are_refused(upstream):
    with pytest.raises(UserError, match="no layer '3'; it has 0, 1, 2, input, hidden"):
        upstream.encode(np.zeros((1, 1600), np.float32), ["3"])
    with pytest.raises(UserError, match="needs at least 400"):
        upstream.encode(np.zeros((1, 399), np.float32), ["last"])


def test_a_folder_that_is_none_is_told(tmp_path: Path):
    with pytest.raises(UserError, match=r"has no encoder\.json"):
        load_upstream(f"simclr:{tmp_path}", CPU)


def test_an_encoder_without_a_filter_bank_is_refused(tmp_path: Path):
    path = write_encoder(tmp_path / "converted", encoder(fbank=None, mean=None, std=None))
    with pytest.raises(UserError, match="does not say how its input features are computed"):
        load_upstream(f"simclr:{path}", CPU)


@pytest.mark.parametrize("device", ["cuda:99", "cpu:99"])
def test_a_device_that_jax_does_not_have_is_named(folder: Path, device: str):
    with pytest.raises(UserError, match=f"JAX has no device {device}; it has"):
        load_upstream(f"simclr:{folder}", UpstreamOptions(device=device))


def test_no_torch_is_needed(folder: Path):
    script = f"""
import sys
sys.modules["torch"] = None
from extraction.upstreams import load_upstream
import numpy as np
print(load_upstream("simclr:{folder}").encode(np.ones((1, 1600), np.float32), ["last"])["last"].shape)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "(1, 8, 16)", done.stderr
