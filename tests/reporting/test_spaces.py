"""What a report says about the embeddings, where the stores are still there."""

import json
import shutil

import numpy as np
import pytest

from jfewshot.reporting import spaces
from jfewshot.reporting.document import Picture, Points, TableBlock
from jfewshot.reporting.figures.similarity import SimilarityPanel, similarity_maps
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.spaces import space_blocks, spaces_of
from jfewshot.reporting.writer import Writer
from jfewshot.store import ClipTable
from tests.reporting.synthetic import record_of
from tests.synthetic_stores import make_store


@pytest.fixture
def board(tmp_path):
    """Three encoders of one dataset, in which a clip is there twice and another one has a wrong label."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(3), 30)
    table = ClipTable.build(
        [f"{number:03d}.wav" for number in range(90)],
        [f"class{number}" for number in np.r_[2, classes[1:]]],
        [f"group{number}" for number in range(90)],
    )
    records = []
    for number, name in enumerate("abc"):
        x = rng.normal(size=(3, 12))[classes] + 0.3 * rng.normal(size=(90, 12))
        x[40] = x[41] + 0.001
        view = {"last.mean": x.astype(np.float32)}
        store = make_store(tmp_path / "stores" / name, table, upstream=name, views=view)
        record = record_of(name, "birds", 0.9 - 0.1 * number)
        record["identity"]["embeddings"] = store.view_digest("last.mean")
        record["store"] = {"path": str(store.path), "digest": store.digest}
        records.append(record)
    return leaderboards(records)[0]


def test_the_blocks_name_copies_and_suspects_with_links(board, tmp_path):
    blocks = space_blocks(Writer(tmp_path / "report", ("svg",)), board, lambda clip: f"sounds/{clip}")
    points, table, picture, copies, labels = blocks
    assert isinstance(points, Points)
    assert any("040.wav = 041.wav" in text for text in points.sentences)
    assert any("000.wav (class 'class2') is like 'class0'" in text for text in points.sentences)
    assert isinstance(table, TableBlock)
    assert [row[1].text for row in table.grid.rows] == ["a", "b", "c"]
    assert isinstance(picture, Picture)
    assert [cell.link for cell in copies.grid.rows[0]][1:3] == ["sounds/040.wav", "sounds/041.wav"]
    assert labels.grid.rows[0][1].link == "sounds/000.wav"
    found = json.loads((tmp_path / "report" / "exports" / "diagnostics.json").read_text(encoding="utf-8"))
    assert found[0]["suspects"]["clips"][0]["clip_id"] == "000.wav"
    assert float(table.grid.rows[0][3].text) == pytest.approx(found[0]["spaces"][0]["effective_rank"], abs=0.05)
    assert (tmp_path / "report" / "tables" / "near-copies.csv").exists()


def test_stores_that_are_gone_or_changed_are_left_out(board, tmp_path):
    shutil.rmtree(tmp_path / "stores" / "a")
    make_store(tmp_path / "stores" / "b", upstream="b")
    found, left = spaces_of(board)
    assert [space.title for space in found] == ["c"]
    assert left == 2
    shutil.rmtree(tmp_path / "stores" / "c")
    assert space_blocks(Writer(tmp_path / "report", ("svg",)), board) == []
    assert not (tmp_path / "report" / "exports").exists()


def test_the_best_encoders_are_looked_at_where_there_are_many(board, monkeypatch):
    monkeypatch.setattr(spaces, "MOST_SPACES", 2)
    found, left = spaces_of(board)
    assert ([space.title for space in found], left) == (["a", "b"], 1)


def test_the_map_of_similarities_shows_each_pair_once():
    values = np.array([[1, 0.25, np.nan], [0.25, 1, -0.01], [np.nan, -0.01, 1]])
    figure = similarity_maps([SimilarityPanel("birds", ["one", "two", "three"], values)], "Similarity")
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.texts] == ["0.25", "−0.01"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["one", "two"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["two", "three"]
