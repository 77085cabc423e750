"""What is computed otherwise than s3prl writes it gives what s3prl's own code gives."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.s3prl.convolution import FastConvolution, algorithm, serves

SPED_UP = {"wav2vec_large": 6, "vq_wav2vec_gumbel": 3, "npc_960hr": 2}  # of the tiny ones, how many modules


def changed_modules(upstream) -> list[torch.nn.Module]:
    """Those whose forward pass is not of s3prl's making (or its wrapper that keeps front ends in float32)."""
    own = [(module, vars(module)["forward"]) for module in upstream.expert.modules() if "forward" in vars(module)]
    return [module for module, forward in own if getattr(forward, "__name__", "") != "full_precision"]


@pytest.mark.parametrize("width", range(2, 17))
def test_blocks_of_frames_come_out_with_fewer_products(width: int):
    way = algorithm(width)
    block, products = way.outputs.shape
    assert way.inputs.shape == (products, block + width - 1) or way.inputs.shape == (products, 16 if width <= 8 else 32)
    assert products < 0.7 * block * width
    rng = np.random.default_rng(width)
    taps, given = rng.standard_normal(width), rng.standard_normal(way.inputs.shape[1])
    computed = way.outputs @ ((way.taps @ taps) * (way.inputs @ given))
    np.testing.assert_allclose(computed, np.correlate(given, taps)[:block], atol=1e-12)


@pytest.mark.parametrize(
    ("width", "stride", "padding", "bias"),
    [(2, 1, 0, False), (3, 1, 1, True), (4, 2, 0, False), (8, 4, 0, False), (7, 1, 0, True), (15, 1, 7, True)],
)
@pytest.mark.parametrize(("batch", "samples"), [(1, 0), (3, 1), (2, 61), (5, 700), (1, 9_001)])
def test_it_is_torchs_convolution(width: int, stride: int, padding: int, bias: bool, batch: int, samples: int):
    """Of the shortest waves, of several to a product, and of so many frames that they are computed in pieces."""
    torch.manual_seed(width)
    plain = torch.nn.Conv1d(6, 5, width, stride, padding, bias=bias)
    assert serves(plain)
    waves = torch.randn(batch, 6, width + samples)
    with torch.inference_mode():
        frames = FastConvolution(plain, plain.weight)(waves)
        expected = plain.double()(waves.double())
    assert frames.shape == expected.shape
    assert frames.dtype == torch.float32
    assert float((frames - expected).abs().max()) < 3e-6 * float(expected.abs().max())


def test_waves_of_another_layout_will_do_and_too_short_ones_are_refused_as_torch_does():
    plain = torch.nn.Conv1d(4, 4, 5)
    fast, waves = FastConvolution(plain, plain.weight), torch.randn(2, 40, 4).transpose(1, 2)
    with torch.inference_mode():
        torch.testing.assert_close(fast(waves), plain(waves), rtol=0, atol=1e-5)
    with pytest.raises(RuntimeError, match="fewer than the 5 taps"):
        fast(waves[:, :, :4])


@pytest.mark.parametrize(
    "settings",
    [{"groups": 2}, {"dilation": 2}, {"padding_mode": "reflect", "padding": 1}, {"padding": "same"}, {"stride": 2}],
)
def test_other_convolutions_are_left_to_torch(settings: dict):
    assert serves(torch.nn.Conv1d(4, 4, 5))
    assert not serves(torch.nn.Conv1d(4, 4, 5, **settings))


@pytest.mark.parametrize("name", SPED_UP)
def test_every_layer_is_that_of_s3prls_own_code(name: str, checkpoint: Callable, waves: np.ndarray):
    path = checkpoint(name)
    fast = load_upstream(name, UpstreamOptions(checkpoint=path, device="cpu"))
    plain = load_upstream(name, UpstreamOptions(checkpoint=path, device="cpu", faster=False))
    assert len(changed_modules(fast)) >= SPED_UP[name]
    assert changed_modules(plain) == []
    assert fast.revision == plain.revision
    ours, theirs = (upstream.encode(waves, upstream.layers) for upstream in (fast, plain))
    for layer in plain.layers:
        assert np.abs(ours[layer] - theirs[layer]).max() < 5e-6 * np.abs(theirs[layer]).max()


@pytest.mark.parametrize("name", ["hubert_base", "apc_960hr", "tera_960hr"])
def test_the_others_run_as_s3prl_writes_them(name: str, checkpoint: Callable):
    assert changed_modules(load_upstream(name, UpstreamOptions(checkpoint=checkpoint(name), device="cpu"))) == []


def test_half_precision_runs_as_s3prl_writes_it(checkpoint: Callable):
    options = UpstreamOptions(checkpoint=checkpoint("npc_960hr"), device="cpu", autocast="bf16")
    assert changed_modules(load_upstream("npc_960hr", options)) == []


def test_the_codes_of_vq_wav2vec_are_the_same_to_the_bit(checkpoint: Callable, waves: np.ndarray):
    """Nothing before the quantizer is touched: another rounding would now and then choose another code."""
    seen = {}
    for faster in (False, True):
        options = UpstreamOptions(checkpoint=checkpoint("vq_wav2vec_gumbel"), device="cpu", faster=faster)
        upstream = load_upstream("vq_wav2vec_gumbel", options)
        model = upstream.expert.model
        model.vector_quantizer.register_forward_hook(
            lambda module, given, result, faster=faster: seen.__setitem__(faster, result)
        )
        upstream.encode(waves, ["last"])
    assert torch.equal(seen[True]["x"], seen[False]["x"])
    assert torch.equal(seen[True]["targets"], seen[False]["targets"])
    assert len(seen[True]["targets"].unique()) > 2
