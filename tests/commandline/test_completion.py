"""The completion script, run by bash itself."""

import shutil
import subprocess

import pytest

from jfewshot.commandline.commands import COMMANDS
from jfewshot.commandline.completion import script

ASK = """
{script}
COMP_WORDS=({words})
COMP_CWORD={at}
_jfewshot
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def complete():
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    bash = script(["bash"])

    def ask(*words):
        quoted = " ".join(f"'{word}'" for word in ("jfewshot", *words))
        program = ASK.format(script=bash, words=quoted, at=len(words))
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    return ask


def test_commands_are_completed(complete):
    assert set(complete("")) >= {name.split()[0] for name in COMMANDS}
    assert complete("re") == ["report"]
    assert complete("store", "") == ["create", "import", "export", "fuse", "statistics", "inspect", "verify"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "--shot"), ["--shots"]),
        (("run", "--stores", "x", "--no-c"), ["--no-compile-cache"]),
        (("store", "create", "--emb"), ["--embeddings"]),
        (("pretrain", "--data.so"), ["--data.source"]),
        (("asr", "--config", "x.toml", "--beam.s"), ["--beam.size"]),
        (("extract", "--que"), []),
        (("extract", "--qui"), ["--quiet"]),
    ],
)
def test_options_are_completed(complete, words, expected):
    assert complete(*words) == expected


def test_choices_are_completed_and_paths_are_left_to_the_shell(complete):
    assert complete("run", "--protocol", "") == ["default", "paper", "mteb", "mteb_faithful"]
    assert complete("run", "--protocol", "p") == ["paper"]
    assert complete("run", "--stores", "") == []


def test_zsh_gets_the_same_function_after_its_own_preparation():
    bash, zsh = (script([shell]).splitlines() for shell in ("bash", "zsh"))
    assert zsh[1] == "autoload -U +X bashcompinit && bashcompinit"
    assert zsh[2:] == bash[1:]
