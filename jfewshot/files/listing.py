"""Find the files below a folder, and the user's folder for caches."""

import os
from pathlib import Path


def files_below(folder: Path | str, hidden: bool = False) -> list[Path]:
    """Every file below a folder, sorted by path.

    Linked folders are followed, since datasets are often links to a large disk. A link to a folder above it is not
    followed.

    Args:
      folder: where to look.
      hidden: take files and folders whose names begin with a dot too.
    """
    found: list[Path] = []
    above: dict[str, frozenset[str]] = {os.fspath(folder): frozenset()}
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = os.path.realpath(parent)
        around = above.pop(parent)
        if here in around:
            folders.clear()
            continue
        folders[:] = [name for name in folders if hidden or not name.startswith(".")]
        above |= {os.path.join(parent, name): around | {here} for name in folders}
        found += [Path(parent, name) for name in names if hidden or not name.startswith(".")]
    return sorted(found)


def user_cache() -> Path:
    """The user's folder for files that can be made again."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(base) if base else Path.home() / ".cache"
    except RuntimeError as error:  # no home at all, as in some containers
        raise OSError(str(error)) from error
