"""Names of encoders in installed zoos, read from files without importing the zoos' packages.

The shell's completion uses this module, since it must be fast. `zoo_listing` imports the packages and gives more facts.
"""

import ast
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

from extraction.upstreams.s3prl.loading import entry_names


def names_of(family: str) -> list[str]:
    """The names that may follow `FAMILY:`, if there is a list of them.

    Args:
      family: a name of `extraction.upstreams.FAMILIES`.

    Returns:
      sorted names; empty if the package is not installed, or if the family takes files or addresses.
    """
    return sorted(_READERS[family]()) if family in _READERS else []


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, without importing it; None if it is not installed."""
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # the package was replaced by a module without a spec
        return None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(places[0]) if places else None


def hear_modules() -> Iterator[str]:
    """Modules with HEAR's API in installed packages whose names begin with `hear`, as HEAR's rules require."""
    for module in pkgutil.iter_modules():
        folder = package_folder(module.name) if module.name.startswith("hear") and module.ispkg else None
        for file in sorted(folder.glob("*.py")) if folder else ():
            if "def get_scene_embeddings(" in file.read_text(encoding="utf-8", errors="replace"):
                yield module.name if file.stem == "__init__" else f"{module.name}.{file.stem}"


def _s3prl() -> list[str]:
    return list(entry_names()) if package_folder("s3prl") else []


def _simclr() -> list[str]:
    shipped = resources.files("jfewshot") / "data" / "encoders"
    return [folder.name for folder in shipped.iterdir() if folder.is_dir()]


def _hoplite() -> list[str]:
    """Names of presets: the values of perch-hoplite's enumeration."""
    folder = package_folder("perch_hoplite")
    for node in _statements(folder / "zoo" / "model_configs.py") if folder else ():
        if isinstance(node, ast.ClassDef) and node.name == "ModelConfigName":
            assigned = [one.value for one in node.body if isinstance(one, ast.Assign)]
            return [str(value.value) for value in assigned if isinstance(value, ast.Constant)]
    return []


def _avex() -> list[str]:
    """Names of avex's specs, from the names of their files."""
    folder = package_folder("avex")
    return [file.stem for file in (folder / "api" / "configs" / "official_models").glob("*.yml")] if folder else []


def _mteb() -> list[str]:
    """Names in calls of `ModelMeta` for models with audio. Names that mteb computes are missing: 97 of 108 are constants."""
    folder, found = package_folder("mteb"), []
    for file in sorted((folder / "models").rglob("*.py")) if folder else ():
        text = file.read_text(encoding="utf-8", errors="replace")
        if "ModelMeta(" not in text or "audio" not in text:
            continue
        for node in (node for statement in ast.parse(text).body for node in ast.walk(statement)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ModelMeta":
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                name, modalities = given.get("name"), given.get("modalities")
                kinds = modalities.elts if isinstance(modalities, ast.List) else []
                has_audio = any(isinstance(kind, ast.Constant) and kind.value == "audio" for kind in kinds)
                if has_audio and isinstance(name, ast.Constant):
                    found.append(str(name.value))
    return found


def _statements(file: Path) -> list[ast.stmt]:
    try:
        return ast.parse(file.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError):  # another version may keep its presets in another file
        return []


_READERS: dict[str, Callable[[], list[str]]] = {
    "s3prl": _s3prl,
    "simclr": _simclr,
    "mt_slvr": lambda: ["audioset", "clip"],
    "hear": lambda: list(hear_modules()),
    "mteb": _mteb,
    "hoplite": _hoplite,
    "avex": _avex,
}
