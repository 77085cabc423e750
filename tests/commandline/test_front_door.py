"""`jfewshot`: the list of commands, near misses, and handing over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jfewshot.commandline import commands
from jfewshot.commandline.front_door import main
from jfewshot.errors import UserError

ROOT = Path(__file__).parents[2]
ASKED_FOR = (
    "run",
    "report",
    "store create",
    "store import",
    "store export",
    "store fuse",
    "store statistics",
    "store inspect",
    "store verify",
    "extract",
    "estimate",
    "upstreams check",
    "pretrain",
    "export",
    "study",
    "emotion",
    "asr",
    "phones",
)


def test_without_arguments_every_command_is_listed_with_a_line(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ASKED_FOR:
        (line,) = [line for line in lines if line.startswith(f"  {name:16}  ")]
        assert len(line) > 22
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stores", "x"], "'--stores' is an option of a command; the evaluation is: jfewshot run --stores ..."),
        (["rn"], "there is no command 'rn'; did you mean 'run'? `jfewshot` alone lists the commands"),
        (["store", "inspcet", "x"], "there is no command 'store inspcet'; try: jfewshot store inspect"),
        (["--completion", "tcsh"], "--completion is 'tcsh'; choose bash or zsh"),
    ],
)
def test_what_is_no_command_is_refused_in_a_line(arguments, message):
    with pytest.raises(UserError) as caught:
        main(arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize("arguments", [["store"], ["store", "--help"]])
def test_the_first_of_two_words_lists_the_second(arguments, capsys):
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert [line.split()[:2] for line in printed.splitlines()[1:]] == [
        ["store", "create"],
        ["store", "import"],
        ["store", "export"],
        ["store", "fuse"],
        ["store", "statistics"],
        ["store", "inspect"],
        ["store", "verify"],
    ]


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_the_arguments_after_a_commands_name_reach_its_main(name, monkeypatch):
    seen = []

    class Module:
        @staticmethod
        def main(arguments):
            seen.append(arguments)
            return 7

    monkeypatch.setattr(commands.importlib, "import_module", lambda module: Module)
    assert main([*name.split(), "--out", "x"]) == 7
    assert seen == [[*commands.COMMANDS[name].before, "--out", "x"]]


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_has_a_main_and_options(name):
    command = commands.COMMANDS[name]
    assert callable(commands.importlib.import_module(command.module).main)
    assert command.load_options().__doc__


def test_python_m_jfewshot_is_the_front_door():
    done = subprocess.run(
        [sys.executable, "-m", "jfewshot", "--stores", "x"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: '--stores' is an option of a command; the evaluation is: jfewshot run --stores ...\n"
