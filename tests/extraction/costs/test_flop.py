"""Operations that are counted, against sums worked out by hand."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import torch

from extraction.costs.flop import flop_of
from extraction.costs.in_jax import count_jax
from extraction.costs.in_torch import count_torch
from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from tests.extraction.upstreams.test_onnx import HOP, KERNEL, WIDTH, write


def in_inference(network, *inputs):
    def work():
        with torch.inference_mode():
            network(*inputs)

    return work


def test_recurrent_layers_attention_and_convolutions_of_torch_are_counted():
    lstm = torch.nn.LSTM(40, 16, num_layers=2, batch_first=True)
    assert count_torch(in_inference(lstm, torch.randn(1, 30, 40))) == 2 * 30 * 4 * 16 * ((40 + 16) + (16 + 16))
    block = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).eval()
    by_hand = 2 * 50 * (4 * 64 * 64 + 2 * 64 * 128) + 2 * 2 * 50 * 50 * 64
    assert count_torch(in_inference(block, torch.randn(1, 50, 64))) == by_hand
    convolution = torch.nn.Conv1d(8, 12, kernel_size=5, stride=2, groups=4)
    assert count_torch(in_inference(convolution, torch.randn(1, 8, 101))) == 2 * 12 * 49 * (8 // 4) * 5
    # What was switched off for the count is on again.
    assert torch.backends.mkldnn.enabled
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_kernel_that_is_not_counted_gives_no_number():
    left, right = torch.ones(32, 32, dtype=torch.int8), torch.ones(32, 32, dtype=torch.int8)
    assert count_torch(in_inference(torch._int_mm, left, right)) is None


def test_products_convolutions_and_loops_of_jax_are_counted():
    weights = jnp.ones((7, 6, 5))  # width, in, out

    def traced(wave, layer):
        def network(x):
            x = x.reshape(1, -1, 6)
            x = jax.lax.conv_general_dilated(x, weights, (2,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"))
            x, _ = jax.lax.scan(lambda state, _: (jnp.tanh(state @ jnp.ones((5, 5))), None), x, length=3)
            return jax.jit(lambda y: jnp.einsum("btd,bsd->bts", y, y))(x)

        return jax.make_jaxpr(network)(wave)

    frames = (20 - 7) // 2 + 1
    by_hand = 2 * frames * 5 * 7 * 6 + 3 * 2 * frames * 5 * 5 + 2 * frames * frames * 5
    assert count_jax(traced, np.ones((1, 120), np.float32)) == by_hand


def test_onnx_networks_are_counted_and_left_as_they_were(tmp_path):
    upstream = load_upstream(f"onnx:{write(tmp_path / 'small.onnx')}", UpstreamOptions(device="cpu", threads=1))
    session = upstream.session
    frames = (80_000 - KERNEL) // HOP + 1
    assert flop_of(upstream, 80_000) == 2 * WIDTH * frames * KERNEL
    assert upstream.session is session


def test_what_cannot_be_counted_or_fails_gives_no_number_and_ends_nothing():
    def encode(waves, layers):
        raise RuntimeError("a network that does not run under a counter")

    assert flop_of(SimpleNamespace(name="plain", packages=(), encode=encode), 100) is None
    assert flop_of(SimpleNamespace(name="broken", packages=("torch",), encode=encode), 100) is None
