"""PASE+: its two packages are not on PyPI, so its loading path is walked with a stand-in for the network.

The stand-in is a `pase` package written into a temporary folder: a front end with the attributes that s3prl's `pase_plus`
hooks (`W`, `denseskips`), built by `wf_builder` from a settings file and filled by `load_pretrained` with whatever fits; and a
`torchqrnn` that imports what the real one imports.
"""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.s3prl import compat
from extraction.upstreams.self_check import self_check
from jfewshot.errors import UserError

FRONT_END = """
import json
import torch
from torchqrnn.qrnn import QRNNLayer

class FrontEnd(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        strides = (10, 2, 2, 2, 2, 1, 1)
        self.blocks = torch.nn.ModuleList(
            [torch.nn.Conv1d(1 if n == 0 else width, width, 2 * s + 1, s, s) for n, s in enumerate(strides)]
        )
        self.denseskips = torch.nn.ModuleList([torch.nn.Conv1d(width, width, 1, bias=False) for _ in strides])
        self.dropout = torch.nn.Dropout(0.5)
        self.rnn = QRNNLayer()
        self.W = torch.nn.Conv1d(width, width, 1)

    def load_pretrained(self, path, load_last=False, verbose=True):
        saved = torch.load(path, map_location="cpu")["state_dict"]
        own = self.state_dict()
        own.update({name: tensor for name, tensor in saved.items() if name in own and own[name].shape == tensor.shape})
        self.load_state_dict(own)
        print("loaded", len(saved))

    def forward(self, x):
        skips = []
        for block, skip in zip(self.blocks, self.denseskips):
            x = torch.tanh(block(x))
            skips.append(skip(x))
        for skip in skips:
            factor = skip.shape[2] // x.shape[2]
            x = x + skip[:, :, : x.shape[2] * factor].reshape(*x.shape, factor).mean(-1)
        return self.W(self.dropout(self.rnn(x)))

def wf_builder(path):
    with open(path) as file:
        return FrontEnd(**json.load(file))
"""
QRNN = """
import torch
from cupy.cuda import function
from pynvrtc.compiler import Program

class QRNNLayer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.use_cuda = True

    def forward(self, x):
        if self.use_cuda:
            Program("kernel")
        return x.cumsum(-1) / 100
"""
STAND_INS = ("pase", "torchqrnn")
CHECKPOINT, SETTINGS = "FE_e199.ckpt", "PASE+.cfg"


@pytest.fixture
def without_pase(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in STAND_INS]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pase", None)


@pytest.fixture
def pase_folder(tmp_path: Path, monkeypatch) -> Path:
    """The two files of PASE+, with the stand-in importable."""
    models = tmp_path / "packages" / "pase" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").touch()
    (models / "__init__.py").touch()
    (models / "frontend.py").write_text(FRONT_END)
    (models.parents[1] / "torchqrnn").mkdir()
    (models.parents[1] / "torchqrnn" / "qrnn.py").write_text(QRNN)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    for name in [name for name in sys.modules if name.split(".")[0] in STAND_INS]:
        monkeypatch.delitem(sys.modules, name)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / SETTINGS).write_text(json.dumps({"width": 8}))
    torch.manual_seed(3)
    compat.do_without_cuda_kernels()
    front_end = importlib.import_module("pase.models.frontend").FrontEnd(8)
    torch.save({"step": 199, "state_dict": front_end.state_dict()}, folder / CHECKPOINT)
    yield folder
    # The CUDA packages' stand-ins too: SciPy takes a cupy that is imported for the real one.
    for name in [name for name in sys.modules if name.split(".")[0] in (*STAND_INS, "cupy", "pynvrtc")]:
        del sys.modules[name]


def load(checkpoint: Path | None):
    return load_upstream("PASE+", UpstreamOptions(checkpoint=checkpoint, device="cpu"))


def test_the_two_packages_are_named_where_they_are_missing(without_pase, tmp_path: Path):
    for name in (CHECKPOINT, SETTINGS):
        (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(
        UserError,
        match=r"PASE\+ needs the package 'pase'\. .*not on PyPI.*git\+https://github\.com/s3prl/pase "
        r"git\+https://github\.com/s3prl/pytorch-qrnn",
    ):
        load(tmp_path)


def test_both_files_are_found_in_a_folder_and_beside_each_other(pase_folder: Path, waves: np.ndarray):
    upstream = load(pase_folder)
    assert (upstream.name, upstream.title, upstream.min_samples) == ("pase_plus", "PASE+", 640)
    assert len(upstream.layers) == 9
    frames = upstream.encode(waves, upstream.layers)
    assert {array.shape for array in frames.values()} == {(3, 100, 8)}
    beside = load(pase_folder / CHECKPOINT)
    assert beside.revision == upstream.revision
    np.testing.assert_array_equal(beside.encode(waves, ["last"])["last"], frames["8"])
    self_check(upstream)


def test_it_equals_s3prls_own_pase_plus_from_its_cache(
    pase_folder: Path, waves: np.ndarray, monkeypatch, tmp_path: Path
):
    compat.prepare()
    from s3prl.upstream.pase import hubconf
    from s3prl.util import download

    monkeypatch.setattr(download, "_download_dir", tmp_path / "cache")
    for url, name in [
        ("https://www.dropbox.com/s/p8811o7eadv4pat/FE_e199.ckpt?dl=1", CHECKPOINT),
        ("https://www.dropbox.com/s/2p3ouod1k0ekfxn/PASE%2B.cfg?dl=1", SETTINGS),
    ]:
        Path(download._urls_to_filepaths(url, download=False)).write_bytes((pase_folder / name).read_bytes())
    expert = hubconf.pase_plus().eval()
    expert.model.rnn.use_cuda = False
    from_cache, from_folder = load(None), load(pase_folder)
    for wave in waves:
        with torch.no_grad():
            expected = expert([torch.from_numpy(wave)])["hidden_states"]
        for upstream in (from_cache, from_folder):
            frames = upstream.encode(wave[None], upstream.layers)
            for layer, state in zip(upstream.layers, expected, strict=True):
                np.testing.assert_array_equal(frames[layer][0], state[0].numpy())
    assert from_cache.revision == from_folder.revision


def test_a_checkpoint_that_fits_in_part_is_refused(pase_folder: Path):
    """The stand-in's own loading, like DeCoAR 2.0's, takes what fits and says nothing."""
    contents = torch.load(pase_folder / CHECKPOINT)
    contents["state_dict"]["W.weight"] = torch.zeros(4, 4, 1)
    del contents["state_dict"]["denseskips.2.weight"]
    torch.save(contents, pase_folder / CHECKPOINT)
    with pytest.raises(UserError, match=r"1 are missing \(denseskips\.2\.weight\) and 1 did not fit \(W\.weight\)"):
        load(pase_folder)


def test_the_settings_file_is_asked_for_by_name(pase_folder: Path):
    (pase_folder / SETTINGS).unlink()
    with pytest.raises(UserError, match=r"put what https://www\.dropbox\.com.* gives there, .* or PASE\+\.cfg"):
        load(pase_folder)
    with pytest.raises(UserError, match=r"needs PASE\+\.cfg .* too: put it beside"):
        load(pase_folder / CHECKPOINT)


def test_nothing_of_pases_chatter_reaches_the_screen(pase_folder: Path, capfd):
    load(pase_folder)
    assert capfd.readouterr().out == ""


def test_the_qrnn_does_without_its_cuda_kernel(pase_folder: Path):
    """Its layers ask for the kernel until told otherwise, and the kernel's packages are not here."""
    upstream = load(pase_folder)
    assert upstream.expert.model.rnn.use_cuda is False
    with pytest.raises(UserError, match="pynvrtc's Program is not part"):
        importlib.import_module("torchqrnn.qrnn").QRNNLayer()(torch.zeros(1, 1, 4))
