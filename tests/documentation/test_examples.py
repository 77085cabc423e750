"""The examples run to their end, and what they show is so."""

import importlib.util
import json

import jax
import pytest

from tests.documentation.pages import ROOT

EXAMPLES = ROOT / "examples"


def run_notebook(name: str) -> dict:
    """Run the cells of a notebook, one after the other; returns their names."""
    notebook = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    names: dict = {}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "notebooks are kept without outputs"
            exec(compile("".join(cell["source"]), f"{name}, cell {number}", "exec"), names)
    return names


def load_script(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_encoders_are_read_with_pandas():
    pytest.importorskip("pandas")
    names = run_notebook("two_encoders.ipynb")
    table = names["table"].set_index(["encoder", "shots"])["accuracy"]
    assert table["mfcc", 5] > table["mfcc", 1] > 20
    # The difference of the notebook is that of the table's means.
    assert names["difference"].mean() == pytest.approx(table["mfcc", 5] - table["yamnet", 5], abs=1e-3)


def test_a_classifier_of_one_s_own_stands_beside_others(monkeypatch):
    monkeypatch.syspath_prepend("")  # what the notebook adds is taken away again
    names = run_notebook("own_classifier.ipynb")
    accuracy = {r["identity"]["classifier"]["name"]: r["accuracy"]["mean"] for r in names["records"]}
    assert len(accuracy) == 3
    assert min(accuracy.values()) > 0.85  # YAMNet tells sounds of its own training apart


def test_few_shot_accuracy_rises_during_a_training():
    pytest.importorskip("optax")
    # As users have it: the tests otherwise refuse operations of unequal types, which optax does not avoid.
    with jax.numpy_dtype_promotion("standard"):
        history = load_script("training_loop").main(epochs=1)
    assert history[1][1] > history[0][1] + 0.1


def test_another_speaker_costs_accuracy(tmp_path):
    module = load_script("domain_shift")
    module.ENCODERS = ("whisper_tiny_en", "yamnet")
    found = module.main(tmp_path, n_episodes=60)
    for of in found.values():
        assert of["same"] > of["another"]
    assert found["whisper_tiny_en"]["another"] > found["yamnet"]["another"] + 0.2
