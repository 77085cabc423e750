"""A run that is ended at any moment, by whatever, ends after another run with the results of an undisturbed one."""

import errno
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
from tests.results.packed import contents, keys, remove
from tests.synthetic_stores import clip_table, make_store

SETTINGS = {"ways": 2, "n_query": 2, "n_episodes": 40, "classifiers": ["centroid", "knn"]}
# Four folders are tried, then one file of draws is written.
N_FILES = 4 + 1
# Predictions and a record are appended for each of two classifiers, and both files are brought to disk at the end.
N_APPENDED, N_SYNCED = 2 * 2, N_FILES + 2


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


@pytest.fixture(scope="module")
def undisturbed(stores, evaluators, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    jfewshot.evaluate(stores, **SETTINGS, out=folder, evaluator=evaluators[0])
    found = contents(folder)
    assert len(keys(folder)) == 2
    assert len(found) == 2 * 2 + 1
    return found


def disturb(monkeypatch, at, how, other_run):
    """Let the at-th write go wrong; returns what was renamed, brought to disk and appended, or should have been."""
    replace, fsync, write, unlink, seen, synced, appended = os.replace, os.fsync, os.write, Path.unlink, [], [], []

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

    def disturbed_write(descriptor, data):
        appended.append(descriptor)
        now = len(appended) == at
        if now and how == "append refused":
            raise OSError(errno.EIO, "Input/output error")
        if now and how == "killed amid an append":
            write(descriptor, data[: len(data) // 2])
            raise Killed
        if now and how == "another run amid an append":
            other_run()
        written = write(descriptor, data)
        if now and how == "killed after an append":
            raise Killed
        return written

    monkeypatch.setattr(os, "replace", disturbed_replace)
    monkeypatch.setattr(os, "fsync", disturbed_fsync)
    monkeypatch.setattr(os, "write", disturbed_write)
    monkeypatch.setattr(Path, "unlink", unlink)
    return seen, synced, appended


@pytest.mark.parametrize(
    ("how", "n"),
    [
        ("disk full", N_SYNCED),
        ("rename refused", N_FILES),
        ("killed before the rename", N_FILES),
        ("killed after the rename", N_FILES),
        ("append refused", N_APPENDED),
        ("killed amid an append", N_APPENDED),
        ("killed after an append", N_APPENDED),
    ],
)
def test_a_run_that_ends_at_any_write_is_completed_by_the_next(
    how, n, stores, evaluators, undisturbed, tmp_path, monkeypatch
):
    for at in range(1, n + 1):
        out = tmp_path / str(at)
        with monkeypatch.context() as patch:
            disturb(patch, at, how, None)
            with pytest.raises((OSError, Killed)) as caught:
                jfewshot.evaluate(stores, **SETTINGS, out=out, evaluator=evaluators[0])
            if isinstance(caught.value, OSError):
                assert str(out) in caught.value.filename
                assert not list(out.rglob("*.partial"))
        # What is there is whole: a part of the undisturbed results.
        assert contents(out).items() <= undisturbed.items()
        jfewshot.evaluate(stores, **SETTINGS, out=out, evaluator=evaluators[0])
        assert contents(out) == undisturbed
        assert read_results(out).problems == ()


def test_there_are_no_other_writes_than_those_disturbed(stores, evaluators, tmp_path, monkeypatch):
    seen, synced, appended = disturb(monkeypatch, 0, "", None)
    jfewshot.evaluate(stores, **SETTINGS, out=tmp_path / "r", evaluator=evaluators[0])
    assert (len(seen), len(synced), len(appended)) == (N_FILES, N_SYNCED, N_APPENDED)


@pytest.mark.parametrize(
    ("how", "moments"),
    [("another run meanwhile", range(N_FILES, N_FILES + 1)), ("another run amid an append", range(1, N_APPENDED + 1))],
)
def test_another_run_into_the_same_folder_at_any_moment_does_no_harm(
    how, moments, stores, evaluators, undisturbed, tmp_path, monkeypatch
):
    for at in moments:
        out = tmp_path / str(at)
        runs = []

        def other_run(out=out, runs=runs):
            if not runs:
                runs.append(1)
                jfewshot.evaluate(stores, **SETTINGS, out=out, evaluator=evaluators[1])
                assert contents(out) == undisturbed

        with monkeypatch.context() as patch:
            disturb(patch, at, how, other_run)
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

    def size():
        return sum(file.stat().st_size for file in (folder / "killed").rglob("*.*") if not file.name.startswith("."))

    expected = finish(folder / "undisturbed")
    rng, amid_writing = random.Random(seed), 0
    for _ in range(n_kills):
        # Strike once so many more bytes are there, or, now and then, before there are any.
        before = size()
        wanted = before + (rng.randint(1, 16_000) if rng.random() < 0.9 else 0)
        process = start(folder / "killed")
        while process.poll() is None and size() < wanted:
            time.sleep(0.004)
        time.sleep(rng.random() * 0.02)
        amid_writing += process.poll() is None and size() > before
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if list((folder / "killed").glob("records/*.jsonl")):
            there = keys(folder / "killed")
            remove(folder / "killed", *rng.sample(there, len(there) // 2))  # so that the next run has something to do
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
