"""The default command where the system lacks what only Linux, or only POSIX, has."""

import json
import subprocess
import sys

import pytest

from jfewshot import threads

# Runs `python -m jfewshot.run` as on Windows: no affinity, no sysconf, no fork, no load, no fcntl or resource module, no /proc.
WITHOUT = """
import asyncio, builtins, os, runpy, sys  # asyncio asks sysconf when it is imported on Linux, as it does not on Windows

for name in ("sched_getaffinity", "sysconf", "sysconf_names", "fork", "forkpty", "getloadavg"):
    delattr(os, name) if hasattr(os, name) else None
for name in ("fcntl", "resource"):
    sys.modules[name] = None
opened = builtins.open

def without_proc(file, *arguments, **named):
    if str(file).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", str(file))
    return opened(file, *arguments, **named)

builtins.open = without_proc
runpy.run_module("jfewshot.run", run_name="__main__", alter_sys=True)
"""


def test_the_default_command_needs_nothing_that_only_linux_has(tmp_path):
    command = [sys.executable, "-c", WITHOUT, "--episodes", "200", "--out", str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (records,) = (tmp_path / "results" / "records").glob("*.jsonl")
    accuracies = [json.loads(line)["accuracy"]["mean"] for line in records.read_text("utf-8").splitlines()]
    assert len(accuracies) == 32
    assert all(0.2 < accuracy <= 1 for accuracy in accuracies)


@pytest.mark.parametrize(("count", "cores"), [(6, 6), (None, 1)])
def test_cores_are_the_machines_where_the_system_tells_no_affinity(monkeypatch, count, cores):
    monkeypatch.delattr(threads.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: count)
    assert threads.cores() == cores
