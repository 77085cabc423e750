"""Every folder's `__init__` names each of its rooms."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for package in ("jfewshot", "extraction", "benchmarks", "studies")
    for path in (ROOT / package).rglob("__init__.py")
)
MOST_FILES_IN_ROOT = 15


def rooms(folder: Path) -> set[str]:
    """Modules of a folder and folders that are packages; `__main__` is a command and stands with the commands."""
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    return files | {path.parent.name for path in folder.glob("*/__init__.py")}


def named(init: Path) -> tuple[set[str], set[str]]:
    """Names that the docstring's lists mention, and those that a line of a list begins with."""
    mentioned, headings = set(), set()
    for line in (ast.get_docstring(ast.parse(init.read_text("utf-8"))) or "").splitlines():
        bare = re.match(r"\s*(\w+)\.py\s", line)
        if bare:
            mentioned.add(bare[1])
            headings.add(bare[1])
        elif re.match(r"\s*[-|`]", line):
            quoted = re.findall(r"`(\w+)/?`", line)
            mentioned.update(quoted)
            first = re.match(r"\s*[-|] `(\w+)/?`", line)
            headings.update(first.groups() if first else ())
    return mentioned, headings


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_names_each_of_its_rooms_and_no_other(folder):
    init = ROOT / folder / "__init__.py"
    mentioned, headings = named(init)
    missing = rooms(ROOT / folder) - mentioned
    assert not missing, f"{folder}/__init__.py should say in a line what these are: {sorted(missing)}"
    allowed = rooms(ROOT / folder) | {"__main__"}
    if folder == "jfewshot":
        allowed |= {"evaluate", "evaluate_arrays", "create_store", "open_store", "use_all_cores"}
    if folder.startswith("jfewshot/downstream/"):
        allowed |= {"timit_words"}
    stale = headings - allowed
    assert not stale, f"{folder}/__init__.py names what is not there: {sorted(stale)}"


def test_few_files_stand_in_the_root():
    assert len(list((ROOT / "jfewshot").glob("*.py"))) <= MOST_FILES_IN_ROOT
