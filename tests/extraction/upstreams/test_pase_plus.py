"""PASE+ against what its authors' code and s3prl gave for the same weights and waves (see reference_weights.py).

Tolerance: 1e-4 of values whose standard deviation is 1.5. Rounding alone moves them by 2e-5, and each mistake that was tried
(padding of another kind, gates exchanged, skips averaged otherwise) by 0.01 at least.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.pase_network import MIN_SAMPLES, PaseNetwork
from extraction.upstreams.self_check import self_check
from jfewshot.errors import UserError
from tests.extraction.upstreams.reference_weights import pase_tensor, pase_waves, reference

REFERENCE = reference("pase_plus")
WAVES = pase_waves()
# SHA-256 of a line for each of the 78 tensors of the published file, name and shape, sorted.
NAMES_AND_SHAPES = "ecad1516409d7fb26b336e71e7221f4a90a5f0d0c5afe9c1c19a4fcd0a9ccf30"


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    shapes = {name: tuple(tensor.shape) for name, tensor in PaseNetwork().state_dict().items()}
    return {name: torch.from_numpy(pase_tensor(name, shape)) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def file(tensors, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pase") / "FE_e199.ckpt"
    # As torch wrote files in January 2020, when the published one was made.
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def upstream(file):
    return load(file)


def load(checkpoint: Path | None, name: str = "PASE+"):
    return load_upstream(name, UpstreamOptions(checkpoint=checkpoint, device="cpu"))


def test_the_tensors_are_those_of_the_published_file(tensors):
    lines = sorted(f"{name} {tuple(tensor.shape)}\n" for name, tensor in tensors.items())
    assert len(lines) == 78
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == NAMES_AND_SHAPES


@pytest.mark.parametrize("wave", ["a", "c", "d", "e"])  # d and e do not divide evenly into frames
def test_its_output_is_the_original_s(upstream, wave):
    frames = upstream.encode(WAVES[wave], ["last"])["last"]
    channels, at = REFERENCE[f"{wave}.out.channels"], REFERENCE[f"{wave}.out.frames"]
    expected = REFERENCE[f"{wave}.out"]
    np.testing.assert_allclose(frames.transpose(0, 2, 1)[:, channels][:, :, at], expected, rtol=0, atol=1e-4)


def test_so_is_each_skip_and_the_filters(upstream):
    states = upstream.encode(WAVES["d"], upstream.layers)
    for layer, stage in enumerate([*(f"skip{number}" for number in range(7)), "W"]):
        found = states[str(layer)].transpose(0, 2, 1)[:, REFERENCE["d.channels"]][:, :, REFERENCE["d.frames"]]
        np.testing.assert_allclose(found, REFERENCE[f"d.{stage}"], rtol=0, atol=1e-4)
    kernels = upstream.states.blocks[0].conv.kernels()[:, 0].numpy()
    expected = REFERENCE["e.filters"][0]
    np.testing.assert_allclose(kernels[REFERENCE["e.filters.channels"]], expected, rtol=0, atol=1e-5)


def test_the_nine_layers_are_s3prls_hidden_states(upstream):
    # s3prl pads the shorter of two waves with zeros.
    waves = np.zeros((2, 8000), np.float32)
    waves[0], waves[1, :1593] = WAVES["c"][0], WAVES["e"][0]
    states = upstream.encode(waves, upstream.layers)
    for number, layer in enumerate(upstream.layers):
        found = states[layer][:, REFERENCE["s3prl.frames"]][:, :, REFERENCE["s3prl.channels"]]
        np.testing.assert_allclose(found, REFERENCE[f"s3prl.{number}"], rtol=0, atol=1e-4)


def test_it_is_what_the_table_of_the_paper_s_encoders_says(upstream, paper_table):
    row = paper_table["pase_plus"]
    assert (upstream.name, upstream.title) == ("pase_plus", row["title"])
    assert upstream.n_parameters == int(row["n_parameters"])
    assert len(upstream.layers) == int(row["layers"])
    wave = np.zeros((1, upstream.segment_samples), np.float32)
    assert upstream.encode(wave, ["last"])["last"].shape == (1, int(row["frames_5s"]), int(row["dim"]))
    with FlopCounterMode(display=False) as counter:
        upstream.states(torch.zeros(1, upstream.segment_samples))
    assert float(row["gflop_5s"]) == pytest.approx(counter.get_total_flops() / 1e9, abs=0.05)
    self_check(upstream)


def test_the_shortest_wave_and_one_too_short(upstream):
    assert np.isfinite(upstream.encode(np.ones((1, MIN_SAMPLES), np.float32), ["last"])["last"]).all()
    with pytest.raises(UserError, match="pase_plus needs at least 471 samples at 16000 Hz; this wave has 470"):
        upstream.encode(np.ones((1, MIN_SAMPLES - 1), np.float32), ["last"])


def test_files_are_found_by_either_name_and_in_either_form(upstream, tensors, file, tmp_path):
    for name, contents in (("FE_e199.ckpt", tensors), ("pase_plus.ckpt", {"step": 1, "state_dict": tensors})):
        folder = tmp_path / name
        folder.mkdir()
        torch.save(contents, folder / name)
        found = load(folder).encode(WAVES["e"], ["last"])["last"]
        np.testing.assert_array_equal(found, upstream.encode(WAVES["e"], ["last"])["last"])
    with pytest.raises(
        UserError, match=r"has no file for pase_plus; put FE_e199.ckpt there, or name it pase_plus.ckpt"
    ):
        load(tmp_path)


def test_without_a_file_it_comes_from_s3prls_cache(upstream, file, tmp_path, monkeypatch):
    pytest.importorskip("s3prl")
    from extraction.upstreams.pase_plus import URL
    from extraction.upstreams.s3prl import compat

    compat.prepare()
    from s3prl.util import download

    monkeypatch.setattr(download, "_download_dir", tmp_path)
    Path(download._urls_to_filepaths(URL, download=False)).write_bytes(file.read_bytes())
    assert load(None).revision == upstream.revision


def test_a_file_that_fits_in_part_is_refused(tensors, tmp_path):
    spoilt = dict(tensors) | {"W.weight": torch.zeros(4, 4, 1)}
    del spoilt["denseskips.2.weight"]
    torch.save(spoilt, tmp_path / "part.ckpt")
    with pytest.raises(UserError, match=r"1 are missing \(denseskips\.2\.weight\) and 1 did not fit \(W\.weight\)"):
        load(tmp_path / "part.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(UserError, match=r"holds a list; a dictionary with the tensors of PASE\+ is needed"):
        load(tmp_path / "list.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(UserError, match="is not a torch checkpoint, or it is damaged"):
        load(tmp_path / "text.ckpt")


def test_s3prls_own_way_is_answered_with_this_one():
    with pytest.raises(UserError, match="use the name pase_plus"):
        load(None, "s3prl:pase_plus")
