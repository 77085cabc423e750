"""The paper's encoders, from random-weight files in the published format, against s3prl called directly."""

import logging
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.s3prl.paper import PAPER_UPSTREAMS
from extraction.upstreams.self_check import self_check
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file
from tests.extraction.upstreams.s3prl_checkpoints import BUILDERS, s3prl_direct

# PASE+ is not s3prl's here; see test_pase_plus.py.
NAMES = sorted(BUILDERS)
FRAMES_PER_SECOND = dict.fromkeys(NAMES, 98) | dict.fromkeys(("tera_960hr", "mockingjay_960hr"), 101)
FRAMES_PER_SECOND |= dict.fromkeys(
    ("wavlm_base", "hubert_base", "wav2vec2_base_960", "distilhubert_base", "decoar2"), 49
)


def load(name: str, path: Path, **options):
    return load_upstream(name, UpstreamOptions(checkpoint=path, device="cpu", **options))


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def test_all_13_are_named_and_12_can_be_built_from_pypi():
    assert set(NAMES) == set(PAPER_UPSTREAMS)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_equals_s3prl_called_directly_clip_by_clip(name: str, checkpoint: Callable, waves: np.ndarray):
    path = checkpoint(name)
    upstream = load(name, path)
    direct = s3prl_direct(name, path)
    frames = upstream.encode(waves, [*upstream.layers, "last"])
    for row, wave in enumerate(waves):
        expected = direct(wave)
        assert len(expected) == len(upstream.layers)
        for layer, state in zip(upstream.layers, expected, strict=True):
            assert frames[layer][row].shape == state.shape
            assert relative(frames[layer][row], state) < 1e-5
        np.testing.assert_array_equal(frames["last"][row], frames[upstream.layers[-1]][row])


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_changes_no_feature(name: str, checkpoint: Callable, waves: np.ndarray):
    upstream = load(name, checkpoint(name))
    together = upstream.encode(waves, ["last"])["last"]
    for row, wave in enumerate(waves):
        assert relative(together[row], upstream.encode(wave[None], ["last"])["last"][0]) < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_all_frames_are_true_ones_and_as_many_as_the_table_says(name: str, checkpoint: Callable, paper_table: dict):
    upstream = load(name, checkpoint(name))
    one_second = upstream.encode(np.zeros((1, 16_000), np.float32), ["last"])["last"]
    five_seconds = upstream.encode(np.ones((1, 80_000), np.float32), ["last"])["last"]
    assert one_second.dtype == np.float32
    assert one_second.shape[1] == FRAMES_PER_SECOND[name]
    assert five_seconds.shape[1] == int(paper_table[name]["frames_5s"])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_in_training_mode_and_nothing_moves(name: str, checkpoint: Callable, waves: np.ndarray):
    upstream = load(name, checkpoint(name))
    assert not any(module.training for module in upstream.expert.modules())
    first = upstream.encode(waves, ["last"])["last"]
    upstream.encode(waves[::-1], ["last"])
    np.testing.assert_array_equal(upstream.encode(waves, ["last"])["last"], first)


@pytest.mark.parametrize(
    "name", ["hubert_base", "wavlm_base", "wav2vec2_base_960", "distilhubert_base", "wav2vec_large"]
)
def test_padding_would_have_moved_the_feature(name: str, checkpoint: Callable, waves: np.ndarray):
    """Why batches hold one length only: s3prl pads the shorter wave, and its mean feature becomes another."""
    direct = s3prl_direct(name, checkpoint(name))
    short = waves[0, :8_000]
    alone = direct(short)[-1]
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        both = direct.expert([torch.from_numpy(short), torch.from_numpy(waves[1])])["last_hidden_state"][0]
    assert relative(both[: len(alone)].numpy().mean(axis=0), alone.mean(axis=0)) > 1e-3


def test_training_mode_would_have_moved_npc(checkpoint: Callable, waves: np.ndarray):
    """Why the test above matters: one forward pass as s3prl hands the model out changes all later features."""
    direct = s3prl_direct("npc_960hr", checkpoint("npc_960hr"))
    before = direct(waves[0])[-1]
    direct.expert.train()
    with torch.no_grad():
        direct.expert([torch.from_numpy(waves[1])])
    direct.expert.eval()
    assert relative(direct(waves[0])[-1], before) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_the_shortest_wave_is_finite_and_one_sample_less_is_refused(name: str, checkpoint: Callable):
    path = checkpoint(name)
    upstream = load(name, path)
    noise = np.random.default_rng(0).standard_normal((1, upstream.min_samples)).astype(np.float32)
    frames = upstream.encode(noise, upstream.layers)
    assert all(np.isfinite(layer).all() and layer.shape[1] > 0 for layer in frames.values())
    with pytest.raises(UserError, match=f"needs at least {upstream.min_samples} samples"):
        upstream.encode(noise[:, 1:], ["last"])


@pytest.mark.parametrize("name", NAMES)
def test_one_sample_less_is_indeed_too_short_for_s3prl(name: str, checkpoint: Callable):
    direct = s3prl_direct(name, checkpoint(name))
    shortest = load(name, checkpoint(name)).min_samples
    noise = np.random.default_rng(0).standard_normal(shortest - 1).astype(np.float32)
    try:
        states = direct(noise)
    except RuntimeError:
        return
    assert not all(np.isfinite(state).all() for state in states)


@pytest.mark.parametrize("name", NAMES)
def test_loading_and_encoding_leave_no_trace(name: str, checkpoint: Callable, waves: np.ndarray, capfd, caplog):
    path = checkpoint(name)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global generator is what s3prl draws from
    torch.manual_seed(1)
    drawn = random.random(), np.random.random(), float(torch.rand(()))  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    torch_load, threads = torch.load, torch.get_num_threads()
    with caplog.at_level(logging.DEBUG):
        load(name, path).encode(waves, ["last"])
    assert (random.random(), np.random.random(), float(torch.rand(()))) == drawn  # noqa: NPY002
    assert capfd.readouterr().out == ""
    assert torch.load is torch_load
    assert torch.get_num_threads() == threads
    if name in ("distilhubert_base", "tera_960hr", "mockingjay_960hr"):
        assert "default upstream expert config" in caplog.text  # s3prl's chatter, kept for those who look


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name: str, checkpoint: Callable, paper_table: dict):
    path = checkpoint(name)
    upstream = load(PAPER_UPSTREAMS[name], path)
    assert (upstream.name, upstream.title) == (name, paper_table[name]["title"])
    assert upstream.revision == f"sha256:{sha256_of_file(path)}"
    assert (upstream.sample_rate, upstream.segment_samples) == (16_000, 80_000)
    assert upstream.n_parameters == sum(p.numel() for p in upstream.expert.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_every_one_passes_the_self_check(name: str, checkpoint: Callable):
    for kind in ("none", "bf16"):
        self_check(load(name, checkpoint(name), autocast=kind))


def test_unknown_layers_are_refused_by_name(checkpoint: Callable, waves: np.ndarray):
    upstream = load("apc_960hr", checkpoint("apc_960hr"))
    with pytest.raises(UserError, match="no layer '7'; it has 0, 1, 2"):
        upstream.encode(waves, ["7"])


@pytest.mark.parametrize("name", ["tera_960hr", "mockingjay_960hr"])
def test_waves_that_s3prl_would_cut_are_refused(name: str, checkpoint: Callable):
    upstream = load(name, checkpoint(name))
    with pytest.raises(UserError, match=r"cuts waves of more than 15\.00 s"):
        upstream.encode(np.zeros((1, 240_000), np.float32), ["last"])


def test_the_longest_wave_is_in_one_piece_and_15_seconds_sharp_is_not(checkpoint: Callable):
    """A cut shows in the positions: after it they start again at 0."""
    path = checkpoint("tera_960hr")
    direct = s3prl_direct("tera_960hr", path)
    calls = []
    direct.expert.transformer.model.register_forward_hook(lambda module, given, output: calls.append(given[0].shape[1]))
    longest = load("tera_960hr", path).max_samples
    noise = np.random.default_rng(0).standard_normal(longest + 1).astype(np.float32)
    direct(noise[:-1])
    assert calls == [1500]
    direct(noise)
    assert calls == [1500, 751, 750]


def test_the_optimizer_in_a_checkpoint_is_not_kept_in_memory(checkpoint: Callable):
    upstream = load("tera_960hr", checkpoint("tera_960hr"))
    assert not any(hasattr(module, "all_states") for module in upstream.expert.modules())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kind", "error"), [("bf16", 4e-2), ("fp16", 6e-3)])
def test_half_precision_moves_the_mean_feature_little(
    name: str, kind: str, error: float, checkpoint: Callable, waves: np.ndarray
):
    path = checkpoint(name)
    exact = load(name, path).encode(waves, ["last"])["last"].mean(axis=1)
    upstream = load(name, path, autocast=kind)
    half = upstream.encode(waves, ["last"])["last"]
    assert half.dtype == np.float32
    assert 0 < relative(half.mean(axis=1), exact) < error
    assert upstream.revision.endswith(f" {kind}")


def test_filter_banks_stay_in_float32_under_autocast(checkpoint: Callable, waves: np.ndarray):
    upstream = load("apc_960hr", checkpoint("apc_960hr"), autocast="bf16")
    seen = []
    upstream.expert.preprocessor.register_forward_hook(lambda module, given, output: seen.append(output.clone()))
    upstream.encode(waves[:1], ["last"])
    with torch.no_grad():
        exact = s3prl_direct("apc_960hr", checkpoint("apc_960hr")).expert.preprocessor(torch.from_numpy(waves[:1]))
    assert torch.equal(seen[-1], exact)


@pytest.mark.parametrize(
    ("option", "wrong", "message"), [("device", "tpu9", "unknown device"), ("device", "cuda:99", "GPUs")]
)
def test_a_device_that_is_not_there_is_named(checkpoint: Callable, option: str, wrong: str, message: str):
    with pytest.raises(UserError, match=message):
        load_upstream("apc_960hr", UpstreamOptions(checkpoint=checkpoint("apc_960hr"), **{option: wrong}))


def test_an_unknown_precision_is_named(checkpoint: Callable):
    with pytest.raises(UserError, match="unknown autocast 'int8'; choose none, bf16, fp16"):
        load("apc_960hr", checkpoint("apc_960hr"), autocast="int8")


def test_threads_are_set_only_when_asked_for(checkpoint: Callable):
    assert torch.get_num_threads() == 1
    try:
        load("apc_960hr", checkpoint("apc_960hr"), threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
