"""Altered copies of a dataset: what is done to a clip, the stores, and clean supports against noisy queries."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from extraction.alterations import Alteration, AlteredDataset
from extraction.datasets import load_dataset
from extraction.decoding import decode_audio
from extraction.launching import launch
from extraction.noises import NoiseFiles
from extraction.options import ExtractOptions
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings
from jfewshot import evaluate
from jfewshot.audio import resample
from jfewshot.errors import UserError
from jfewshot.reporting.trends import trends
from jfewshot.simclr.augmentation import impulse_responses, reverb
from jfewshot.store import find_stores, open_store
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


@pytest.fixture(scope="module")
def noises(tmp_path_factory):
    """Two recordings, one of them at another rate and shorter than the clips, and a silent one."""
    folder = tmp_path_factory.mktemp("pub")
    rng = np.random.default_rng(3)
    soundfile.write(folder / "long.wav", 0.1 * rng.normal(size=4 * RATE), RATE, subtype="FLOAT")
    soundfile.write(folder / "short.flac", 0.1 * rng.normal(size=16_000 // 4), 16_000)
    return folder


def test_recorded_noise_is_a_piece_of_a_file_at_the_ratio_that_is_asked_for(wave, noises):
    found = NoiseFiles.find(noises)
    assert [name for name, *_ in found.files] == ["long.wav", "short.flac"]
    long = soundfile.read(noises / "long.wav", dtype="float32")[0]
    short = resample(soundfile.read(noises / "short.flac", dtype="float32")[0], 16_000, RATE)
    starts, n_short = set(), 0
    for number in range(30):
        clip = f"clip {number}"
        noisy = Alteration("noise", 10.0)(wave, RATE, clip, found)
        noise = noisy.astype(np.float64) - wave
        powers = np.square(wave, dtype=np.float64).mean(), np.square(noise).mean()
        assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(10.0, abs=0.01)
        np.testing.assert_array_equal(noisy, Alteration("noise", 10.0)(wave, RATE, clip, NoiseFiles.find(noises)))
        noise /= np.sqrt(powers[1])
        # A piece of the long file as it is, or the whole short one, resampled and repeated four times.
        at = int(np.argmax(np.correlate(long.astype(np.float64), noise, "valid")))
        piece = long[at : at + RATE].astype(np.float64)
        if np.corrcoef(piece, noise)[0, 1] > 0.999:
            starts.add(at)
        else:
            assert np.corrcoef(np.tile(short, 4), noise)[0, 1] > 0.999
            n_short += 1
    assert 5 <= n_short <= 25
    assert len(starts) > 4


def test_the_noise_does_not_depend_on_where_the_folder_is(tmp_path, noises):
    copy = shutil.copytree(noises, tmp_path / "elsewhere")
    listed = tmp_path / "elsewhere.txt"
    listed.write_text("elsewhere/short.flac\n\nelsewhere/long.wav\n", "utf-8")
    first, second = NoiseFiles.find(noises), NoiseFiles.find(copy)
    np.testing.assert_array_equal(first.piece("a", 100, RATE), second.piece("a", 100, RATE))
    assert first.identity["sha256"] == second.identity["sha256"]
    assert len(NoiseFiles.find(listed).files) == 2
    soundfile.write(copy / "more.wav", np.ones(RATE) * np.linspace(0, 0.5, RATE), RATE)
    assert NoiseFiles.find(copy).identity["sha256"] != first.identity["sha256"]


def test_noise_that_cannot_be_used_is_named(tmp_path, wave):
    with pytest.raises(UserError, match=r"missing does not exist; name a folder of recordings"):
        NoiseFiles.find(tmp_path / "missing")
    with pytest.raises(UserError, match="holds no audio"):
        NoiseFiles.find(tmp_path)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    with pytest.raises(UserError, match="100 pieces for clip 'a' are silent; remove silent files"):
        NoiseFiles.find(tmp_path).piece("a", 100, RATE)
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(UserError, match=r"--noise-from: .*text\.wav: .*leave it out of the list"):
        NoiseFiles.find(tmp_path)
    with pytest.raises(UserError, match="--noise-from names the noise that --alter noise:DB adds"):
        launch(ExtractOptions(("folder:x",), ("fbank",), tmp_path, alter=("reverb:50",), noise_from=tmp_path))


def test_stores_with_recorded_noise_have_a_curve_of_their_own_and_name_the_noise(tmp_path, noises):
    clips = class_folders(tmp_path / "clips", n_classes=3, clips_per_class=6)
    birds, pub = load_dataset("folder:birds"), NoiseFiles.find(noises)
    wanted = [birds, *(AlteredDataset(birds, Alteration("noise", value), pub) for value in (20.0, 0.0))]
    for dataset in wanted:
        extract(dataset, clips, [ToyEncoder()], tmp_path / "stores", ExtractionSettings(workers=0))
    names = ("birds", f"birds@noise_{pub.name}_20", f"birds@noise_{pub.name}_0")
    clean, _, noisy = (open_store(tmp_path / "stores" / name / "toy") for name in names)
    expected = {"of": "birds", "kind": "noise", "value": 0.0, "noise": pub.name, "noise_sha256": pub.identity["sha256"]}
    assert noisy.manifest["dataset"]["altered"] == expected
    plain = AlteredDataset(birds, Alteration("noise", 0.0))
    extract(plain, clips, [ToyEncoder()], tmp_path / "stores", ExtractionSettings(workers=0))
    coloured = open_store(tmp_path / "stores" / "birds@noise_0" / "toy")
    assert coloured.clips.digest == noisy.clips.digest == clean.clips.digest
    assert np.abs(coloured.view("last.mean") - noisy.view("last.mean")).max() > 1e-3
    stores = [open_store(path) for path in find_stores(tmp_path / "stores")]
    options = {"ways": 3, "n_query": 2, "n_episodes": 20, "classifiers": "centroid", "query_segments": "one"}
    # The store of coloured noise has one ratio alone, which makes no curve.
    records = evaluate(stores, support_from=clean, **options)
    (trend,) = [one for one in trends(records) if one.name == "alterations"]
    assert trend.title.startswith(f"birds with {pub.name}: ")
    assert trend.ticks == {0.0: "0", 20.0: "20", 40.0: "clean"}


def test_what_is_decoded_is_altered(tmp_path, monkeypatch):
    from extraction.alterations import AlteredAudio

    path = next(path for path in class_folders(tmp_path).rglob("*") if path.is_file())
    plain, rate = decode_audio(path)
    alteration = Alteration("noise", 10.0)
    found, same_rate = decode_audio(AlteredAudio(path, "x", alteration))
    assert rate == same_rate
    np.testing.assert_array_equal(found, alteration(plain, rate, "x"))
