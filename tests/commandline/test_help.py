"""Every command's `--help`: quick, complete, and understandable entry by entry."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from jfewshot.commandline.commands import COMMANDS
from jfewshot.commandline.helptext import help_text
from jfewshot.commandline.options import options_of
from jfewshot.commandline.parsing import parse

ROOT = Path(__file__).parents[2]
ALL = pytest.mark.parametrize("name", COMMANDS)

# What takes long to load, and what loads it. tyro itself loads none of these.
HEAVY = ("jax", "numpy", "torch", "scipy", "flax", "optax", "matplotlib", "jaxtyping", "rich", "soundfile", "s3prl")

# As `python -m MODULE` has it, so that what the packages around a module import counts too.
DOCUMENTED = {
    "try": "extraction.trying.command",
    "fit": "extraction.heads.fit_command",
    "apply": "extraction.heads.apply_command",
    "run": "jfewshot.run",
    "shift": "jfewshot.shift",
    "label next": "jfewshot.labelling next",
    "label compare": "jfewshot.labelling compare",
    "suite list": "jfewshot.suite list",
    "suite run": "jfewshot.suite run",
    "suite validate": "jfewshot.suite validate",
    "suite init": "jfewshot.suite init",
    "suite build": "jfewshot.suite build",
    "suite export": "jfewshot.suite export",
    "report": "jfewshot.report",
    "extract": "extraction.run",
    "estimate": "extraction.estimate",
    "upstreams list": "extraction.upstreams list",
    "upstreams check": "extraction.upstreams check",
    "store create": "jfewshot.store create",
    "store import": "jfewshot.store import",
    "store export": "jfewshot.store export",
    "store fuse": "jfewshot.store fuse",
    "store statistics": "jfewshot.store statistics",
    "store inspect": "jfewshot.store inspect",
    "store verify": "jfewshot.store verify",
    "pretrain": "jfewshot.simclr.train",
    "export": "jfewshot.simclr.export",
    "study": "jfewshot.simclr.study",
    "emotion": "jfewshot.downstream.emotion",
    "asr": "jfewshot.downstream.asr",
    "phones": "jfewshot.downstream.phones",
}

PROGRAM = """
import atexit, json, runpy, sys
heavy = {heavy!r}
def tell():
    found = sorted(set(heavy) & set(sys.modules))
    open({path!r}, "w").write(json.dumps([found, len(sys.modules)]))
atexit.register(tell)
module, *sys.argv[1:] = sys.argv[1:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def modules_loaded(command, path):
    program = PROGRAM.format(heavy=HEAVY, path=str(path))
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    return done, *json.loads(path.read_text())


@ALL
def test_help_and_refusals_load_nothing_heavy(name, tmp_path):
    module, *before = DOCUMENTED[name].split()
    done, heavy, n_modules = modules_loaded([module, *before, "--help"], tmp_path / "help.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: jfewshot {name}")
    assert heavy == []
    assert n_modules < 700
    done, heavy, _ = modules_loaded([module, *before, "--no-such-option", "1"], tmp_path / "refused.json")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no option '--no-such-option'; ")
    assert done.stderr.count("\n") == 1
    assert heavy == []


def test_the_front_door_loads_nothing_heavy(tmp_path):
    for arguments in ([], ["emotion", "--help"], ["--version"]):
        done, heavy, _ = modules_loaded(["jfewshot", *arguments], tmp_path / "x.json")
        assert done.returncode == 0, done.stderr
        assert heavy == []


@ALL
def test_every_documented_command_is_on_the_page(name):
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    module, *before = DOCUMENTED[name].split()
    row = next(line for line in page.splitlines() if f"`jfewshot {name.split()[0]}" in line and "|" in line)
    assert all(word in row for word in [f"python -m {module}", *before])


# Openings of a text that needs another text to be understood, and what tyro prints of types.
ARTEFACTS = {
    "a default of nothing": r"\(default: *\)|default: None",
    "a type that is no instruction": r"\{None\}|\{|\}\||\(required\).*\(default|INT\b|STR\b|FLOAT\b|<class",
    "markup": r"\[bold\]|\[/|\x1b",
}
REFERS_ELSEWHERE = re.compile(
    r"^(Of|As|Take them|Likewise|The same|Also as|Overrides|Its|How many there are|Which of them)\b"
    r"|\bthem from\b|\bbeside\b|\btold\b|\banew\b|\badmits?\b"
)


@ALL
def test_help_has_no_artefacts(name):
    printed = help_text(COMMANDS[name].load_options(), name).replace("{seed}", "")
    for what, pattern in ARTEFACTS.items():
        assert not re.search(pattern, printed), what


@ALL
def test_every_option_is_explained_on_its_own(name):
    for option in options_of(COMMANDS[name].load_options()):
        assert re.match(r"[A-Z0-9.]\S* .*", option.help), option
        assert len(option.help.split()) >= 4 or option.is_switch, option
        assert option.help.endswith((".", "?")), option
        assert not REFERS_ELSEWHERE.search(option.help), option
        # Without a default there is nothing to print, so the text says what happens.
        if option.default in (None, ()) and not option.is_positional:
            assert re.search(
                r"Without this option|Also write|Instead of|Only write|needed with|used with", f"{option.help}"
            ) or (option.name in SAYS_SO_ITSELF), option


# Options that do nothing unless given.
SAYS_SO_ITSELF = {
    "datasets",
    "upstreams",
    "checkpoint",
    "center-from",
    "statistics-from",
    "profile",
    "shard",
    "coordinator",
    "min-clips",
    "correlate-with",
    "lower-is-better",
    "compare",
    "leave-out",
    "folds",
    "sentencepiece",
    "baseline",
    "lm",
    "write-table",
}


@ALL
def test_every_option_has_a_heading_of_its_group(name):
    kind = COMMANDS[name].load_options()
    printed = help_text(kind, name)
    options = options_of(kind)
    for heading in {option.heading for option in options}:
        assert f"\n{heading}:\n" in printed
        assert heading != "Options", "HEADINGS says no heading for the first field"
    for option in options:
        assert re.search(rf"^  (\[?{re.escape(option.flag)})", printed, re.MULTILINE)
    assert set(getattr(kind, "HEADINGS", {})) <= {field.name for field in dataclasses.fields(kind)}


@ALL
def test_examples_are_printed_and_can_be_parsed(name):
    kind = COMMANDS[name].load_options()
    printed = help_text(kind, name)
    examples = getattr(kind, "EXAMPLES", ())
    assert examples
    for example in examples:
        assert f"\n  {example}\n" in printed
        assert example.startswith(f"jfewshot {name}")
        words = example.removeprefix(f"jfewshot {name}").split()
        if name == "study":  # its test sets must exist
            words = [word for word in words[: words.index("--")] if "=" not in word and word != "--tests"]
        parse(kind, words, name)


@ALL
def test_no_line_is_wider_than_the_terminal(name, monkeypatch):
    kind = COMMANDS[name].load_options()
    monkeypatch.setenv("COLUMNS", "80")
    text = [line for line in help_text(kind, name).splitlines() if line.startswith("      ")]
    assert max(map(len, text), default=0) <= 80
    monkeypatch.setenv("COLUMNS", "300")
    text = [line for line in help_text(kind, name).splitlines() if line.startswith("      ")]
    assert max(map(len, text), default=0) <= 100


@dataclasses.dataclass(frozen=True)
class Small:
    """Do something.

    More about it.
    """

    EXAMPLES: ClassVar = ("jfewshot small --size 3",)
    HEADINGS: ClassVar = {"size": "Sizes", "kinds": "Other"}

    size: int
    """How large."""
    kinds: tuple[Literal["a", "b"], ...] = ("a", "b")
    """Which kinds."""
    fast: bool = True
    """Be fast."""


HELP = """\
Usage: jfewshot small --size N [options]

Do something.

More about it.

Examples:
  jfewshot small --size 3

Sizes:
  --size N
      How large. (required)

Other:
  --kinds a|b [a|b ...]
      Which kinds. (default: a b)
  --fast, --no-fast
      Be fast. (default: --fast)

Every command:
"""


def test_help_looks_like_this(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert help_text(Small, "small").startswith(HELP)
