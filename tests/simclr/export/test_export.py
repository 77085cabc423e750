"""Encoder folders: written whole, verified when read, callable on waves of any length."""

import json

import numpy as np
import pytest
from flax import nnx

from jfewshot.errors import UserError
from jfewshot.simclr.encoder import Encoder, EncoderConfig, to_arrays
from jfewshot.simclr.export import EncoderFolder, load_encoder, write_encoder
from jfewshot.simclr.export.folder import SHIPPED
from jfewshot.simclr.export.loaded import _next_size
from jfewshot.simclr.features import FbankSettings, fbank, normalise

CONFIG = EncoderConfig(n_layers=2, d_model=16, d_ff=32, n_heads=4, prenet="conv1d", prenet_channels=8, init_std=0.2)


@pytest.fixture
def folder(tmp_path):
    encoder = Encoder(CONFIG, rngs=nnx.Rngs(0))
    mean, std = np.linspace(-8, -4, 80), np.linspace(1, 3, 80)
    whole = EncoderFolder(
        "tiny",
        CONFIG,
        to_arrays(encoder),
        FbankSettings(),
        mean,
        std,
        licence="CC-BY-4.0",
        training={"hours": 1.5, "steps": 1000},
    )
    return write_encoder(tmp_path / "tiny", whole)


def test_it_computes_what_its_parts_compute(folder, voice):
    loaded = load_encoder(folder)
    out = loaded(voice[None], ["0", "last"])
    features, counts = fbank(voice[None])
    features = normalise(features, counts, loaded.folder.mean, loaded.folder.std)
    states, n_frames = Encoder(CONFIG, rngs=nnx.Rngs(0))(features, counts)
    assert out["last"].shape == (1, int(n_frames[0]), 16) == (1, 50, 16)
    np.testing.assert_allclose(out["last"], states[-1], atol=1e-4)
    np.testing.assert_allclose(out["0"], states[0], atol=1e-4)
    assert loaded.layers == ("0", "1", "2")
    every = loaded(voice[None], ["hidden", "0", "1", "2"])
    np.testing.assert_array_equal(every["hidden"], np.concatenate([every[layer] for layer in loaded.layers], axis=-1))


def test_a_waves_frames_do_not_depend_on_the_size_it_is_padded_to(folder, voice):
    loaded = load_encoder(folder)
    short = loaded(voice[None, :15_000], ["last"])["last"]
    in_company = loaded(np.stack([voice[:15_000], voice[5_000:20_000], voice[:15_000]]), ["last"])["last"]
    np.testing.assert_allclose(in_company[[0, 2]], np.repeat(short, 2, axis=0), atol=1e-5)


def test_half_precision_files_are_smaller_and_close(folder, tmp_path, voice):
    full = load_encoder(folder)
    half = load_encoder(write_encoder(tmp_path / "half", full.folder, dtype="float16"))
    np.testing.assert_allclose(half(voice[None])["last"], full(voice[None])["last"], atol=2e-2)
    assert (tmp_path / "half" / "weights.npz").stat().st_size < 0.7 * (folder / "weights.npz").stat().st_size


def test_the_same_encoder_gives_the_same_file_and_its_card_says_what_it_is(folder, tmp_path):
    loaded = load_encoder(folder)
    again = load_encoder(write_encoder(tmp_path / "again", loaded.folder))
    assert again.revision == loaded.revision
    card = (folder / "README.md").read_text()
    for part in ("CC-BY-4.0", "| hours | 1.5 |", "| steps | 1,000 |", loaded.revision):
        assert part in card


def test_wrong_input_is_named(folder, tmp_path):
    loaded = load_encoder(folder)
    with pytest.raises(UserError, match="399 samples and needs at least 400"):
        loaded(np.zeros((1, 399), np.float32))
    with pytest.raises(UserError, match="no layer '7'"):
        loaded(np.zeros((1, 400), np.float32), ["7"])
    with pytest.raises(UserError, match=r"no encoder\.json"):
        load_encoder(tmp_path)


def test_a_folder_that_was_tampered_with_is_refused(folder):
    manifest = json.loads((folder / "encoder.json").read_text())
    for change, complaint in (
        ({"format_version": 99}, "update jfewshot"),
        ({"weights_sha256": "0" * 64}, "not the file"),
        ({"encoder": manifest["encoder"] | {"novelty": 1}}, "novelty"),
        ({"encoder": manifest["encoder"] | {"n_heads": 0}}, "n_heads is 0"),
        ({"encoder": manifest["encoder"] | {"d_model": "768"}}, "damaged .*d_model"),
        ({"encoder": []}, "damaged .*encoder"),
        ({"name": ""}, "damaged .*name"),
        ({"format_version": "1"}, "update jfewshot"),
    ):
        (folder / "encoder.json").write_text(json.dumps(manifest | change))
        with pytest.raises(UserError, match=complaint):
            load_encoder(folder)
    (folder / "encoder.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        load_encoder(folder)


def test_sizes_grow_by_at_most_half():
    assert [_next_size(n, 1) for n in (1, 2, 3, 4, 5, 6, 7, 9, 13, 17)] == [1, 2, 3, 4, 6, 6, 8, 12, 16, 24]


def test_the_encoder_that_ships_with_the_package_works_by_its_name(voice):
    shipped = load_encoder("speech_simclr_small")
    frames = shipped(voice[None])["last"]
    assert frames.shape == (1, 50, 128)
    assert np.all(np.isfinite(frames))
    assert shipped.licence == "GPL-3.0-only"
    assert sum(file.stat().st_size for file in (SHIPPED / shipped.name).iterdir()) < 8e6
