"""s3prl's baselines, its other encoders by name, and the names themselves."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from extraction.upstreams import ALIASES, AMBIGUOUS, COMPARISON, UPSTREAMS, load_upstream, upstream_names
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.s3prl import baselines
from extraction.upstreams.s3prl.loading import entry_names
from extraction.upstreams.s3prl.paper import PAPER_UPSTREAMS
from jfewshot.errors import UserError
from tests.extraction.upstreams.s3prl_checkpoints import s3prl_direct

CPU = UpstreamOptions(device="cpu")


def test_the_tables_of_names_agree(paper_table: dict):
    assert {row["title"]: name for name, row in paper_table.items()} | {"MT-SLVR": COMPARISON} == ALIASES
    assert upstream_names(["paper"]) == list(paper_table)
    assert {name: row["title"] for name, row in paper_table.items()} == PAPER_UPSTREAMS | {"pase_plus": "PASE+"}
    assert set(PAPER_UPSTREAMS) <= set(UPSTREAMS)
    assert set(PAPER_UPSTREAMS) <= set(entry_names())


@pytest.mark.parametrize("name", sorted(AMBIGUOUS))
def test_names_that_mean_another_checkpoint_in_s3prl_are_refused(name: str):
    with pytest.raises(
        UserError, match=f"'{name}' is ambiguous: the paper's encoder is {AMBIGUOUS[name]}.*s3prl:{name}"
    ):
        load_upstream(name, CPU)


@pytest.mark.parametrize("name", sorted(baselines.MIN_SAMPLES))
def test_baselines_are_s3prls_own_clip_by_clip(name: str, waves: np.ndarray):
    upstream = load_upstream(f"s3prl_{name}", CPU)
    direct = s3prl_direct(name)
    frames = upstream.encode(waves[:2], ["last"])["last"]  # the third ends in zeros, see below
    for row in range(2):
        np.testing.assert_array_equal(frames[row], direct(waves[row])[-1])
    assert (upstream.name, upstream.n_parameters, upstream.layers) == (f"s3prl_{name}", 0, ("0",))
    assert upstream.title == baselines.TITLES[name]
    assert upstream.revision.startswith("s3prl 0.4")


@pytest.mark.parametrize("name", sorted(baselines.MIN_SAMPLES))
def test_a_batch_changes_no_baseline_even_beside_trailing_silence(name: str, waves: np.ndarray):
    upstream = load_upstream(f"s3prl_{name}", CPU)
    together = upstream.encode(waves, ["last"])["last"]
    for row, wave in enumerate(waves):
        np.testing.assert_allclose(together[row], upstream.encode(wave[None], ["last"])["last"][0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["mel", "linear"])
def test_s3prl_alone_drops_trailing_silence_of_these_two(name: str, waves: np.ndarray):
    """Why the lengths are passed on: by itself the wave with a pause at its end gives fewer frames."""
    assert len(s3prl_direct(name)(waves[2])[-1]) < len(s3prl_direct(name)(waves[0])[-1])


@pytest.mark.parametrize("name", sorted(baselines.MIN_SAMPLES))
def test_the_mean_over_time_of_normalised_baselines_is_zero(name: str, waves: np.ndarray):
    mean = load_upstream(f"s3prl_{name}", CPU).encode(waves[:1], ["last"])["last"].mean(axis=1)
    assert (np.abs(mean).max() < 1e-3) == (name != "fbank_no_cmvn")


@pytest.mark.parametrize("name", sorted(baselines.MIN_SAMPLES))
def test_the_shortest_wave_of_a_baseline_is_finite(name: str):
    upstream = load_upstream(f"s3prl_{name}", CPU)
    noise = np.random.default_rng(0).standard_normal((1, upstream.min_samples)).astype(np.float32)
    assert np.isfinite(upstream.encode(noise, ["last"])["last"]).all()
    with pytest.raises(UserError, match="at least"):
        upstream.encode(noise[:, 1:], ["last"])


def test_ones_own_training_of_a_known_architecture_is_loaded_and_checked(checkpoint: Callable, waves: np.ndarray):
    path = checkpoint("hubert_base")
    upstream = load_upstream("s3prl:hubert_local", UpstreamOptions(checkpoint=path, device="cpu"))
    assert upstream.name == "hubert_local-hubert_base.tiny"
    np.testing.assert_allclose(
        upstream.encode(waves[:1], ["last"])["last"][0], s3prl_direct("hubert_base", path)(waves[0])[-1], atol=1e-5
    )
    with pytest.raises(UserError, match="is not a checkpoint of hubert_local"):
        load_upstream("s3prl:hubert_local", UpstreamOptions(checkpoint=checkpoint("apc_960hr"), device="cpu"))
    with pytest.raises(UserError, match="needs a file of your own: pass --checkpoint"):
        load_upstream("s3prl:hubert_local", CPU)


def test_another_size_of_a_known_kind_is_loaded_under_its_name(checkpoint: Callable, waves: np.ndarray):
    upstream = load_upstream("s3prl:wavlm_large", UpstreamOptions(checkpoint=checkpoint("wavlm_base"), device="cpu"))
    assert (upstream.name, upstream.title, upstream.min_samples) == ("wavlm_large", "s3prl wavlm_large", 400)


def test_wav2vec2_local_is_wav2vec2s_and_not_the_one_that_vq_wav2vec_also_defines(checkpoint: Callable):
    options = UpstreamOptions(checkpoint=checkpoint("wav2vec2_base_960"), device="cpu")
    assert "wav2vec2" in type(load_upstream("s3prl:wav2vec2_local", options).expert).__module__


def test_an_encoder_without_an_entry_here_is_probed_for_its_shortest_wave(tmp_path: Path):
    settings = tmp_path / "stft.yaml"
    spectrogram = "{n_fft: 512, hop_length: 160, win_length: 400, window: hann, center: true, log: true}"
    settings.write_text(f"spectrogram: {spectrogram}\n")
    upstream = load_upstream("s3prl:stft_mag", UpstreamOptions(checkpoint=settings, device="cpu"))
    assert upstream.revision.startswith("sha256:")
    assert np.isfinite(upstream.encode(np.ones((1, upstream.min_samples), np.float32), ["last"])["last"]).all()


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(UserError, match=r"did you mean .*hubert_base"):
        load_upstream("s3prl:hubert_bse", CPU)
    with pytest.raises(UserError, match=r"did you mean .*hubert_base"):
        load_upstream("hubert_bse", CPU)
    # Ours are found by the name that tables show, without their family's.
    with pytest.raises(UserError, match="did you mean simclr:speech_simclr_small"):
        load_upstream("speech_simclr_small", CPU)


def test_an_upstream_whose_packages_are_missing_names_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3prl.upstream.ast.expert", None)
    monkeypatch.delitem(sys.modules, "s3prl.upstream.ast.hubconf", raising=False)
    with pytest.raises(UserError, match=r"s3prl's ast needs the package"):
        load_upstream("s3prl:ast", CPU)
