"""Ray: the cells of a run on a cluster of two nodes in processes of this machine, of which one is killed at work."""

import importlib.util
import logging
import os
import signal
import threading
import time

import numpy as np
import pytest

from jfewshot import ray_workers
from jfewshot.cells import on_ray
from jfewshot.cells.planning import plan_cells
from jfewshot.cells.units import cells_of_unit, largest_first, missing_units
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import protocols
from jfewshot.errors import UserError
from jfewshot.ray_workers import Cluster, Words, Workers
from jfewshot.results import ResultFolder
from jfewshot.run import main
from jfewshot.store import open_store
from tests.ray_cluster import needs_ray, two_nodes
from tests.results.packed import contents, keys, remove
from tests.synthetic_stores import clip_table, make_store

N_STORES = 4
OPTIONS = ["--ways", "2", "--n-query", "2", "--episodes", "60", "--classifiers", "centroid", "ridge:alpha=1,10"]
CELLS = N_STORES * 3


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    for number in range(N_STORES):
        make_store(folder / str(number), clip_table((5, 6)), upstream=f"u{number}", seed=number)
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with two_nodes(JAX_NUM_CPU_DEVICES="1", JAX_COMPILATION_CACHE_DIR=str(tmp_path_factory.mktemp("cache"))) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def alone(stores, tmp_path_factory):
    """What one process with one device writes."""
    folder = tmp_path_factory.mktemp("alone") / "results"
    main(["--stores", str(stores), "--out", str(folder), "--devices", "1", *OPTIONS])
    return folder


class NeverLoads:
    def load(self):
        os._exit(1)


class SlowWorker(on_ray.CellWorker):
    """Waits with its second unit until both nodes have written, and then a while: a node is killed with a unit in its hands."""

    begun = False

    def evaluate(self, unit):
        records, waited_from = self._made_with.mark.parent / "records", time.monotonic()
        while self.begun and len(list(records.glob("*.jsonl"))) < 2 and time.monotonic() < waited_from + 60:
            time.sleep(0.01)
        time.sleep(1.5 if self.begun else 0)
        self.begun = True
        return [*super().evaluate(unit), "slow on purpose"]


class LoudWorker(on_ray.CellWorker):
    """Says something while it solves."""

    def load(self):
        super().load()
        self._evaluator = Loud(self._evaluator)


class Loud:
    def __init__(self, evaluator):
        self._evaluator = evaluator

    def __getattr__(self, name):
        return getattr(self._evaluator, name)

    def evaluate(self, *arguments, **named):
        logging.getLogger("jfewshot.evaluator").warning("classes are rare")
        logging.getLogger("jfewshot.evaluator").info("nobody needs to know")
        return self._evaluator.evaluate(*arguments, **named)


def lines_in(folder):
    return [line for path in (folder / "records").glob("*.jsonl") for line in path.read_bytes().splitlines()]


@needs_ray
def test_a_node_killed_at_work_loses_nothing(cluster, stores, alone, tmp_path, monkeypatch, caplog, capsys):
    seen: dict[str, int] = {}

    def kill_a_node():
        records = tmp_path / "r" / "records"
        while sum(len(path.read_bytes().splitlines()) >= 3 for path in records.glob("*.jsonl")) < 2:
            time.sleep(0.01)  # until both have finished a unit of three cells
        time.sleep(0.3)  # and have got another
        cluster.remove_node(cluster.second, allow_graceful=False)
        seen["when_killed"] = len(lines_in(tmp_path / "r"))

    monkeypatch.setattr(on_ray, "CellWorker", SlowWorker)
    killer = threading.Thread(target=kill_a_node)
    killer.start()
    with caplog.at_level(logging.INFO):
        main(["--stores", str(stores), "--out", str(tmp_path / "r"), *OPTIONS, "--ray"])
    killer.join()
    assert 2 <= seen["when_killed"] < CELLS
    assert "on 2 workers of 1 CPU core of a Ray cluster" in caplog.text
    assert "a process of the cluster is gone" in caplog.text
    assert "go to another" in caplog.text
    assert caplog.text.count("slow on purpose") == 1
    assert contents(tmp_path / "r") == contents(alone)
    # At most the cells of one unit were computed twice, and the table is that of a run by one process.
    assert len(lines_in(tmp_path / "r")) <= CELLS + 3
    table = capsys.readouterr().out
    main(["--stores", str(stores), "--out", str(alone), *OPTIONS, "--devices", "1"])
    assert table == capsys.readouterr().out
    assert not list((tmp_path / "r").glob(".run-*"))


@needs_ray
def test_only_what_is_missing_is_computed_and_warnings_are_repeated_once(
    cluster, stores, alone, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(on_ray, "CellWorker", LoudWorker)
    main(["--stores", str(stores), "--out", str(tmp_path / "r"), "--devices", "1", *OPTIONS])
    remove(tmp_path / "r", *keys(tmp_path / "r")[:2])
    before = len(lines_in(tmp_path / "r"))
    with caplog.at_level(logging.INFO):
        main(["--stores", str(stores), "--out", str(tmp_path / "r"), *OPTIONS, "--ray", cluster.address])
    assert f"{CELLS - 2} of {CELLS} cells were there already" in caplog.text
    assert len(lines_in(tmp_path / "r")) == before + 2
    assert caplog.text.count("classes are rare") == 1
    assert "nobody needs to know" not in caplog.text
    assert contents(tmp_path / "r") == contents(alone)


@needs_ray
def test_a_mistake_of_a_worker_comes_as_it_was_raised(cluster, tmp_path, capsys):
    stores = tmp_path / "stores"
    make_store(stores / "a", clip_table((5, 6)), upstream="a", seed=1)
    make_store(stores / "b", clip_table((5, 6)), upstream="b", seed=2)
    array = next((stores / "b").glob("*.npy"))
    array.write_bytes(array.read_bytes()[:-4] + np.float32(np.nan).tobytes())
    common = ["--stores", str(stores), *OPTIONS]
    with pytest.raises(UserError) as alone:
        main([*common, "--out", str(tmp_path / "alone"), "--devices", "1"])
    capsys.readouterr()
    with pytest.raises(UserError) as on_cluster:
        main([*common, "--out", str(tmp_path / "r"), "--ray"])
    assert str(on_cluster.value) == str(alone.value)


@needs_ray
def test_processes_that_never_load_end_the_run_with_a_line(cluster, monkeypatch):
    monkeypatch.setattr(ray_workers, "_ATTEMPTS", 1)  # each start takes seconds
    handler = signal.getsignal(signal.SIGTERM)
    connected = Cluster()
    assert signal.getsignal(signal.SIGTERM) is handler  # a run ended by a scheduler says so, with its own status
    workers = Workers(connected, NeverLoads, (), 1, {"num_cpus": 1}, Words("a worker", str, "with less"))
    try:
        with pytest.raises(UserError, match=r"no process of the cluster could be started \("):
            list(workers.give([1], lambda actor, order: actor.work.remote(order)))
    finally:
        workers.close()
        connected.close()


def test_nothing_missing_needs_no_cluster(stores, alone, monkeypatch, caplog):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with caplog.at_level(logging.INFO):
        main(["--stores", str(stores), "--out", str(alone), *OPTIONS, "--ray"])
    assert f"{CELLS} of {CELLS} cells were there already" in caplog.text


@needs_ray
def test_no_cluster_is_said_in_a_line(stores, tmp_path):
    with pytest.raises(UserError, match=r"no Ray cluster at '127\.0\.0\.1:1'.*ray start --head"):
        main(["--stores", str(stores), "--out", str(tmp_path / "r"), *OPTIONS, "--ray", "127.0.0.1:1"])


def test_without_the_package_the_extra_is_named(stores, tmp_path, monkeypatch):
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else original(name))
    with pytest.raises(UserError, match=r"pip install 'jfewshot\[ray\]'"):
        main(["--stores", str(stores), "--out", str(tmp_path / "r"), *OPTIONS, "--ray"])


BAD = {
    "two ways at once": (["--shard", "0/2"], "--shard and --ray both share out the cells; choose one"),
    "a coordinator": (["--coordinator", "auto"], "--coordinator and --ray both share out the cells; choose one"),
    "a profile": (["--profile", "p"], "--profile measures one process"),
    "no device": (["--devices", "0"], "--devices is 0; with --ray, each worker needs 1 or more"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_go_with_ray_is_refused(what, tmp_path):
    arguments, message = BAD[what]
    with pytest.raises(UserError, match=message):
        main([*arguments, "--out", str(tmp_path), "--ray"])


def test_two_addresses_are_refused(tmp_path):
    with pytest.raises(UserError, match="--ray takes one address, and is given 2"):
        main(["--out", str(tmp_path), "--ray", "a:1", "b:1"])


def test_a_folder_that_a_machine_does_not_see_is_named(stores, tmp_path, monkeypatch):
    monkeypatch.setattr(on_ray, "_MARK_DELAY_S", 0.0)
    run = on_ray.Worker(list, "digest", tmp_path / "elsewhere" / ".run-1", "predictions", 1, False, None, True)
    with pytest.raises(UserError, match=r"does not see .*elsewhere: --out must be on a disk"):
        on_ray.CellWorker(run).load()


@pytest.fixture
def planned(stores, tmp_path):
    """Cells of two sizes: four stores of two protocols and a classifier of two strengths."""
    specs = [parse_classifier("ridge:alpha=1,10")]
    opened = [open_store(stores / str(number)) for number in range(N_STORES)]
    cells = plan_cells(opened, protocols((2,), (1, 3), n_query=2, n_episodes=60), specs)
    with ResultFolder(tmp_path / "empty") as folder:
        units = missing_units(cells, folder, lambda episodes: None)
    return cells, units


def all_of(units):
    return sorted((number, strength) for unit in units for number, strengths in unit for strength in strengths)


def test_units_are_those_of_a_view_and_are_halved_until_there_are_enough(planned):
    cells, units = planned
    assert [len(unit) for unit in units] == [2] * N_STORES
    for wanted in (1, 4, 5, 8, 100):
        given = largest_first(units, cells, wanted)
        assert len(given) == min(max(wanted, N_STORES), len(cells))
        assert all_of(given) == all_of(units)


def test_the_largest_units_are_given_out_first(planned):
    cells, units = planned
    given = largest_first(units, cells, len(cells))
    # Episodes of 3 shots read 10 rows of 12 numbers at each strength, those of 1 shot 6.
    shots = [cells_of_unit(unit, cells)[0].protocol.k_shot for unit in given]
    assert shots == [3] * N_STORES + [1] * N_STORES
