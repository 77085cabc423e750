"""The mel filter bank against librosa's, which openai-whisper carries as a file."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from extraction.upstreams.mel import power_spectrogram, slaney_filters


def test_filters_equal_librosas_as_whisper_ships_them():
    spec = importlib.util.find_spec("whisper")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("openai-whisper is not installed")
    with np.load(Path(spec.submodule_search_locations[0]) / "assets" / "mel_filters.npz") as filters:
        np.testing.assert_allclose(slaney_filters(16_000, 400, 80), filters["mel_80"], atol=1e-7)
        np.testing.assert_allclose(slaney_filters(16_000, 400, 128), filters["mel_128"], atol=1e-7)


def test_filters_have_unit_area_in_hz():
    filters = slaney_filters(16_000, 4096, 40)
    np.testing.assert_allclose(filters.sum(axis=1) * 16_000 / 4096, 1.0, rtol=0.02)


def test_spectrogram_equals_torchs():
    torch = pytest.importorskip("torch", reason="the reference is torch.stft")
    wave = np.random.default_rng(0).standard_normal(3_000).astype(np.float32)
    theirs = torch.stft(
        torch.from_numpy(wave), 400, 160, window=torch.hann_window(400), return_complex=True, pad_mode="reflect"
    )
    np.testing.assert_allclose(
        power_spectrogram(wave, 400, 160, "reflect"), theirs.abs().numpy() ** 2, rtol=1e-3, atol=1e-3
    )


def test_filters_peak_where_slaneys_scale_has_them():
    # 40 filters up to 8 kHz, by hand: 1 kHz is mel 15, and 8 kHz mel 15 + 27 ln 8 / ln 6.4 = 45.2456. The tenth peak is at
    # mel 11.0355, in the linear part (200/3 Hz a mel), and the thirtieth at mel 33.1065: 1000 * 6.4^(18.1065 / 27) Hz.
    # On HTK's scale they would be at 594 and 3,725 Hz.
    filters = slaney_filters(16_000, 65_536, 40)
    peaks = filters.argmax(axis=1) * 16_000 / 65_536
    assert peaks[9] == pytest.approx(735.7, abs=0.3)
    assert peaks[29] == pytest.approx(3472.4, abs=0.3)
