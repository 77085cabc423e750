"""What a report says of fusions: parts, chosen weights, and weights that validation chooses."""

import jax
import numpy as np
import pytest

from jfewshot import api
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.reporting.chosen import chosen_grid
from jfewshot.reporting.fusions import chosen_weights_grid
from jfewshot.reporting.tidy import tidy_rows
from tests.synthetic_stores import clip_table, embeddings, make_store

SPLIT = clip_table((8,) * 10, splits=("validation",) * 5 + ("test",) * 5)
WEIGHTS = ("equal", "10-90", "auto")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A good encoder, one that is noise, and their fusions, on validation and on test."""
    path = tmp_path_factory.mktemp("stores")
    good = make_store(path / "good", SPLIT, upstream="good", views={"last.mean": embeddings(SPLIT, 12, spread=0.8)})
    noise = np.random.default_rng(3).normal(size=(SPLIT.n_rows, 12)).astype(np.float32)
    bad = make_store(path / "bad", SPLIT, upstream="bad", views={"last.mean": noise})
    how = {"ways": 3, "shots": 2, "n_query": 3, "n_episodes": 64, "classifiers": "ridge:alpha=1"}
    evaluator = Evaluator(jax.devices()[:2])
    return [
        record
        for split in ("validation", "test")
        for record in api.evaluate(
            [bad, good], fuse=["bad+good"], fuse_weights=WEIGHTS, split=split, evaluator=evaluator, **how
        )
    ]


def test_validation_chooses_among_fixed_weights(records):
    fixed = [one for one in records if not one["upstream"]["name"].endswith("@auto")]
    (row,) = ([entry.text for entry in row] for row in chosen_grid(fixed).rows)
    assert row[0] == "bad + good"
    assert row[3].startswith("weights 10-90")
    (tested,) = (one for one in records[5:] if one["upstream"]["name"] == "bad+good@10-90")
    assert row[-1].startswith(f"{100 * tested['accuracy']['mean']:.2f}")
    # Of all ways to weight, the one of the highest validation accuracy.
    (row,) = ([entry.text for entry in row] for row in chosen_grid(records).rows)
    best = max(one["accuracy"]["mean"] for one in records[2:5])
    assert row[4] == f"{100 * best:.2f}"


def test_the_weights_that_episodes_chose_have_a_table(records):
    table = chosen_weights_grid(records)
    rows = [[entry.text for entry in row] for row in table.rows]
    assert [row[1] for row in rows] == ["bad + good (weights chosen in each episode)"] * 2
    bad, good = records[4]["chosen_weights"]
    assert good["mean"] > 0.7
    low, _, high = (100 * decile for decile in bad["deciles"])
    expected = f"bad {100 * bad['mean']:.0f}% ({low:.0f} to {high:.0f}), good {100 * good['mean']:.0f}%"
    assert expected in [row[3][: len(expected)] for row in rows]
    assert chosen_weights_grid(records[:4]) is None


def test_the_flat_table_names_parts_and_weights(records):
    keyed = [record | {"key": str(number)} for number, record in enumerate(records)]
    found = {(row["upstream"], row["fusion_parts"], row["fusion_weights"]) for row in tidy_rows(keyed)}
    parts = "bad last.mean; good last.mean"
    fused = {("bad+good", parts, "0.5; 0.5"), ("bad+good@10-90", parts, "0.1; 0.9"), ("bad+good@auto", parts, "auto")}
    assert found == {("bad", None, None), ("good", None, None), *fused}
