"""The published architectures at full size, with random weights: a gigabyte and a minute or two."""

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.s3prl import compat
from extraction.upstreams.self_check import artificial_sounds, self_check
from tests.extraction.upstreams.s3prl_checkpoints import BUILDERS, s3prl_direct, write_checkpoint


@pytest.mark.slow
def test_s3prls_own_wrapper_would_have_repeated_the_last_frame(checkpoint: Callable):
    """Why the experts are called directly. It imports all of s3prl, which takes 20 s."""
    compat.prepare()
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        wrapper = importlib.import_module("s3prl.nn").S3PRLUpstream(
            "hubert_local", path_or_url=str(checkpoint("hubert_base"))
        )
        frames = wrapper(torch.randn(1, 16_000), torch.tensor([16_000]))[0][-1][0]
    assert len(frames) == 50
    assert torch.equal(frames[-1], frames[-2])
    upstream = load_upstream("hubert_base", UpstreamOptions(checkpoint=checkpoint("hubert_base"), device="cpu"))
    assert upstream.encode(np.ones((1, 16_000), np.float32), ["last"])["last"].shape[1] == 49


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_full_size_encoder_is_as_the_table_says_and_equals_s3prl(
    name: str, tmp_path: Path, paper_table: dict, caplog
):
    row = paper_table[name]
    path = write_checkpoint(name, tmp_path, tiny=False)
    upstream = load_upstream(name, UpstreamOptions(checkpoint=path, device="cpu"))
    assert upstream.n_parameters == int(row["n_parameters"])
    assert len(upstream.layers) == int(row["layers"])
    assert "another variant" not in caplog.text
    self_check(upstream)
    segment = artificial_sounds(16_000, 80_000)[:1]
    frames = upstream.encode(segment, [*upstream.layers, "last"])
    assert frames["last"].shape == (1, int(row["frames_5s"]), int(row["dim"]))
    for layer, expected in zip(upstream.layers, s3prl_direct(name, path)(segment[0]), strict=True):
        assert np.abs(frames[layer][0] - expected).max() < 1e-5 * np.abs(expected).max()
    path.unlink()
