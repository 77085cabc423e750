"""The paper's grid has the published counts, looks as encoders' embeddings do, and is written piece by piece."""

import numpy as np
import pytest

from benchmarks import end_to_end, paper_grid
from benchmarks.tools.embeddings import Look, Synthetic
from jfewshot.store import open_store


def test_the_grid_has_the_published_counts():
    datasets = {dataset.name: dataset for dataset in paper_grid.datasets()}
    assert len(datasets) == 10
    assert len(paper_grid.upstreams()) == 13
    # docs and the paper: 305,978 clips of 1,006 instruments, 200 of them for testing; 1.7 million segments in all.
    assert datasets["nsynth"] == paper_grid.Dataset("nsynth", "NSynth", 305_978, 1_006, 200)
    assert sum(dim for *_, dim in paper_grid.upstreams()) == 7 * 768 + 5 * 512 + 256
    table, class_of_clip = paper_grid.clips_of(datasets["saa"])
    assert len(table) == 2_060
    assert len(table.classes) == 122
    assert np.bincount(class_of_clip).min() >= 2
    assert 11_000 < table.n_segments.sum() < 15_000
    esc = paper_grid.clips_of(datasets["esc50"])[0]
    assert len(set(esc.class_name[esc.split == "test"].tolist())) == 10


def test_a_store_that_is_there_stays(tmp_path):
    first = list(paper_grid.write_grid(tmp_path, share=0.001, n_upstreams=1, n_datasets=2))
    assert [path.relative_to(tmp_path).as_posix() for path in first] == ["scv2/wavlm_base", "saa/wavlm_base"]
    before = [path.stat().st_mtime_ns for path in first]
    again = list(paper_grid.write_grid(tmp_path, share=0.001, n_upstreams=2, n_datasets=2))
    assert again[:2] == first
    assert [path.stat().st_mtime_ns for path in first] == before
    stores = [open_store(path) for path in again]
    assert stores[0].clips.digest == stores[2].clips.digest
    for store in stores:
        store.check_digest("last.mean")
        assert store.view("last.mean").dtype == np.float16
        assert not list(store.path.parent.glob(".*"))


@pytest.mark.parametrize("mean_cosine", [0.7, 0.95])
def test_embeddings_share_the_mean_and_the_spectrum_asked_for(mean_cosine):
    labels = np.repeat(np.arange(40), 25)
    x = Synthetic(labels, np.ones(1000, np.int64), 128, look=Look(mean_cosine=mean_cosine)).array()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    mean = unit.mean(0)
    # Of a thousand rows of forty classes: the sample's own mean moves it by a few hundredths.
    assert (mean**2).sum() == pytest.approx(mean_cosine, abs=0.05)
    share = np.linalg.svd(unit - mean, compute_uv=False) ** 2
    assert 0.85 < share[:64].sum() / share.sum() < 0.99
    between = np.stack([unit[labels == label].mean(0) for label in range(40)]) - mean
    assert 0.2 < (between**2).sum(1).mean() / ((unit - mean) ** 2).sum(1).mean() < 0.55


def test_a_file_holds_the_same_embeddings_as_memory(tmp_path):
    synthetic = Synthetic(np.arange(6) // 2, np.array([1, 3, 1, 1, 2, 1]), 16)
    synthetic.save(tmp_path / "x.npy", "float16")
    assert np.array_equal(np.load(tmp_path / "x.npy"), synthetic.array("float16"))
    assert len(synthetic) == 9


@pytest.mark.slow
def test_the_table_is_made_from_a_small_grid_and_the_original_is_sampled(tmp_path):
    stores = list(paper_grid.write_grid(tmp_path / "grid", share=0.001, n_upstreams=2, n_datasets=2))
    row = end_to_end.measure(stores, "logistic", 50, 5, 2, tmp_path, 600.0)
    assert row["cells"] == 4
    assert row["episodes"] == 200
    assert all(run["wall_s"] > 0 for run in row["runs"])
    assert row["original_s"] > 0
    assert "WavLM Base" in (tmp_path / "table3-logistic.md").read_text()
    assert "| `logistic` | 4 | 200 |" in end_to_end.table([row])
