"""What an encoder cost, from the parts of an extraction to the manifest, and for stores that were made without it."""

import json

import numpy as np
import pytest

from extraction.costs.completing import complete_cost
from extraction.costs.recording import cost_of_store
from extraction.datasets import load_dataset
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings
from jfewshot.errors import UserError
from jfewshot.store import open_store, verify_store
from tests.extraction.toy import ToyEncoder, class_folders

SETTINGS = ExtractionSettings(workers=0, block_clips=4)


class CountedEncoder(ToyEncoder):
    """Its products are torch's: 1,600 numbers of each frame times 3 columns."""

    packages = ("torch",)

    def encode(self, waves, layers):
        import torch

        frames = torch.from_numpy(waves[:, : waves.shape[1] // 1_600 * 1_600].reshape(-1, 1_600))
        torch.mm(frames, torch.ones(1_600, 3))
        return super().encode(waves, layers)


def part(clips, seconds, *, first=False, waves=None, flop=100, device="a"):
    machine = {"device": device, "threads": 1}
    return {
        "clips": clips,
        "waves": waves or clips,
        "seconds": seconds,
        "first": first,
        "flop": flop,
        "flop_samples": 8_000,
        "machine": machine,
    }


def test_the_first_part_of_a_process_is_not_timed_and_one_machine_is():
    cost = cost_of_store([part(10, 9.0, first=True), part(10, 2.0, waves=14), part(6, 2.0), part(6, 50.0, device="b")])
    assert cost == {
        "flop_per_clip": round(100 * 36 / 32),
        "clips_per_s": 4.0,
        "clips_timed": 16,
        "device": "a",
        "threads": 1,
    }
    assert cost_of_store([part(10, 5.0, first=True)])["clips_per_s"] == 2.0
    assert "flop_per_clip" not in cost_of_store([part(4, 1.0), part(4, 1.0, flop=None)])
    assert cost_of_store([part(10, 9.0), None]) is None


def test_an_extraction_records_its_cost_which_is_no_part_of_the_digest(tmp_path):
    clips = class_folders(tmp_path / "clips")
    for name in ("one", "two"):
        extract(load_dataset("folder:birds"), clips, [CountedEncoder()], tmp_path / name, SETTINGS)
    one, two = (open_store(tmp_path / name / "birds" / "toy") for name in ("one", "two"))
    cost = one.manifest["cost"]
    per_clip = one.manifest["counts"]["segments"] / len(one.clips)
    assert cost["flop_per_clip"] == round(2 * 5 * 1_600 * 3 * per_clip)  # five frames of 100 ms in a segment
    assert cost["clips_per_s"] > 0
    assert cost["clips_timed"] == 8  # of three parts with four clips all but the first
    assert cost["device"]
    assert one.digest == two.digest
    assert not verify_store(one.path).errors


def test_a_store_without_cost_is_completed_and_stays_the_same_store(tmp_path):
    clips = class_folders(tmp_path / "clips")
    dataset = load_dataset("folder:birds")
    extract(dataset, clips, [CountedEncoder()], tmp_path / "out", SETTINGS)
    path = tmp_path / "out" / "birds" / "toy"
    recorded = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({name: v for name, v in recorded.items() if name != "cost"}))
    digest = open_store(path).digest
    recordings = {one.clip_id: one for one in dataset.recordings(clips)}
    cost = complete_cost(path, recordings, CountedEncoder(), n_clips=12)
    store = open_store(path)
    assert store.digest == digest
    assert store.manifest["cost"] == cost
    assert cost["flop_per_clip"] == pytest.approx(
        recorded["cost"]["flop_per_clip"], rel=0.2
    )  # fewer clips, other lengths
    assert cost["clips_timed"] == 12

    other = CountedEncoder()
    other.revision = "toy-2"
    with pytest.raises(UserError, match=r"toy-1.* and this is toy .toy-2."):
        complete_cost(path, recordings, other, n_clips=2)
    with pytest.raises(UserError, match="hold no clip"):
        complete_cost(path, {}, CountedEncoder(), n_clips=2)
    louder = CountedEncoder()
    encode = louder.encode
    louder.encode = lambda waves, layers: encode(np.float32(2) * waves, layers)
    with pytest.raises(UserError, match="gives other embeddings"):
        complete_cost(path, recordings, louder, n_clips=2)
