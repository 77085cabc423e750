"""The paper's encoders on a GPU: features as on the CPU, whatever the batch, and smaller batches where memory is short."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from extraction.encoding import BatchEncoder
from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.self_check import self_check
from tests.extraction.upstreams.s3prl_checkpoints import BUILDERS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_features_are_those_of_the_cpu_and_a_batch_changes_none(name: str, checkpoint: Callable, waves: np.ndarray):
    on_gpu, on_cpu = (
        load_upstream(name, UpstreamOptions(checkpoint=checkpoint(name), device=device)) for device in ("cuda", "cpu")
    )
    assert {parameter.device.type for parameter in on_gpu.expert.parameters()} == {"cuda"}
    self_check(on_gpu)
    ours, expected = (upstream.encode(waves, ["last"])["last"].mean(axis=1) for upstream in (on_gpu, on_cpu))
    # vq-wav2vec chooses codes, and rounding may now and then let it choose another.
    tolerance = 1e-2 if name == "vq_wav2vec_gumbel" else 1e-4
    assert np.abs(ours - expected).max() < tolerance * np.abs(expected).max()


def test_a_batch_that_does_not_fit_is_halved_until_it_does(checkpoint: Callable):
    path = checkpoint("apc_960hr")
    upstream = load_upstream("apc_960hr", UpstreamOptions(checkpoint=path, device="cuda"))
    waves = list(np.random.default_rng(0).standard_normal((64, 80_000), np.float32))
    alone = BatchEncoder(upstream, ["last"], ["mean"], 80_000, batch_size=1).encode_block(waves[:2])
    torch.cuda.empty_cache()
    held = torch.cuda.memory_allocated() / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(held + 64 * 2**20 / torch.cuda.get_device_properties(0).total_memory)
    try:
        encoder = BatchEncoder(upstream, ["last"], ["mean"], 80_000, batch_size=64)
        block = encoder.encode_block(waves)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert encoder.batch_size < 64
    np.testing.assert_allclose(block.views["last.mean"][:2], alone.views["last.mean"], rtol=0, atol=1e-5)
