"""Names of encoders in the zoos that are installed, read from their files: no package of others is imported.

For the shell's completion, which has to answer at once. `zoo_listing` says more about each encoder, and imports.
"""

import ast
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

from extraction.upstreams.s3prl.loading import entry_names


def names_of(family: str) -> list[str]:
    """What may follow `FAMILY:`, as far as that is a list.

    Args:
      family: a name of `extraction.upstreams.FAMILIES`.

    Returns:
      names, sorted; none where the package is not installed, or where files or addresses follow the colon.
    """
    return sorted(_READERS[family]()) if family in _READERS else []


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, without importing it; None where it is not installed."""
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a stand-in without a spec
        return None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(places[0]) if places else None


def hear_modules() -> Iterator[str]:
    """Modules with HEAR's API in installed packages whose names begin with `hear`, as HEAR's rules ask."""
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
    """The values of the enumeration of presets."""
    folder = package_folder("perch_hoplite")
    for node in _statements(folder / "zoo" / "model_configs.py") if folder else ():
        if isinstance(node, ast.ClassDef) and node.name == "ModelConfigName":
            assigned = [one.value for one in node.body if isinstance(one, ast.Assign)]
            return [str(value.value) for value in assigned if isinstance(value, ast.Constant)]
    return []


def _avex() -> list[str]:
    """The files of specs."""
    folder = package_folder("avex")
    return [file.stem for file in (folder / "api" / "configs" / "official_models").glob("*.yml")] if folder else []


def _mteb() -> list[str]:
    """Names in the calls that describe models with audio. Names that mteb computes are left out: 97 of 108 are written down."""
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
    except (OSError, SyntaxError):  # another release keeps its presets elsewhere
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
