"""Check where a finished folder may be put; the user's own files are never removed."""

import json
from collections.abc import Callable
from pathlib import Path

from jfewshot.errors import UserError

_SHOWN = 3
# Maps a folder to the names of the files that its own manifest lists; None if it has no such manifest.
OwnFiles = Callable[[Path], frozenset[str] | None]


def check_place(path: Path | str, own_files: OwnFiles, what: str, replace: bool) -> Path:
    """Refuse a path with existing files that are not ours, or that the user did not ask to replace.

    Args:
      path: where the folder should go.
      own_files: the files that belong to a folder of this kind.
      what: the kind, for messages: `store`.
      replace: whether a folder that holds nothing but files of its own manifest may be replaced.

    Returns:
      The path, with links followed.

    Raises:
      UserError: names the folder and its contents. Nothing was changed.
    """
    path, here = Path(path).resolve(), Path.cwd()
    if path == here or path in here.parents:
        raise UserError(
            f"cannot write the {what} to {path}: that is the current folder or one above it; "
            f"name a new folder, for instance {here / what}"
        )
    if not path.exists():
        return path
    if not path.is_dir():
        raise UserError(f"cannot write the {what} to {path}: a file of this name is there; name a new folder")
    there = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir())
    if not there:
        return path
    foreign = [name for name in there if name not in (own_files(path) or ())]
    if foreign:
        rest = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        raise UserError(
            f"cannot write the {what} to {path}: it holds {', '.join(map(repr, foreign[:_SHOWN]))}{rest}, which "
            f"belong to no {what}. Name a new folder; nothing was changed"
        )
    if not replace:
        raise UserError(
            f"cannot write the {what} to {path}: a finished {what} is there already. Name a new folder, or replace it with "
            "--replace (replace=True in Python)"
        )
    return path


def manifest_of(path: Path, file_format: str) -> dict | None:
    """The manifest in a file if it is one of this format; None for anything else, damaged files among them."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("format") == file_format else None
