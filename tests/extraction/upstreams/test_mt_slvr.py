"""MT-SLVR against what its authors' code gave for the same weights and inputs (see reference_weights.py).

Tolerances, relative to the largest value: 1e-5 from given features (rounding alone: 5e-7; the smallest mistake that was tried,
another epsilon, 0.007); 1e-2 from waves, where the phase of weak bands hangs on rounding (found: up to 0.004).
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from extraction.encoding import BatchEncoder
from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.mt_slvr_features import features
from extraction.upstreams.mt_slvr_network import MtSlvrNetwork, variant_of
from extraction.upstreams.self_check import self_check
from jfewshot.errors import UserError
from tests.extraction.upstreams.reference_weights import (
    mt_slvr_features,
    mt_slvr_tensor,
    mt_slvr_wave,
    reference,
)

REFERENCE = reference("mt_slvr")
# By variant: number of tensors, of parameters, and SHA-256 of a line for each tensor, name and shape, sorted.
PUBLISHED = {
    "parallel": (204, 13_949_736, "f38b9f3cf7650e4f96c9fc8f93a3b565e02bfa3cc233abc3355e888c0f00da80"),
    "bn": (176, 11_524_904, "578bc4183de6cc69b73d53056cb16889e5780faece7a96f9749e7def1d6563bc"),
    "series": (344, 14_308_648, "2694769a0d08ccbbb01ccacdfae54a9a18c0c489619551a87c6fcc3659fef4f4"),
    "split": (124, 11_689_512, "f47a32828922a77b80456847f580ae5f7bf94822cd69addf1aee1355c12d1dd8"),
    "none": (122, 11_689_512, "46bd7814ec81a02c3390911e5bf458e1d17c66184eb4b03cbe48c4bcad77cb0a"),
}


def tensors(variant: str) -> dict[str, torch.Tensor]:
    shapes = {name: tuple(tensor.shape) for name, tensor in MtSlvrNetwork(variant).state_dict().items()}
    return {name: torch.from_numpy(mt_slvr_tensor(name, shape)) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("mt_slvr")
    for variant in PUBLISHED:
        torch.save(tensors(variant), folder / f"{variant}.pt")
    return {variant: folder / f"{variant}.pt" for variant in PUBLISHED}


def load(checkpoint: Path | None, name: str = "mt_slvr"):
    return load_upstream(name, UpstreamOptions(checkpoint=checkpoint, device="cpu"))


def assert_near(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("variant", PUBLISHED)
def test_embeddings_of_given_features_are_the_original_s(files, variant):
    saved = torch.load(files[variant])
    lines = sorted(f"{name} {tuple(tensor.shape)}\n" for name, tensor in saved.items())
    network = MtSlvrNetwork(variant).eval()
    network.load_state_dict(saved)
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert (len(lines), n_parameters, digest) == PUBLISHED[variant]
    assert variant_of(saved) == variant
    for name, given in (("A", mt_slvr_features(157, 0)), ("B", mt_slvr_features(72, 1))):
        with torch.inference_mode():
            assert_near(network(torch.from_numpy(given))[0].numpy(), REFERENCE[f"emb.{variant}.{name}"], 1e-5)


def test_features_are_the_original_s():
    found = features(torch.from_numpy(mt_slvr_wave(1.0))[None])[0].numpy()
    expected = REFERENCE["feat.1s.raw"]
    np.testing.assert_allclose(found[0], expected[0], atol=0.01)  # dB
    np.testing.assert_allclose(found[1], expected[1], atol=0.05)
    # The first frame is symmetric: its phase is 0 or pi, and the sign of pi is rounding.
    away = found[2] - expected[2]
    away[:, 0] = np.abs(found[2][:, 0]) - np.abs(expected[2][:, 0])
    np.testing.assert_allclose(np.angle(np.exp(1j * away)), 0, atol=0.01)
    five = features(torch.from_numpy(mt_slvr_wave(5.0, 1))[None])[0].numpy()
    np.testing.assert_allclose(five[:2, ::8, ::8], REFERENCE["feat.5s.raw.sub"][:2], atol=0.05)


@pytest.mark.parametrize("variant", ["parallel", "bn"])
def test_embeddings_of_waves_are_the_original_s(files, variant):
    upstream = load(files[variant])
    assert (upstream.name, upstream.title, upstream.layers) == ("mt_slvr", "MT-SLVR", ("last",))
    found = upstream.encode(mt_slvr_wave(1.0)[None], ["last"])["last"]
    assert found.shape == (1, 1, 1000)
    assert_near(found[0, 0], REFERENCE[f"emb.{variant}.wave1s.raw"], 1e-2)
    self_check(upstream)


def test_clips_are_scaled_as_the_original_does_on_request(files):
    raw, clip, audioset = (load(files["parallel"], name) for name in ("mt_slvr", "mt_slvr:clip", "mt_slvr:audioset"))
    assert [x.name for x in (raw, clip, audioset)] == ["mt_slvr", "mt_slvr_clip", "mt_slvr_audioset"]
    assert len({x.revision for x in (raw, clip, audioset)}) == 3
    wave = mt_slvr_wave(1.0)
    rows = BatchEncoder(clip, ["last"], ["mean"], None).encode_block([wave, np.zeros_like(wave)])
    assert_near(rows.views["last.mean"][0], REFERENCE["emb.parallel.wave1s.norm"], 1e-2)
    assert np.isfinite(rows.views["last.mean"]).all()
    # All segments of a clip together, not each by itself.
    loud_and_soft = np.stack([wave, 0.1 * wave])
    scaled = clip.prepare_clip(loud_and_soft)
    assert scaled.std(ddof=1) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(scaled[1] - scaled[1].mean(), 0.1 * (scaled[0] - scaled[0].mean()), atol=1e-6)
    np.testing.assert_allclose(audioset.prepare_clip(wave[None])[0], (wave + 0.00029522) / 0.11652075, atol=1e-6)
    np.testing.assert_array_equal(raw.prepare_clip(wave[None])[0], wave)
    with pytest.raises(UserError, match=r"mt_slvr:loud is no scaling of waves; choose raw, clip, audioset"):
        load(files["parallel"], "mt_slvr:loud")


def test_what_is_no_checkpoint_of_it_is_refused(files, tmp_path):
    with pytest.raises(
        UserError, match=r"downloaded with a browser: https://drive\.google\.com.* pass --checkpoint FILE"
    ):
        load(None)
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt is not a checkpoint of MT-SLVR's ResNet-18"):
        load(tmp_path / "other.pt")
    saved = torch.load(files["bn"])
    # Trained with adapters for two tasks and one last layer, which the authors' own loader rejects too.
    del saved["fc_layers.1.weight"]
    torch.save(saved, tmp_path / "part.pt")
    with pytest.raises(UserError, match=r"does not fill MT-SLVR \(bn\).*fc_layers\.1\.weight"):
        load(tmp_path / "part.pt")
    torch.save(torch.load(files["bn"]) | {"predictor.weight": torch.ones(2)}, tmp_path / "more.pt")
    with pytest.raises(UserError, match=r"does not use: predictor\.weight"):
        load(tmp_path / "more.pt")
