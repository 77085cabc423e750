"""`jfewshot shift`: the same queries with supports of the same domain and of others."""

import csv
import json

import jax
import numpy as np
import pytest

from jfewshot.commandline import run_cli
from jfewshot.errors import UserError
from jfewshot.results import read_results
from jfewshot.shift.__main__ import main
from jfewshot.store import ClipTable
from tests.synthetic_stores import make_store

FEW = [
    "--ways",
    "3",
    "--shots",
    "2",
    "--n-query",
    "3",
    "--episodes",
    "60",
    "--classifiers",
    "centroid",
    "--formats",
    "png",
]


@pytest.fixture(autouse=True)
def _a_cache_of_nobody(monkeypatch):
    jax.devices()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "unused")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Classes that lie apart within each of three sites, and in another order in each of them; a fourth site is too small."""
    folder = tmp_path_factory.mktemp("stores")
    rng, labels, sites, x = np.random.default_rng(0), [], [], []
    centres = 4 * np.eye(4, 8)
    for number, site in enumerate(("north", "east", "south", "tiny")):
        for label in range(4):
            for _ in range(2 if site == "tiny" else 6):
                labels.append(f"c{label}")
                sites.append(site)
                x.append(centres[(label + number) % 4] + rng.normal(size=8))
    table = ClipTable.build([f"{n:03d}" for n in range(len(labels))], labels, further={"site": sites})
    for upstream, noise in (("good", 0.0), ("poor", 6.0)):
        views = {"last.mean": (np.array(x) + noise * rng.normal(size=(len(x), 8))).astype(np.float32)}
        make_store(folder / "bats" / upstream, table, "bats", upstream, views=views)
        make_store(folder / "birds" / upstream, upstream=upstream, dataset="birds")
    return folder


def test_one_command_makes_the_tables_the_figure_and_the_numbers(stores, tmp_path, capsys):
    arguments = ["--stores", str(stores), "--by", "site", "--out", str(tmp_path), *FEW]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "another site − same site" in printed
    rows = {one["upstream"]: one for one in json.loads((tmp_path / "shift.json").read_text())}
    assert set(rows) == {"good", "poor"}
    good = rows["good"]
    assert good["dataset"] == "bats"
    assert good["domains"] == ["east", "north", "south"]
    same, other, _, mixed = good["mean"]
    # Another site takes each class for another one; of all sites together, a third of the supports is right.
    assert same > 0.95
    assert other < 0.2
    assert other < mixed < same
    assert good["difference_to_same"][1] == pytest.approx(other - same)
    assert good["difference_half_width"][1] < 0.2
    assert (tmp_path / "figures" / "shift.png").stat().st_size > 5000
    with open(tmp_path / "tables" / "shift-1.csv") as file:
        first, *_ = csv.DictReader(file)
    assert first["same site"].startswith(f"{100 * rows[first['Upstream']]['mean'][0]:.1f}")
    # The mean is that of the records, of which each pair of sites has one, on the same queries.
    results = read_results(tmp_path)
    assert len(results.records) == 2 * 3 * (1 + 2 + 1 + 1)
    of_east = [
        record
        for record in results.records
        if record["upstream"]["name"] == "good"
        and record["identity"]["protocol"]["query"]["where"][0]["values"] == ["east"]
    ]
    queries = [results.draws(record)["clips"][:, :, 2:] for record in of_east]
    assert len(of_east) == 5
    assert all((one == queries[0]).all() for one in queries)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")}
    assert main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "sitee"], "no column 'sitee'"),
        (["--by", "site", "--shots", "9"], "0 of 4 values of column 'site' have 12 clips in every class"),
        (["--by", "site", "--classifiers", "logistic:C=1,10"], "one classifier at one strength"),
        (["--by", "site", "--others", "0"], "--others is 0"),
        (["--datasets", "birds"], "birds: its clips have no groups"),
    ],
)
def test_bad_input_is_named(stores, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        main(["--stores", str(stores), "--out", str(tmp_path), *FEW, *arguments])


def test_a_mistake_on_the_command_line_is_one_line(stores, capsys):
    with pytest.raises(SystemExit):
        run_cli(lambda: main(["--stores", str(stores), "--by"]))
    assert capsys.readouterr().err.count("\n") == 1
