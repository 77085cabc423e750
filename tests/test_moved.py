"""Names that the documentation of version 0.1 imports keep working, with a warning."""

import importlib
import subprocess
import sys
import warnings

import pytest

from jfewshot import _moved

DOCUMENTED = [
    ("jfewshot.tables", "leaderboards", "jfewshot.reporting.tables"),
    ("jfewshot.tables", "render", "jfewshot.reporting.tables"),
    ("jfewshot.devices", "use_all_cores", "jfewshot.evaluator.devices"),
    ("jfewshot.evaluator", "Evaluator", "jfewshot.evaluator.evaluator"),
    ("jfewshot.episodes", "Protocol", "jfewshot.episodes.protocol"),
    ("jfewshot.cells", "plan_cells", "jfewshot.cells.planning"),
]


def forget(name: str) -> None:
    sys.modules.pop(name, None)
    parent, _, child = name.rpartition(".")
    vars(importlib.import_module(parent)).pop(child, None)


@pytest.mark.parametrize(("old", "name", "new"), DOCUMENTED)
def test_a_documented_name_is_the_object_under_its_new_name(old, name, new):
    if old in _moved.MODULES:
        forget(old)
    with pytest.warns(DeprecationWarning, match=f"is now {new}"):
        exec(f"from {old} import {name}", space := {"__name__": "the_users_module"})
    assert space[name] is getattr(importlib.import_module(new), name)


def test_the_warning_names_the_line_that_uses_the_old_name(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text("import jfewshot\nimport jfewshot.tables\nfrom jfewshot.episodes import Protocol\n")
    done = subprocess.run([sys.executable, "-W", "always", script], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if "DeprecationWarning" in line]
    # A package is asked twice for a name that is imported from it, which Python shows once unless told otherwise.
    assert list(dict.fromkeys(lines)) == [
        f"{script}:2: DeprecationWarning: jfewshot.tables is now jfewshot.reporting.tables",
        f"{script}:3: DeprecationWarning: jfewshot.episodes.Protocol is now jfewshot.episodes.protocol.Protocol",
    ]


@pytest.mark.parametrize("old", sorted(_moved.MODULES))
def test_every_old_module_is_the_new_one(old):
    forget(old)
    new = importlib.import_module(_moved.MODULES[old])
    before = new.__spec__
    with pytest.warns(DeprecationWarning, match=f"{old} is now {_moved.MODULES[old]}"):
        assert importlib.import_module(old) is new
    assert new.__spec__ is before
    forget(old)


@pytest.mark.parametrize("package", sorted(_moved.NAMES))
def test_a_package_that_was_a_module_has_its_old_names_and_no_other(package):
    module = importlib.import_module(package)
    for name, room in _moved.NAMES[package].items():
        with pytest.warns(DeprecationWarning, match=rf"{package}\.{name} is now {package}\.{room}\.{name}"):
            assert getattr(module, name) is getattr(importlib.import_module(f"{package}.{room}"), name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


def test_new_names_warn_of_nothing():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        importlib.import_module("jfewshot.evaluator.evaluator")
        importlib.import_module("jfewshot.reporting.tables")
    assert not [str(each.message) for each in found if "is now" in str(each.message)]


def test_a_documented_benchmark_runs_under_its_old_name():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.simclr_projection", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (
        "python -m benchmarks.simclr_projection is now python -m benchmarks.training.simclr_projection" in done.stderr
    )
    assert "usage" in done.stdout.lower()
