"""Public functions explain their arguments and their results."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FEWEST_ARGUMENTS = 3
# Methods of a documented interface: an implementation does not repeat what the interface's method says.
INTERFACES = {
    ("jfewshot/classifiers", "score"): ("jfewshot/classifiers/base.py", "Classifier.score"),
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(source: str) -> Iterator[tuple[str, Function]]:
    """Functions of a module and methods of its classes by dotted name; nothing private and nothing nested in a function."""

    def of(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Function]]:
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from of(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, Function) and not node.name.startswith("_") and not is_overload(node):
                yield prefix + node.name, node

    return of(ast.parse(source).body, "")


def is_overload(function: Function) -> bool:
    """Whether a function only declares types for another one."""
    return any("overload" in ast.unparse(decorator) for decorator in function.decorator_list)


def arguments(name: str, function: Function) -> list[str]:
    """The names of a function's arguments, without a method's self or cls."""
    given = function.args
    positional = [argument.arg for argument in [*given.posonlyargs, *given.args]]
    if "." in name and positional[:1] in (["self"], ["cls"]):
        positional = positional[1:]
    rest = [argument.arg for argument in [given.vararg, *given.kwonlyargs, given.kwarg] if argument is not None]
    return positional + rest


def missing(name: str, function: Function) -> list[str]:
    """What a docstring of a function with several arguments lacks: sections, and arguments in its section Args."""
    names = arguments(name, function)
    if len(names) < FEWEST_ARGUMENTS:
        return []
    text = ast.get_docstring(function) or ""
    sections = dict(re.findall(r"^(\w+):\n((?:(?: .*)?\n?)*)", text, re.MULTILINE))
    explained = re.findall(r"^  \*{0,2}(\w+): ", sections.get("Args", ""), re.MULTILINE)
    lacks = [f"the argument {each}" for each in names if each not in explained]
    lacks += [f"the argument {each}, which does not exist" for each in explained if each not in names]
    returns = function.returns is None or ast.unparse(function.returns) not in ("None", "NoReturn")
    is_nothing = function.returns is None and not any(
        isinstance(node, ast.Return) and node.value is not None for node in ast.walk(function)
    )
    if returns and not is_nothing and not {"Returns", "Yields"} & set(sections):
        lacks.append("Returns (or Yields)")
    return lacks


def public_modules() -> list[str]:
    return sorted(
        path.relative_to(ROOT).as_posix()
        for package in ("jfewshot", "extraction")
        for path in (ROOT / package).rglob("*.py")
        if not any(part.startswith("_") for part in path.relative_to(ROOT).with_suffix("").parts[:-1])
        and (not path.stem.startswith("_") or path.stem in ("__init__", "__main__"))
    )


@pytest.mark.parametrize("module", public_modules())
def test_functions_with_several_arguments_explain_them(module):
    found = {}
    for name, function in public_functions((ROOT / module).read_text("utf-8")):
        described_in = INTERFACES.get((str(Path(module).parent.as_posix()), function.name))
        if described_in is not None and described_in != (module, name):
            continue
        lacks = missing(name, function)
        if lacks:
            found[name] = lacks
    assert not found, f"{module}: docstrings should explain, in sections Args and Returns, each on a line: {found}"


@pytest.mark.parametrize("interface", INTERFACES.values(), ids=lambda each: each[1])
def test_interfaces_explain_what_their_implementations_leave_out(interface):
    module, name = interface
    function = dict(public_functions((ROOT / module).read_text("utf-8")))[name]
    assert len(arguments(name, function)) >= FEWEST_ARGUMENTS
    assert not missing(name, function)


GOOD = '''
def area(width: float, height: float, unit: str) -> float:
    """Area of a rectangle.

    Args:
      width: in the unit.
      height: in the unit,
        from bottom to top.
      unit: m or cm.

    Returns:
      the area.
    """
'''


@pytest.mark.parametrize(
    ("source", "lacks"),
    [
        (GOOD, []),
        (GOOD.replace("  unit: m or cm.\n", ""), ["the argument unit"]),
        (
            GOOD.replace("  width: in", "  breadth: in"),
            ["the argument width", "the argument breadth, which does not exist"],
        ),
        (GOOD.replace("Returns:\n      the area.", ""), ["Returns (or Yields)"]),
        (GOOD.replace("-> float", "-> None").replace("Returns:\n      the area.", ""), []),
        (GOOD.replace(", unit: str", "").replace("Args:", "Sides:"), []),
        (
            "def swap(a, b, c):\n    return b, a, c",
            ["the argument a", "the argument b", "the argument c", "Returns (or Yields)"],
        ),
        ("class Box:\n    def put(self, a, b): ...", []),
        ("class Box:\n    def put(self, a, b, c): ...", ["the argument a", "the argument b", "the argument c"]),
    ],
)
def test_the_check_finds_what_is_missing(source, lacks):
    ((name, function),) = public_functions(source)
    assert missing(name, function) == lacks


def test_private_and_nested_functions_are_not_asked():
    source = "def _f(a, b, c): ...\nclass _C:\n    def f(self, a, b, c): ...\ndef g():\n    def inner(a, b, c): ...\n"
    assert [name for name, _ in public_functions(source)] == ["g"]
