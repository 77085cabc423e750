"""Altered copies of a dataset: what is done to a clip, the stores, and clean supports against noisy queries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from extraction.alterations import Alteration, AlteredDataset
from extraction.datasets import load_dataset
from extraction.decoding import decode_audio
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings
from jfewshot import evaluate
from jfewshot.errors import UserError
from jfewshot.reporting.trends import trends
from jfewshot.simclr.augmentation import impulse_responses, reverb
from jfewshot.store import open_store
from tests.extraction.toy import ToyEncoder, class_folders

RATE = 8000


@pytest.fixture(scope="module")
def wave():
    return (0.1 * np.random.default_rng(0).normal(size=RATE)).astype(np.float32)


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_noise_has_the_ratio_that_is_asked_for_and_is_the_clips_own(wave, snr_db):
    noise = Alteration("noise", snr_db)(wave, RATE, "a").astype(np.float64) - wave
    assert 10 * np.log10(np.square(wave, dtype=np.float64).mean() / np.square(noise).mean()) == pytest.approx(
        snr_db, abs=0.01
    )
    # The same noise at every ratio, another one for another clip.
    louder = Alteration("noise", snr_db - 10)(wave, RATE, "a").astype(np.float64) - wave
    np.testing.assert_allclose(louder, np.sqrt(10) * noise, atol=1e-5)
    assert not np.allclose(Alteration("noise", snr_db)(wave, RATE, "b") - wave, noise, atol=1e-3)


def test_silence_stays_silence():
    silence = np.zeros(RATE, np.float32)
    for text in ("noise:0", "reverb:50", "band:1000"):
        assert not Alteration.parse(text)(silence, RATE, "a").any()


def test_a_room_is_the_one_that_encoders_are_trained_with(wave):
    bank = jnp.asarray(impulse_responses(RATE, n_rooms=3)[1:2])
    expected, _ = reverb(jax.random.key(0), jnp.asarray(wave), jnp.int32(len(wave)), bank)
    np.testing.assert_allclose(Alteration("reverb", 50.0)(wave, RATE, "a"), expected, atol=2e-5)


def test_a_band_keeps_what_is_below_and_nothing_above(wave):
    band = Alteration("band", 1000.0)(wave, RATE, "a")
    assert band.shape == wave.shape
    before, after = (np.abs(np.fft.rfft(x)) ** 2 for x in (wave, band))
    frequency = np.fft.rfftfreq(len(wave), 1 / RATE)
    assert after[frequency > 1100].sum() < 1e-4 * before[frequency > 1100].sum()
    assert after[frequency < 800].sum() == pytest.approx(before[frequency < 800].sum(), rel=0.02)
    assert Alteration("band", 5000.0)(wave, RATE, "a") is wave


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noise", "noise is .* -60 to 120 dB"),
        ("reverb:101", "0 to 100 %"),
        ("echo:3", "give clean, noise:DB"),
        ("band:x", "Hz"),
    ],
)
def test_an_alteration_that_makes_no_sense_is_named(text, message):
    with pytest.raises(UserError, match=message):
        Alteration.parse(text)


def test_clean_supports_against_noisy_queries_make_a_curve_over_the_ratio(tmp_path):
    clips = class_folders(tmp_path / "clips", n_classes=3, clips_per_class=6)
    settings, birds = ExtractionSettings(workers=0), load_dataset("folder:birds")
    wanted = [birds, *(AlteredDataset(birds, Alteration("noise", value)) for value in (20.0, 0.0))]
    for dataset in wanted:
        extract(dataset, clips, [ToyEncoder()], tmp_path / "stores", settings)
    clean, loud, noisy = (
        open_store(tmp_path / "stores" / name / "toy") for name in ("birds", "birds@noise_20", "birds@noise_0")
    )
    assert clean.clips.digest == loud.clips.digest == noisy.clips.digest
    assert noisy.manifest["dataset"]["altered"] == {"of": "birds", "kind": "noise", "value": 0.0}
    assert "altered" not in clean.manifest["dataset"]
    moved = [np.abs(store.view("last.mean") - clean.view("last.mean")).mean() for store in (loud, noisy)]
    assert 0 < moved[0] < moved[1]
    # The plan names the alteration, so a store of another one is not taken for it.
    before = (noisy.path / "manifest.json").stat().st_mtime_ns
    extract(wanted[2], clips, [ToyEncoder()], tmp_path / "stores", settings)
    assert (noisy.path / "manifest.json").stat().st_mtime_ns == before
    records = evaluate(
        [clean, loud, noisy],
        support_from=clean,
        ways=3,
        n_query=2,
        n_episodes=20,
        classifiers="centroid",
        query_segments="one",
    )
    (trend,) = [one for one in trends(records) if one.name == "alterations"]
    assert trend.x_label == "signal-to-noise ratio of the queries (dB)"
    assert trend.ticks == {0.0: "0", 20.0: "20", 40.0: "clean"}
    (panel,) = trend.panels
    (curve,) = panel.curves
    by_name = {record["dataset"]["name"]: record["accuracy"]["mean"] for record in records}
    assert curve.x == (0.0, 20.0, 40.0)
    assert curve.mean == (by_name["birds@noise_0"], by_name["birds@noise_20"], by_name["birds"])


def test_what_is_decoded_is_altered(tmp_path, monkeypatch):
    from extraction.alterations import AlteredAudio

    path = next(path for path in class_folders(tmp_path).rglob("*") if path.is_file())
    plain, rate = decode_audio(path)
    alteration = Alteration("noise", 10.0)
    found, same_rate = decode_audio(AlteredAudio(path, "x", alteration))
    assert rate == same_rate
    np.testing.assert_array_equal(found, alteration(plain, rate, "x"))
