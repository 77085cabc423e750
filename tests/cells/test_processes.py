"""Several processes over loopback do together what one does alone."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jfewshot.commandline import run_cli
from jfewshot.results import read_results
from jfewshot.run import main
from tests.results.packed import contents, keys, remove
from tests.synthetic_stores import clip_table, make_store

PROGRAM = "from jfewshot.commandline import run_cli; from jfewshot.run import main; run_cli(main)"
OPTIONS = ["--ways", "2", "--n-query", "2", "--episodes", "60", "--classifiers", "centroid", "ridge:alpha=1,10"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    for number in range(4):
        make_store(folder / str(number), clip_table((5, 6)), upstream=f"u{number}", seed=number)
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }

    def start(*arguments):
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *OPTIONS, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def together(start, arguments_of_each):
    """Run processes to their ends; returns (status, stdout, stderr) of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    count = len(arguments_of_each)
    processes = [
        start(*arguments, "--coordinator", f"127.0.0.1:{port}", "--processes", count, "--process", number)
        for number, arguments in enumerate(arguments_of_each)
    ]
    said = [process.communicate() for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


def test_two_processes_write_what_one_writes_and_the_first_prints_it(stores, start, tmp_path):
    alone = start("--stores", stores, "--out", tmp_path / "alone")
    table, log = alone.communicate()
    assert alone.returncode == 0, log
    # Of what is there already, nothing is computed again.
    there = keys(tmp_path / "alone")
    first, second = together(start, [["--stores", stores, "--out", tmp_path / name] for name in ("r", "nowhere")])
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert contents(tmp_path / "r") == contents(tmp_path / "alone")
    assert len(there) == 4 * 3
    assert first[1] == table
    assert second[1] == ""
    # Only process 0 writes, and both worked.
    assert not (tmp_path / "nowhere").exists()
    assert "in process 1 of 2" in second[2]
    # Of what is there already, nothing is computed again; what is not is.
    remove(tmp_path / "r", there[0])
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("r/*/*")}
    first, second = together(start, [["--stores", stores, "--out", tmp_path / "r"]] * 2)
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert contents(tmp_path / "r") == contents(tmp_path / "alone")
    assert "11 of 12 cells were there already" in first[2]


def test_a_process_that_sees_other_stores_ends_all_with_a_line_that_says_so(stores, start, tmp_path):
    make_store(tmp_path / "other", clip_table((6, 6)), upstream="other")
    first, second = together(
        start,
        [["--stores", stores, "--out", tmp_path / "r"], ["--stores", tmp_path / "other", "--out", tmp_path / "r"]],
    )
    assert (first[0], second[0]) == (2, 2)
    assert "error: it plans other cells than process 0" in second[2]
    assert "error: process 1 on " in first[2]
    assert "Traceback" not in first[2] + second[2]


STRENGTHS = ",".join(f"{0.01 * 1.1**number:.6g}" for number in range(100))
ENDS = {
    "process 1 is killed": (1, signal.SIGKILL, {0: (2, "process 1 on "), 1: (-signal.SIGKILL, "")}),
    "process 0 is killed": (0, signal.SIGKILL, {0: (-signal.SIGKILL, ""), 1: (2, "error: process 0 at ")}),
    "^C in process 0": (0, signal.SIGINT, {0: (130, "error: interrupted"), 1: (2, "error: process 0 at ")}),
    "SIGTERM in process 1": (
        1,
        signal.SIGTERM,
        {0: (2, "error: process 1 on "), 1: (143, "error: terminated by SIGTERM")},
    ),
}


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("what", ENDS)
def test_when_one_process_ends_the_others_end_with_a_line_and_the_work_is_kept(what, stores, start, tmp_path):
    victim, number, ends = ENDS[what]
    options = [
        "--stores",
        stores,
        "--out",
        tmp_path,
        "--episodes",
        "20000",
        "--classifiers",
        f"ridge:alpha={STRENGTHS}",
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        start(*options, "--coordinator", f"127.0.0.1:{port}", "--processes", 2, "--process", index) for index in (0, 1)
    ]

    def written():
        return sum(path.read_bytes().count(b"\n") for path in tmp_path.glob("records/*.jsonl"))

    while written() < 5:
        assert processes[0].poll() is None
        time.sleep(0.02)
    processes[victim].send_signal(number)
    began = time.monotonic()
    logs = [process.communicate(timeout=30)[1] for process in processes]
    assert time.monotonic() - began < 15
    for index, (status, line) in ends.items():
        assert processes[index].returncode == status, logs[index]
        assert line in logs[index]
        assert logs[index].count("error: ") == (1 if line else 0)
        # No trace, of Python's or C++'s, and no line of the coordinator's.
        assert not re.search("Traceback|^[EFW]\\d{4} |terminate called|\\*\\*\\*", logs[index], re.MULTILINE), logs[
            index
        ]
    assert 5 <= written() < 400
    assert len(read_results(tmp_path).records) == written()
    assert list(tmp_path.glob("**/.*.partial")) == []


BAD = {
    "no port": (["--coordinator", "node17"], "write auto, or HOST:PORT as in node17:12345"),
    "no number": (
        ["--coordinator", "node17:1", "--processes", "2"],
        "--process I with I from 0 to N - 1; they are 2 and None",
    ),
    "a number too large": (["--coordinator", "h:1", "--processes", "2", "--process", "2"], "they are 2 and 2"),
    "numbers alone": (["--processes", "2"], "--processes and --process need --coordinator HOST:PORT"),
    "numbers with auto": (["--coordinator", "auto", "--process", "0"], "by itself; leave them out"),
    "two ways at once": (["--coordinator", "auto", "--shard", "0/2"], "both share out the cells; choose one"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_coordinator_that_cannot_be_meant_is_refused_in_a_line(what, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "unused")
    arguments, message = BAD[what]
    with pytest.raises(SystemExit) as caught:
        run_cli(lambda: main([*arguments, "--out", str(tmp_path)]))
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert message in said
    assert said.count("\n") == 1
