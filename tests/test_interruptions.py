"""A run that is ended at any moment, by whatever, ends after another run with the results of an undisturbed one."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

import jfewshot
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.results import read_results
from tests.synthetic_stores import clip_table, make_store

SETTINGS = {"ways": 2, "n_query": 2, "n_episodes": 40, "classifiers": ["centroid", "knn"]}
# Four folders are tried, then one file of draws, and predictions and a record for each of two classifiers.
N_WRITES = 4 + 1 + 2 * 2


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    make_store(folder / "one", clip_table((5, 6)), upstream="one")
    return folder


@pytest.fixture(scope="module")
def evaluators():
    return [Evaluator(jax.devices()[:1], block=64) for _ in range(2)]


def contents(folder: Path):
    """All results, times and leftovers apart."""
    found = {}
    for file in sorted(folder.rglob("*.*")):
        if file.name.startswith("."):
            continue
        name = file.relative_to(folder).as_posix()
        if file.suffix == ".json":
            found[name] = {key: value for key, value in json.loads(file.read_text()).items() if key != "timing"}
        else:
            found[name] = file.read_bytes()
    return found


@pytest.fixture(scope="module")
def undisturbed(stores, evaluators, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    jfewshot.evaluate(stores, **SETTINGS, out=folder, evaluator=evaluators[0])
    found = contents(folder)
    assert sorted(name.split("/")[0] for name in found) == ["cells"] * 2 + ["draws"] + ["predictions"] * 2
    return found


def disturb(monkeypatch, at, how, other_run):
    """Let the at-th write of a file go wrong; returns the list of the files that were renamed or should have been."""
    replace, fsync, unlink, seen, synced = os.replace, os.fsync, Path.unlink, [], []

    def disturbed_replace(source, target):
        seen.append(Path(target).name)
        now = len(seen) == at
        if now and how == "rename refused":
            raise OSError(errno.EIO, "Input/output error", str(source))
        if now and how == "killed before the rename":
            monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
            raise Killed
        if now and how == "another run meanwhile":
            other_run()
        replace(source, target)
        if now and how == "killed after the rename":
            raise Killed

    def disturbed_fsync(descriptor):
        synced.append(descriptor)
        if len(synced) == at and how == "disk full":
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "replace", disturbed_replace)
    monkeypatch.setattr(os, "fsync", disturbed_fsync)
    monkeypatch.setattr(Path, "unlink", unlink)
    return seen, synced


@pytest.mark.parametrize("how", ["disk full", "rename refused", "killed before the rename", "killed after the rename"])
def test_a_run_that_ends_at_any_write_is_completed_by_the_next(
    how, stores, evaluators, undisturbed, tmp_path, monkeypatch
):
    for at in range(1, N_WRITES + 1):
        out = tmp_path / str(at)
        with monkeypatch.context() as patch:
            disturb(patch, at, how, None)
            with pytest.raises((OSError, Killed)) as caught:
                jfewshot.evaluate(stores, **SETTINGS, out=out, evaluator=evaluators[0])
            if isinstance(caught.value, OSError):
                assert str(out) in caught.value.filename
                assert not list(out.rglob("*.partial"))
        if list((out / "cells").glob("*.json")):
            assert read_results(out).problems == ()
        # What is there is whole: a part of the undisturbed results.
        assert {
            name: found for name, found in contents(out).items() if not name.startswith(".")
        }.items() <= undisturbed.items()
        jfewshot.evaluate(stores, **SETTINGS, out=out, evaluator=evaluators[0])
        assert contents(out) == undisturbed


def test_there_are_no_other_writes_than_those_disturbed(stores, evaluators, tmp_path, monkeypatch):
    seen, synced = disturb(monkeypatch, 0, "", None)
    jfewshot.evaluate(stores, **SETTINGS, out=tmp_path / "r", evaluator=evaluators[0])
    assert len(seen) == len(synced) == N_WRITES


def test_another_run_into_the_same_folder_at_any_moment_does_no_harm(
    stores, evaluators, undisturbed, tmp_path, monkeypatch
):
    for at in range(5, N_WRITES + 1):
        out = tmp_path / str(at)
        runs = []

        def other_run(out=out, runs=runs):
            if not runs:
                runs.append(1)
                jfewshot.evaluate(stores, **SETTINGS, out=out, evaluator=evaluators[1])
                assert contents(out) == undisturbed

        with monkeypatch.context() as patch:
            disturb(patch, at, "another run meanwhile", other_run)
            jfewshot.evaluate(stores, **SETTINGS, out=out, evaluator=evaluators[0])
        assert runs
        assert contents(out) == undisturbed
        assert not list(out.rglob("*.partial"))


PROGRAM = """
import sys
from jfewshot.commandline import run_cli
from jfewshot.run import main
status = main(sys.argv[1:])
assert "torch" not in sys.modules, "the evaluator imported torch"
sys.exit(status)
"""


def killed_runs(n_kills, folder, seed):
    """Start runs and end each by SIGKILL at a random moment; then let one finish.

    Returns:
      The results, those of an undisturbed run, and how many runs were ended amid their work.
    """
    for number in range(3):
        make_store(folder / "stores" / str(number), clip_table((5, 6)), upstream=f"u{number}", seed=number)
    arguments = ["--stores", str(folder / "stores"), "--ways", "2", "--n-query", "2", "--episodes", "200"]
    arguments += ["--classifiers", "centroid", "knn", "centroid:metric=cosine", "ridge"]
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
    }

    def start(out):
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments, "--out", str(out)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def finish(out):
        process = start(out)
        assert process.communicate()[1].count(b"Traceback") == 0
        assert process.returncode == 0
        return contents(out)

    def files():
        return sum(file.is_file() for file in (folder / "killed").rglob("*"))

    expected = finish(folder / "undisturbed")
    rng, amid_writing = random.Random(seed), 0
    for _ in range(n_kills):
        # Strike once so many more files are there, or, now and then, before there are any.
        before = files()
        wanted = before + (rng.randint(1, 16) if rng.random() < 0.9 else 0)
        process = start(folder / "killed")
        while process.poll() is None and files() < wanted:
            time.sleep(0.004)
        time.sleep(rng.random() * 0.02)
        amid_writing += process.poll() is None and files() > before
        process.send_signal(signal.SIGKILL)
        process.communicate()
        cells = sorted((folder / "killed").glob("cells/*.json"))
        for cell in rng.sample(cells, len(cells) // 2):
            cell.unlink()  # so that the next run has something to do
    return finish(folder / "killed"), expected, amid_writing


def test_killed_runs_leave_nothing_that_the_next_does_not_put_right(tmp_path):
    found, expected, amid_writing = killed_runs(2, tmp_path, seed=0)
    assert found == expected
    assert amid_writing >= 1


@pytest.mark.slow
def test_fifty_killed_runs_leave_nothing_that_the_next_does_not_put_right(tmp_path):
    found, expected, amid_writing = killed_runs(50, tmp_path, seed=1)
    assert found == expected
    assert amid_writing >= 15
