"""The weight-free baselines against torchaudio's own, through s3prl's extracter."""

import numpy as np
import pytest

pytest.importorskip("kaldi_native_fbank", reason="needs the extra 'samples'")
from extraction.pooling import pool
from extraction.upstreams import load_upstream


@pytest.mark.parametrize(("name", "dim"), [("fbank", 240), ("mfcc", 39)])
def test_features_have_s3prls_dimensions_and_frames(waves, name, dim):
    upstream = load_upstream(name)
    frames = upstream.encode(np.tile(waves, (1, 5)), ["deltas", "static", "last"])
    assert frames["deltas"].shape == (3, 498, dim)
    assert frames["deltas"].dtype == np.float32
    np.testing.assert_array_equal(frames["static"], frames["deltas"][:, :, : dim // 3])
    np.testing.assert_array_equal(frames["static"], frames["last"])


def test_fbank_is_s3prls_without_normalisation(waves):
    # The compat module makes torchaudio importable beside a torch of another build.
    s3prl_fbank = load_upstream("s3prl_fbank_no_cmvn")
    theirs = s3prl_fbank.encode(waves, ["last"])["last"]
    ours = load_upstream("fbank").encode(waves, ["deltas", "static"])["static"]
    # s3prl's no-CMVN setting has no deltas either; float32 logarithms of near-silence differ in the third digit
    np.testing.assert_allclose(ours, theirs[:, :, :80], atol=2e-3)


def test_time_mean_is_not_zero_without_normalisation_per_utterance(waves):
    frames = load_upstream("fbank").encode(waves, ["last"])["last"]
    assert (np.linalg.norm(pool(frames, "mean"), axis=1) > 1).all()
    normalised = (frames - frames.mean(axis=1, keepdims=True)) / frames.std(axis=1, keepdims=True)
    assert (np.linalg.norm(pool(normalised, "mean"), axis=1) < 1e-4).all()


def test_deltas_of_a_ramp_are_its_slope():
    from extraction.upstreams.kaldi import deltas

    ramp = np.arange(20, dtype=np.float32)[None, :, None] * 3
    np.testing.assert_allclose(deltas(ramp)[0, 2:-2, 0], 3.0, rtol=1e-6)


def test_shortest_wave_gives_one_finite_frame(waves):
    upstream = load_upstream("mfcc")
    frames = upstream.encode(waves[:, : upstream.min_samples], ["last"])["last"]
    assert frames.shape == (3, 1, 13)
    assert np.isfinite(frames).all()
