"""Models of mteb's registry give what mteb's own `encode` gives, in a process that imports mteb alone."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

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

NEIGHBOUR = """
import sys, types, importlib.machinery, numpy, datasets, mteb
try:
    import torchaudio
except OSError:  # a CUDA build beside a torch for CPUs; mteb imports it, and waves of the model's own rate do not need it
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    sys.modules["torchaudio"].__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
from mteb._create_dataloaders import create_dataloader
model, task = mteb.get_model(sys.argv[1]), mteb.get_task("ESC50")
rows = [{"audio": {"array": numpy.load(file), "sampling_rate": 16000}} for file in sys.argv[3:]]
audio = {"array": datasets.Sequence(datasets.Value("float32")), "sampling_rate": datasets.Value("int64")}
dataset = datasets.Dataset.from_list(rows, features=datasets.Features(audio=audio)).with_format("numpy")
assert dataset[0]["audio"]["array"].dtype == numpy.float32
loader = create_dataloader(dataset, task_metadata=task.metadata, input_column="audio", batch_size=1)
vectors = model.encode(loader, task_metadata=task.metadata, hf_split="test", hf_subset="default")
assert not any(loaded.startswith(("jfewshot", "extraction")) for loaded in sys.modules)
numpy.save(sys.argv[2], vectors)
"""
BASELINE = "mteb/baseline-random-encoder"


@pytest.fixture(scope="module")
def upstream():
    for package in ("mteb", "torchaudio", "torchvision"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    return load_upstream(f"mteb:{BASELINE}")


# Of mteb, about what its own baseline calls.
@pytest.mark.filterwarnings("ignore:Use ModelMeta.extra_requirements_groups")
def test_mtebs_random_baseline_is_as_mteb_encodes_it(upstream, tmp_path, capfd):
    root, files = tmp_path / "clips", []
    for number, (rate, duration_s) in enumerate(((44_100, 0.7), (16_000, 1.3), (8_000, 1.0))):
        path = root / f"class{number}" / "x.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, recordings.wave(number, rate, duration_s), rate)
        files.append(str(tmp_path / f"{number}.npy"))
        np.save(files[-1], read_audio(path, upstream.sample_rate))
    command = [sys.executable, "-W", "ignore", "-c", NEIGHBOUR, BASELINE, str(tmp_path / "expected.npy"), *files]
    subprocess.run(command, check=True, timeout=300)
    expected = np.load(tmp_path / "expected.npy")
    assert expected.shape == (3, 32)
    assert np.ptp(expected, axis=0).max() > 0.1
    capfd.readouterr()
    extract(load_dataset("folder:clips"), root, [upstream], tmp_path, ExtractionSettings(workers=0))
    store = open_store(tmp_path / "clips" / upstream.name)
    np.testing.assert_array_equal(store.view("last.mean"), expected)
    assert "Encoding batches" not in capfd.readouterr().err  # mteb's bar, for each batch
    assert store.manifest["upstream"]["licence"] == "mit"
    assert self_check(upstream).shapes == {"embedding": (1, 32)}


def test_the_list_has_all_models_and_the_shell_those_whose_names_are_written_down():
    mteb = pytest.importorskip("mteb", reason="mteb is not installed")
    metas = {meta.name: meta for meta in mteb.get_model_metas(modalities=["audio"])}
    lines = {line.split()[0].removeprefix("mteb:"): line for line in found(["mteb:"]).splitlines()}
    assert set(metas) < set(lines)
    assert lines["microsoft/wavlm-base"].endswith("mteb; 768 dimensions; mit")
    assert set(names_of("mteb")) <= set(metas)
    assert len(names_of("mteb")) > 0.85 * len(metas)


def test_names_that_mteb_does_not_have_and_checkpoints_are_refused(upstream, tmp_path):
    for name, message in (
        (
            "mteb:laion/clap",
            r"has no model 'laion/clap' among its \d+ models that take audio; did you mean mteb:laion/",
        ),
        ("mteb:intfloat/e5-small", "has no model 'intfloat/e5-small' among its"),
        ("mteb:mteb/baseline-random-cross-encoder", "is no encoder"),
    ):
        with pytest.raises(UserError, match=message):
            load_upstream(name)


def test_without_mteb_a_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(UserError, match=r"need the Python package mteb: pip install 'jfewshot\[mteb\]'"):
        load_upstream(f"mteb:{BASELINE}")
    with pytest.raises(UserError, match="take no --checkpoint"):
        load_upstream(f"mteb:{BASELINE}", UpstreamOptions(checkpoint=tmp_path))


def test_naming_a_model_of_mteb_does_not_load_mteb():
    program = (
        "import sys; from extraction.upstreams import check_upstream_names; from extraction.upstreams.listing import listing; "
        f"check_upstream_names(['mteb:{BASELINE}']); assert 'mteb:...' in listing(); "
        "assert not {'torch', 'mteb'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3], timeout=120)
