"""How commands end: the exit codes that docs/commands.md lists, and a line instead of a traceback."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jfewshot import commandline
from jfewshot.commandline import run_cli
from jfewshot.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("name the thing"), 2, "error: name the thing\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; what was finished is kept"),
        (OSError(errno.ENOSPC, "full", "x.json"), 2, "error: no space left while writing x.json"),
        (PermissionError(errno.EACCES, "denied", "x"), 2, "error: not allowed to use x (denied)"),
        (FileNotFoundError(errno.ENOENT, "gone", "x"), 2, "error: x does not exist"),
    ],
)
def test_a_command_line_ends_on_an_error_with_a_line_and_a_status(capsys, error, status, said):
    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        run_cli(main)
    assert caught.value.code == status
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert err.count("\n") == 1


def test_a_bug_keeps_its_traceback_and_has_a_status_of_its_own(capsys):
    def main():
        raise RuntimeError("a bug")

    with pytest.raises(SystemExit) as caught:
        run_cli(main)
    assert caught.value.code == 70
    assert re.search(r"Traceback.*in main\n.*RuntimeError: a bug", capsys.readouterr().err, re.DOTALL)


def test_a_missing_package_of_an_extra_is_named_with_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jiwer", None)  # as if it were not installed

    def main():
        import jiwer.measures  # noqa: F401

    with pytest.raises(SystemExit) as caught:
        run_cli(main)
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "error: this command needs the Python package jiwer, which is not installed: pip install 'jfewshot[asr]'\n"
    )


def test_a_missing_package_of_no_extra_is_a_bug():
    def main():
        raise ModuleNotFoundError("No module named 'nowhere'", name="nowhere")

    with pytest.raises(SystemExit) as caught:
        run_cli(main)
    assert caught.value.code == 70


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1)])
def test_what_main_returns_is_the_status_and_handlers_are_as_before(returned, status):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit) as caught:
        run_cli(lambda: returned)
    assert caught.value.code == status
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


WAITING = """
import sys, time
from jfewshot.commandline import run_cli
def main():
    {body}
run_cli(main)
"""
SLEEP = "print('ready', flush=True); time.sleep(60)"
# What a package does that turns an interrupted import into an error of its own.
TRANSLATED = """
    print('ready', flush=True)
    try: time.sleep(60)
    except BaseException: raise ImportError('cannot import name') from None
"""
# A module whose import takes long and lets no exception out.
IMPORTED = """
    import pathlib, tempfile
    folder = tempfile.mkdtemp()
    pathlib.Path(folder, "slow_to_import.py").write_text(
        "import time\\nprint('ready', flush=True)\\n"
        "while True:\\n  try: time.sleep(60)\\n  except BaseException: pass\\n"
    )
    sys.path.append(folder)
    import slow_to_import
"""
# A destructor, out of which Python lets no exception.
DESTROYED = """
    class Slow:
        def __del__(self):
            print('ready', flush=True)
            time.sleep(60)
    one = Slow()
    del one
    time.sleep(60)
"""
# A forked child has the parent's handlers.
FORKED = """
    import os
    here, there = os.pipe()
    child = os.fork()
    if not child:
        os.write(there, b"x")  # Python drops signals that arrive while it forks
        time.sleep(60)
    os.read(here, 1)
    os.kill(child, 15)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == 15, status
    print('ready', flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "status", "line"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated by SIGTERM")]
)
@pytest.mark.parametrize(
    "body",
    [SLEEP, IMPORTED, TRANSLATED, DESTROYED, FORKED],
    ids=["sleep", "import", "translated", "destructor", "child"],
)
def test_signals_end_a_command_with_one_line(body, number, status, line):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert err == f"error: {line}; what was finished is kept, and the same command continues from there\n"
    assert process.returncode == status


def test_a_reader_that_has_seen_enough_is_no_error():
    program = "from jfewshot.commandline import run_cli\nrun_cli(lambda: print('line\\n' * 100_000))"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(20) == 0


def test_the_page_lists_every_exit_code():
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert listed == {0} | {getattr(commandline, name) for name in commandline.__all__ if name.startswith("EXIT_")}
