"""Every benchmark can at least be imported: nothing it needs has moved away."""

import importlib
from pathlib import Path

import pytest

import benchmarks

ROOT = Path(benchmarks.__file__).parent
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.rglob("*.py"))


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__init__")])
def test_imports(module):
    if module.endswith("_torch"):
        pytest.importorskip("torch")
    importlib.import_module(f"benchmarks.{module}")
