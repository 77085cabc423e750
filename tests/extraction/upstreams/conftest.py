"""Checkpoints for the tests of this folder, built once per session, and waves to feed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from extraction.upstreams.paper_table import paper_table as read_paper_table
from tests.extraction.upstreams import s3prl_checkpoints as checkpoints


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def _tiny_decoar2() -> Iterator[None]:
    """DeCoAR 2.0's architecture stands in s3prl's source: make it that of the tiny checkpoint."""
    with checkpoints.tiny_decoar2():
        yield


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, _tiny_decoar2: None) -> Callable[[str], Path]:
    """The path of a tiny random-weight checkpoint of the named upstream of s3prl's."""
    folder = tmp_path_factory.mktemp("checkpoints")
    built: dict[str, Path] = {}

    def path(name: str) -> Path:
        if name not in built:
            built[name] = checkpoints.write_checkpoint(name, folder)
        return built[name]

    return path


@pytest.fixture
def waves() -> np.ndarray:
    """Three different waves of one second, loud, soft and with a pause at the end."""
    rng = np.random.default_rng(7)
    time_s = np.arange(16_000) / 16_000
    tones = np.stack([np.sin(2 * np.pi * pitch * time_s) for pitch in (220.0, 330.0, 440.0)])
    waves = (0.3 * tones + 0.05 * rng.standard_normal(tones.shape)).astype(np.float32)
    waves[1] *= 0.01
    waves[2, 12_000:] = 0.0
    return waves


@pytest.fixture(scope="session")
def paper_table() -> dict[str, dict[str, str]]:
    """The rows of `jfewshot/data/upstreams.csv` by name."""
    return {row["name"]: row for row in read_paper_table()}
