"""Encoders of X-ARES give a store what the file's class gives in a process of its own."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from extraction.datasets import load_dataset
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings, UpstreamOptions
from extraction.upstreams import load_upstream
from extraction.upstreams.self_check import self_check
from jfewshot.audio import read_audio
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction import recordings

FILE = """
import torch
from torch.nn import TransformerEncoder

class MyEncoder(torch.nn.Module):
    def __init__(self, file=None):
        super().__init__()
        torch.manual_seed(5)
        self.sampling_rate, self.output_dim, self.hop_size_in_ms = 8000, 4, 25.0
        self.network = torch.nn.Conv1d(1, 4, kernel_size=400, stride=200)
        if file is not None:
            self.load_state_dict(torch.load(file, weights_only=True))

    def forward(self, audio):
        return self.network(audio[:, None]).transpose(1, 2)
"""
NEIGHBOUR = """
import sys, numpy, torch
sys.path.insert(0, sys.argv[1])
from encoder import MyEncoder
encoder = MyEncoder().eval()
assert not any(loaded.startswith(("jfewshot", "extraction")) for loaded in sys.modules)
for file in sys.argv[2:]:
    numpy.save(file + ".frames.npy", encoder(torch.from_numpy(numpy.load(file))[None])[0].detach().numpy())
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "encoder.py").write_text(FILE)
    return tmp_path / "encoder.py"


def test_a_store_holds_what_the_class_gives_in_a_process_of_its_own(file, tmp_path):
    before = torch.get_rng_state()
    upstream = load_upstream(f"xares:{file}")
    assert torch.equal(torch.get_rng_state(), before)
    assert (upstream.name, upstream.sample_rate, upstream.n_parameters) == ("MyEncoder", 8_000, 1604)
    assert upstream.min_samples == 400
    assert "weights sha256:" in upstream.revision
    root, waves = tmp_path / "clips", []
    for number, (rate, duration_s) in enumerate(((44_100, 0.6), (16_000, 1.1), (22_050, 0.83))):
        path = root / f"class{number}" / "x.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, recordings.wave(number, rate, duration_s), rate)
        waves.append(str(tmp_path / f"{number}.npy"))
        np.save(waves[-1], read_audio(path, 8_000))
    subprocess.run([sys.executable, "-c", NEIGHBOUR, str(tmp_path), *waves], check=True, timeout=120)
    expected = [np.load(f"{wave}.frames.npy") for wave in waves]
    extract(
        load_dataset("folder:clips"), root, [upstream], tmp_path, ExtractionSettings(workers=0, pooling=("mean", "max"))
    )
    store = open_store(tmp_path / "clips" / "MyEncoder")
    for row, frames in enumerate(expected):
        np.testing.assert_allclose(store.view("last.mean")[row], frames.mean(0), atol=1e-6)
        np.testing.assert_allclose(store.view("last.max")[row], frames.max(0), atol=1e-6)
    assert store.manifest["upstream"]["frame_times"] == {"layer": "frames", "first_s": 0.0, "hop_s": 0.025}
    assert self_check(upstream).shapes == {"frames": (39, 4)}


def test_the_checkpoint_is_the_argument_of_the_class(file, tmp_path):
    own = load_upstream(f"xares:{file}")
    torch.save({name: 2 * tensor for name, tensor in own.encoder.state_dict().items()}, tmp_path / "double.pt")
    other = load_upstream(f"xares:{file}", UpstreamOptions(checkpoint=tmp_path / "double.pt"))
    waves = 0.1 * np.random.default_rng(0).standard_normal((2, 4_000), np.float32)
    np.testing.assert_allclose(
        other.encode(waves, ["last"])["last"], 2 * own.encode(waves, ["last"])["last"], atol=1e-6
    )
    assert "checkpoint sha256:" in other.revision


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class MyEncoder", "class Mine", r"has 0 classes whose names end in Encoder; X-ARES needs one"),
        (
            "class My",
            "class OtherEncoder: pass\nclass My",
            r"has 2 classes whose names end in Encoder \(MyEncoder, OtherEncoder\)",
        ),
        ("(torch.nn.Module)", "(list)", "cannot build its MyEncoder with the packages|is no torch.nn.Module"),
        ("8000, 4,", "8000.0, 4,", "has sampling_rate 8000.0; X-ARES needs a positive whole number"),
        ("4, 25.0", "4, None", "has hop_size_in_ms None; X-ARES needs a positive number"),
        ("8000, 4,", "8000, 5,", r"gives Tensor of shape \(1, \d+, 4\) for a batch of 1; X-ARES needs a tensor"),
        ("import torch\n", "import torch, nothing_like_it\n", "needs the Python package 'nothing_like_it'"),
        ("import torch\n", "import torch\n1 / 0\n", "cannot be imported with the packages .*ZeroDivisionError"),
    ],
)
def test_a_file_that_x_ares_would_not_take_is_refused_in_a_line(file, old, new, message):
    assert old in FILE
    file.write_text(FILE.replace(old, new))
    with pytest.raises(UserError, match=message):
        load_upstream(f"xares:{file}")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="names no Python file"):
        load_upstream(f"xares:{tmp_path / 'gone.py'}")
