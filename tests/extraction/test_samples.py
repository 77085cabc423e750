"""The sample stores that ship: whole, with sources, small, and the same again when rebuilt from the recordings."""

import json
from pathlib import Path

import numpy as np
import pytest

import jfewshot
from extraction.samples import UPSTREAMS, main, sample_datasets, store_name
from jfewshot.store import open_store, verify_store
from tests.extraction.recordings import real_folder

STORES = Path(jfewshot.__file__).parent / "data" / "stores"
DATASETS = ("esc10", "fsdd_digits", "fsdd_speakers", "arabic_commands")
MAX_BYTES = 14_000_000


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_every_store_is_whole_and_tells_its_source_and_licence(dataset, upstream):
    report = verify_store(STORES / dataset / store_name(upstream))
    assert report.errors == ()
    manifest = json.loads((STORES / dataset / store_name(upstream) / "manifest.json").read_text("utf-8"))
    for facts in (manifest["dataset"], manifest["upstream"]):
        assert facts["licence"]
        assert facts["source"]
    assert manifest["left_out"] == []


def test_all_stores_together_are_small_and_hold_no_audio():
    files = [path for path in STORES.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".npy", ".csv", ".json", ".md"}
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES


@pytest.mark.parametrize(
    ("dataset", "classes", "clips", "groups"),
    [
        ("esc10", 10, 400, 304),
        ("fsdd_digits", 10, 600, 6),
        ("fsdd_speakers", 6, 360, 10),
        ("arabic_commands", 20, 1_200, 30),
    ],
)
def test_clips_are_the_same_for_every_upstream(dataset, classes, clips, groups):
    stores = [open_store(STORES / dataset / store_name(upstream)) for upstream in UPSTREAMS]
    assert {store.clips.digest for store in stores} == {stores[0].clips.digest}
    sizes = np.unique(stores[0].clips.class_name, return_counts=True)[1]
    assert (len(sizes), sizes.sum()) == (classes, clips)
    assert sizes.min() >= 40
    assert len(set(stores[0].clips.group.tolist())) == groups


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_no_embedding_is_next_to_zero(upstream):
    for dataset in DATASETS:
        store = open_store(STORES / dataset / store_name(upstream))
        norms = np.linalg.norm(store.view("last.mean").astype(np.float32), axis=1)
        assert norms.min() > 0.1


def test_weight_free_stores_rebuild_to_the_same_bytes(tmp_path):
    pytest.importorskip("kaldi_native_fbank", reason="needs the extra 'samples'")
    rebuilt, shipped = rebuild("mfcc", tmp_path)
    for name in ("last.mean.npy", "clips.csv"):
        assert (rebuilt / name).read_bytes() == (shipped / name).read_bytes()


def test_the_projects_own_encoder_gives_its_stores_again(tmp_path):
    rebuilt, shipped = rebuild("simclr:speech_simclr_small", tmp_path)
    assert (rebuilt / "clips.csv").read_bytes() == (shipped / "clips.csv").read_bytes()
    ours, theirs = (np.load(folder / "last.mean.npy").astype(np.float32) for folder in (rebuilt, shipped))
    # float16 keeps three digits; other numbers of threads sum in another order.
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)
    revisions = {
        json.loads((folder / "manifest.json").read_text("utf-8"))["upstream"]["revision"]
        for folder in (rebuilt, shipped)
    }
    assert len(revisions) == 1


def rebuild(upstream, out):
    """The folders of one small dataset's store: made from the recordings, and as it ships."""
    if real_folder() is None:
        pytest.skip("the recordings are not here (JFEWSHOT_AUDIO)")
    arguments = {"audio": real_folder(), "out": out, "upstreams": upstream, "datasets": "fsdd_speakers", "workers": 0}
    main([str(part) for name, value in arguments.items() for part in (f"--{name}", value)])
    return [folder / "fsdd_speakers" / store_name(upstream) for folder in (out, STORES)]


def test_sample_datasets_are_known_by_name():
    assert tuple(sample_datasets()) == DATASETS
