"""Convert paths of recordings on one machine to names that are the same on every machine."""

import collections
import itertools
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath

from jfewshot.errors import UserError


def short_names(
    paths: Sequence[str], places: Sequence[Sequence[str]] | None = None, of_a_machine: bool = False
) -> list[str]:
    """A name for each recording: its path with forward slashes, without the common folder of all absolute paths.

    Args:
      paths: paths of recordings, as they were given to a program on any operating system.
      places: for each recording, the names of its places, the largest first (project, deployment); None for none. If
          recordings in different places have the same path, these names are put before the path.
      of_a_machine: also remove the common folder of relative paths, because they are relative to the folder in which a
          program ran.

    Returns:
      a name for each recording; the same path in the same place gives the same name.

    Raises:
      UserError: if a path is empty.
    """
    if not all(path.strip() for path in paths):
        raise UserError("a recording has no name; name every recording")
    names = [PureWindowsPath(path).as_posix() if _is_of_windows(path) else path for path in paths]
    if names and (of_a_machine or all(PurePosixPath(name).is_absolute() or _is_of_windows(name) for name in names)):
        above = _common({PurePosixPath(name).parent for name in names})
        names = [str(PurePosixPath(name).relative_to(above)) for name in names]
    if places is None:
        return names
    places_of = collections.defaultdict(set)
    for name, place in zip(names, places, strict=True):
        places_of[name].add(tuple(place))
    return [
        "/".join([*filter(None, place), name]) if len(places_of[name]) > 1 else name
        for name, place in zip(names, places, strict=True)
    ]


def _common(folders: set[PurePosixPath]) -> PurePosixPath:
    """The common folder of some folders; the empty path if there is none."""
    parts = [folder.parts for folder in folders]
    shared = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    return PurePosixPath(*(level[0] for level in shared))


def _is_of_windows(path: str) -> bool:
    return PureWindowsPath(path).is_absolute() and not path.startswith("/")
