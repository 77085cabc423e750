"""Old names of modules that moved: they work for one more version, with a DeprecationWarning.

`import jfewshot.tables` gives the module `jfewshot.reporting.tables`, and `python -m benchmarks.simclr_step` runs
`benchmarks.training.simclr_step`. Remove the old names, and this file, with version 0.2.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
import warnings
from collections.abc import Mapping
from typing import Any

MODULES = {
    "jfewshot.chunks": "jfewshot.evaluator.chunking",
    "jfewshot.compile_cache": "jfewshot.evaluator.compile_cache",
    "jfewshot.compiled": "jfewshot.evaluator.programs",
    "jfewshot.devices": "jfewshot.evaluator.devices",
    "jfewshot.drawing": "jfewshot.episodes.drawing",
    "jfewshot.drawn": "jfewshot.evaluator.drawer",
    "jfewshot.gram": "jfewshot.evaluator.gram",
    "jfewshot.linalg": "jfewshot.classifiers.linalg",
    "jfewshot.logs": "jfewshot.commandline",
    "jfewshot.memory": "jfewshot.evaluator.chunking",
    "jfewshot.preprocessing": "jfewshot.evaluator.preprocessing",
    "jfewshot.processes": "jfewshot.cells.processes",
    "jfewshot.published": "jfewshot.reporting.published",
    "jfewshot.segments": "jfewshot.evaluator.segments",
    "jfewshot.store.checked": "jfewshot.store.view_checks",
    "jfewshot.store.checking": "jfewshot.store.verifying",
    "jfewshot.store.known": "jfewshot.store.known_files",
    "jfewshot.tables": "jfewshot.reporting.tables",
    "jfewshot.training.memory": "jfewshot.training.checkpoints",
}

# Modules that became packages of the same name, and the new places of their names.
NAMES = {
    "jfewshot.cells": {
        "Cell": "planning",
        "plan_cells": "planning",
        "NUMERICS_VERSION": "planning",
        "evaluate_cells": "computing",
        "missing_of": "computing",
    },
    "jfewshot.episodes": {"Protocol": "protocol", "ClassPool": "pool", "class_pool": "pool"},
    "jfewshot.evaluator": {"Evaluator": "evaluator", "Solved": "evaluator"},
}


class _Loader(importlib.abc.InspectLoader):
    """Gives the module that stands under the new name; the two names are one module."""

    def __init__(self, new: str):
        self._new = new

    def exec_module(self, module: types.ModuleType) -> None:
        warnings.warn(f"{module.__name__} is now {self._new}", DeprecationWarning, stacklevel=2)
        # The import system takes what stands here when this function returns.
        sys.modules[module.__name__] = importlib.import_module(self._new)

    def get_code(self, fullname: str) -> types.CodeType | None:
        """What `python -m` runs. It asks for code instead of importing, so the warning is a line for people."""
        sys.stderr.write(f"python -m {fullname} is now python -m {self._new}\n")
        spec = importlib.util.find_spec(self._new)
        return (
            spec.loader.get_code(self._new) if spec and isinstance(spec.loader, importlib.abc.InspectLoader) else None
        )

    def get_source(self, fullname: str) -> str | None:
        return None


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, moved: Mapping[str, str]):
        self._moved = moved

    def find_spec(
        self, fullname: str, path: Any = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        new = self._moved.get(fullname)
        return None if new is None else importlib.machinery.ModuleSpec(fullname, _Loader(new), origin=new)


def keep_old_names(moved: Mapping[str, str]) -> None:
    """Let old module names be imported.

    Args:
      moved: from old to new full names.
    """
    # Last, so that an existing module is found before the old name of another one.
    sys.meta_path.append(_Finder(moved))


def old_name(package: str, name: str):
    """The object that `package.name` meant when the package was a single module; for the package's `__getattr__`.

    Args:
      package: full name of a package that was a module.
      name: what is asked of it.

    Raises:
      AttributeError: the module never had that name.
    """
    room = NAMES[package].get(name)
    if room is None:
        raise AttributeError(f"module '{package}' has no attribute '{name}'")
    warnings.warn(f"{package}.{name} is now {package}.{room}.{name}", DeprecationWarning, stacklevel=3)
    return getattr(importlib.import_module(f"{package}.{room}"), name)
