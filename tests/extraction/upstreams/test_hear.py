"""HEAR's common API: what a module of HEAR gives is what a store holds, and what the module gives in a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from extraction.datasets import load_dataset
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings, UpstreamOptions
from extraction.upstreams import load_upstream
from extraction.upstreams.listing import found
from extraction.upstreams.self_check import self_check
from extraction.upstreams.zoo_names import names_of
from jfewshot.audio import read_audio
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction import recordings

MODULE = """
import torch

class Model(torch.nn.Module):
    sample_rate, scene_embedding_size, timestamp_embedding_size = 8000, 6, 3

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.network = torch.nn.Conv1d(1, 3, kernel_size=400, stride=200, padding=200)

def load_model(model_file_path=""):
    model = Model()
    if model_file_path:
        model.load_state_dict(torch.load(model_file_path, weights_only=True))
    print("loading")
    return model

def get_timestamp_embeddings(audio, model):
    if audio.shape[1] == 8008:
        raise ValueError("not this one")
    embeddings = model.network(audio[:, None]).transpose(1, 2)
    times = torch.arange(embeddings.shape[1]) * 25.0
    return embeddings, times.expand(len(audio), -1)

def get_scene_embeddings(audio, model):
    embeddings, _ = get_timestamp_embeddings(audio, model)
    return torch.cat([embeddings.mean(1), embeddings.amax(1)], 1)
"""
# What the neighbour says: it imports nothing of ours.
NEIGHBOUR = """
import sys, importlib, numpy, torch
name, folder, files = sys.argv[1], sys.argv[2], sys.argv[3:]
sys.path.insert(0, folder)
module = importlib.import_module(name)
model = module.load_model()
assert not any(loaded.startswith(("jfewshot", "extraction")) for loaded in sys.modules)
for file in files:
    audio = torch.from_numpy(numpy.load(file))[None]
    embeddings, times = module.get_timestamp_embeddings(audio, model.eval())
    numpy.savez(file + ".npz", scene=module.get_scene_embeddings(audio, model)[0].detach().numpy(),
                timestamps=embeddings[0].detach().numpy(), times=times[0].numpy())
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_hear.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_hear", raising=False)
    yield "my_hear"
    sys.modules.pop("my_hear", None)


def compare_with_the_neighbour(name, tmp_path, seconds, atol):
    """Three clips of different length and rate through the pipeline, and through the module in a process of its own."""
    root, waves = tmp_path / "clips", tmp_path / "waves"
    waves.mkdir()
    for number, (rate, duration_s) in enumerate(zip((44_100, 16_000, 22_050), seconds, strict=True)):
        (root / f"class{number}").mkdir(parents=True)
        soundfile.write(root / f"class{number}" / "x.wav", recordings.wave(number, rate, duration_s), rate)
    upstream = load_upstream(f"hear:{name}")
    files = []
    for path in sorted(root.rglob("*.wav")):
        files.append(str(waves / f"{path.parent.name}.npy"))
        np.save(files[-1], read_audio(path, upstream.sample_rate))
    command = [sys.executable, "-W", "ignore", "-c", NEIGHBOUR, name, str(tmp_path), *files]
    subprocess.run(command, check=True, timeout=300)
    expected = [np.load(f"{file}.npz") for file in files]
    spread = np.stack([one["scene"] for one in expected])
    assert all(np.abs(spread[i] - spread[j]).max() > 100 * atol for i, j in ((0, 1), (0, 2), (1, 2)))

    dataset = load_dataset("folder:clips")
    given = ExtractionSettings(workers=0, layers=("scene", "timestamps"), pooling=("mean", "max", "std"))
    extract(dataset, root, [upstream], tmp_path / "pooled", given)
    store = open_store(tmp_path / "pooled" / "clips" / upstream.name)
    poolings = {"mean": np.mean, "max": np.max, "std": np.std}
    for row, one in enumerate(expected):
        np.testing.assert_allclose(store.view("scene.mean")[row], one["scene"], rtol=0, atol=atol)
        for pooling, function in poolings.items():
            wanted = function(one["timestamps"].astype(np.float64), axis=0)
            np.testing.assert_allclose(store.view(f"timestamps.{pooling}")[row], wanted, rtol=0, atol=atol)
    frames = ExtractionSettings(workers=0, layers=("timestamps",), pooling=("frames",), segment="whole")
    extract(dataset, root, [upstream], tmp_path / "frames", frames)
    store = open_store(tmp_path / "frames" / "clips" / upstream.name)
    wanted = np.concatenate([one["timestamps"] for one in expected])
    np.testing.assert_allclose(store.view("timestamps.frames"), wanted, rtol=0, atol=atol)
    told = store.manifest["upstream"]["frame_times"]
    for one in expected:
        times_s = told["first_s"] + told["hop_s"] * np.arange(len(one["times"]))
        np.testing.assert_allclose(times_s, one["times"] / 1000, rtol=0, atol=1e-5)
    return upstream


def test_a_module_gives_the_store_what_it_gives_in_a_process_of_its_own(module, tmp_path):
    before = torch.get_rng_state()
    upstream = compare_with_the_neighbour(module, tmp_path, (0.6, 1.1, 0.83), 1e-6)
    assert torch.equal(torch.get_rng_state(), before)  # the module seeds the generator of all of torch
    assert (upstream.sample_rate, upstream.n_parameters, upstream.frame_times) == (
        8_000,
        1203,
        ("timestamps", 0.0, 0.025),
    )
    assert self_check(upstream).shapes == {"timestamps": (41, 3), "scene": (1, 6)}


def test_vqt_of_hearbaseline_is_as_hearbaseline_computes_it(tmp_path):
    pytest.importorskip("hearbaseline", reason="hearbaseline is not installed")
    assert "hearbaseline.vqt" in names_of("hear")
    assert "hear:hearbaseline.vqt    HEAR's API" in found(["hear:", "vqt"])
    # Rounding alone: librosa computes in float32 in both.
    compare_with_the_neighbour("hearbaseline.vqt", tmp_path, (1.0, 1.7, 2.3), 1e-6)
    with pytest.raises(
        UserError, match=r"hear:hearbaseline cannot load its model .*TypeError: mel\(\) takes 0 positional"
    ):
        load_upstream("hear:hearbaseline")


def test_the_checkpoint_goes_to_load_model_and_into_the_revision(module, tmp_path):
    own = load_upstream(f"hear:{module}")
    state = own.model.state_dict()
    torch.save({name: 2 * tensor for name, tensor in state.items()}, tmp_path / "double.pt")
    other = load_upstream(f"hear:{module}", UpstreamOptions(checkpoint=tmp_path / "double.pt"))
    waves = 0.1 * np.random.default_rng(0).standard_normal((2, 4_000), np.float32)
    np.testing.assert_allclose(
        other.encode(waves, ["timestamps"])["timestamps"],
        2 * own.encode(waves, ["timestamps"])["timestamps"],
        atol=1e-6,
    )
    assert "weights sha256:" in own.revision
    assert "checkpoint sha256:" in other.revision
    with pytest.raises(UserError, match=r"there is no file .*gone\.pt"):
        load_upstream(f"hear:{module}", UpstreamOptions(checkpoint=tmp_path / "gone.pt"))
    torch.save({}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"cannot load its model with the packages .*RuntimeError: Error.s. in loading"):
        load_upstream(f"hear:{module}", UpstreamOptions(checkpoint=tmp_path / "other.pt"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def get_scene", "def scene", "has no get_scene_embeddings; HEAR's API is load_model"),
        (
            "import torch",
            "import torch, nothing_like_it",
            "needs the Python package 'nothing_like_it'.*pip install nothing_like",
        ),
        ("import torch", "import torch; 1 / 0", "cannot be imported with the packages .*ZeroDivisionError"),
        ("return model\n", "return 3\n", "load_model of my_hear gives int; hear: needs a model of PyTorch"),
        ("= 8000, 6", "= '8k', 6", "has sample_rate '8k'; HEAR's API needs a positive whole number"),
        ("= 8000, 6", "= 8000, 5", "gives shape .1, 6.; HEAR's API and the model's attributes say .1, 5."),
    ],
)
def test_a_module_that_breaks_the_api_is_refused_in_a_line(module, tmp_path, old, new, message):
    assert old in MODULE
    (tmp_path / "my_hear.py").write_text(MODULE.replace(old, new))
    with pytest.raises(UserError, match=message):
        load_upstream(f"hear:{module}")


def test_names_that_are_no_module_and_waves_that_a_module_refuses(module):
    for name, message in (
        ("hear:nothing_here.x", "there is no module nothing_here for hear:.*pip install --no-deps nothing_here"),
        ("hear:", "names no module"),
        ("hear:a-b", "names no module"),
    ):
        with pytest.raises(UserError, match=message):
            load_upstream(name)
    waves = np.zeros((1, 8008), np.float32)
    with pytest.raises(UserError, match=r"fails on waves of 8008 samples .ValueError: not this one.; cut clips"):
        load_upstream(f"hear:{module}").encode(waves, ["scene"])


def test_frames_of_layers_with_other_numbers_of_frames_are_refused(module, tmp_path):
    root = tmp_path / "clips"
    for name in "ab":
        (root / name).mkdir(parents=True)
        soundfile.write(root / name / "x.wav", recordings.wave(0, 8_000, 0.5), 8_000)
    frames = ExtractionSettings(workers=0, layers=("all",), pooling=("frames",), segment="whole")
    with pytest.raises(UserError, match=r"other numbers of frames for scene\.frames than for timestamps\.frames"):
        extract(load_dataset("folder:clips"), root, [load_upstream(f"hear:{module}")], tmp_path / "stores", frames)


def test_naming_a_module_of_hear_loads_neither_torch_nor_the_module():
    program = (
        "import sys; from extraction.upstreams import check_upstream_names; from extraction.upstreams.listing import listing; "
        "check_upstream_names(['hear:hearbaseline.vqt']); assert 'hear:...' in listing(); "
        "assert not {'torch', 'hearbaseline', 'extraction.upstreams.hear'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3], timeout=120)
