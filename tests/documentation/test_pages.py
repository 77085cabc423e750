"""Commands of the pages have options that exist, and links lead somewhere."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from jfewshot.commandline.commands import COMMANDS
from jfewshot.commandline.front_door import find
from jfewshot.commandline.parsing import parse
from jfewshot.errors import UserError
from tests.documentation.pages import ROOT, Block, anchors, blocks, links, pages

SHELL = ("", "bash", "sh", "console")
MODULES = {(command.module.removesuffix(".__main__"), *command.before): command for command in COMMANDS.values()}


def named(page) -> str:
    return str(page.relative_to(ROOT))


def command_of(words: list[str]):
    """The command that some words call, and its arguments; None where they call something else."""
    if words[0] == "jfewshot" and len(words) > 1 and not words[1].startswith("-"):
        return find(words[1:])
    if words[:2] == ["python", "-m"] and len(words) > 2:
        module = words[2]
        if module == "jfewshot":
            return find(words[3:]) if len(words) > 3 else (None, [])
        for n_before in (1, 0):
            key = (module, *words[3 : 3 + n_before])
            if key in MODULES:
                return MODULES[key], words[3 + n_before :]
        if module.split(".")[0] in ("jfewshot", "extraction", "benchmarks", "studies", "tests"):
            assert importlib.util.find_spec(module), f"there is no module {module}"
    return None, []


ALL = [block for page in pages() for block in blocks(page) if block.language in SHELL]


@pytest.mark.parametrize("block", ALL, ids=str)
def test_the_commands_of_a_block_have_options_that_exist(block: Block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in block.commands():
        command, arguments = command_of(words)
        if command is None or {"--help", "-h"} & set(arguments):
            continue
        # `study` hands what follows "--" to the trainings, and looks whether the folders after "=" exist.
        arguments, passed_on = split_at_dashes(arguments)
        for argument in arguments if command.name == "study" else ():
            Path(argument.partition("=")[2]).mkdir(parents=True, exist_ok=True)
        try:
            parse(command.load_options(), arguments, command.name)
            if passed_on:
                parse(COMMANDS["pretrain"].load_options(), [*passed_on, "--out", "OUT"], "pretrain")
        except UserError as error:
            pytest.fail(f"{block}: {' '.join(words)}: {error}")


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before a lone "--", and what follows it."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


@pytest.mark.parametrize("page", pages(), ids=named)
def test_links_lead_to_pages_and_headings(page):
    for target in links(page):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), f"{named(page)}: {target} leads to no file"
        if anchor and to.suffix == ".md":
            assert anchor in anchors(to), f"{named(page)}: {target}: no heading of {path or 'this page'} is '{anchor}'"


def texts_of_the_program() -> list[str]:
    """All texts in the source; a null character stands where a text is filled in."""
    found = []
    for path in [*(ROOT / "jfewshot").rglob("*.py"), *(ROOT / "extraction").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_messages_that_are_explained_are_messages_of_the_program():
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.M)
    assert len(messages) > 10
    texts = texts_of_the_program()
    for message in messages:
        filled = re.sub(r"\b[A-Z](?:\+[A-Z])?\b", "\0", message)
        assert any(message in text or filled in text for text in texts), f"no message of the program holds '{message}'"


def test_the_index_links_to_every_page():
    docs = ROOT / "docs"
    linked = {(docs / target.partition("#")[0]).resolve() for target in links(docs / "index.md")}
    of_datasets = {
        (docs / "datasets" / f"{name}.md")
        for name in re.findall(r"^(\w+)$", (docs / "datasets/README.md").read_text(), re.M)
    }
    missing = {page for page in pages() if docs in page.parents} - linked - of_datasets - {docs / "index.md"}
    assert not missing


def test_long_tests_are_tests_that_are_there():
    listed = (ROOT / "tests/long_tests.txt").read_text(encoding="utf-8").splitlines()
    for line in listed:
        if not line.startswith("#"):
            path, name = line.split("::")
            assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"there is no test {line}"
