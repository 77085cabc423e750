"""The published architectures at full size, with random weights: a gigabyte and a minute or two."""

from pathlib import Path

import numpy as np
import pytest

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.self_check import artificial_sounds, self_check
from tests.extraction.upstreams.s3prl_checkpoints import BUILDERS, s3prl_direct, write_checkpoint


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_full_size_encoder_is_as_the_table_says_and_equals_s3prl(name: str, tmp_path: Path, paper_table: dict):
    row = paper_table[name]
    path = write_checkpoint(name, tmp_path, tiny=False)
    upstream = load_upstream(name, UpstreamOptions(checkpoint=path, device="cpu"))
    assert upstream.n_parameters == int(row["n_parameters"])
    assert len(upstream.layers) == int(row["layers"])
    self_check(upstream)
    segment = artificial_sounds(16_000, 80_000)[:1]
    frames = upstream.encode(segment, ["last"])["last"]
    assert frames.shape == (1, int(row["frames_5s"]), int(row["dim"]))
    expected = s3prl_direct(name, path)(segment[0])[-1]
    assert np.abs(frames[0] - expected).max() < 1e-5 * np.abs(expected).max()
    path.unlink()
