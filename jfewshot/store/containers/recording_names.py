"""Names of recordings: from the paths of the machine that embedded them, to names that are the same everywhere."""

import collections
import itertools
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath

from jfewshot.errors import UserError


def short_names(
    paths: Sequence[str], places: Sequence[Sequence[str]] | None = None, of_a_machine: bool = False
) -> list[str]:
    """A name for each recording: its path with forward slashes, without the folder that all absolute paths have in common.

    Args:
      paths: of recordings, as a program was given them, on any system.
      places: for each recording, names of what it belongs to, the largest first (project, deployment); None for none.
        Recordings of one path in different places are told apart by these names, which then stand before the path.
      of_a_machine: leave out the folder that they have in common also where paths are relative, because they are relative to
        the folder in which a program ran.

    Returns:
      a name per recording; the same path in the same place gives the same name.

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
    """The folder that others lie in; the empty path where they share none."""
    parts = [folder.parts for folder in folders]
    shared = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    return PurePosixPath(*(level[0] for level in shared))


def _is_of_windows(path: str) -> bool:
    return PureWindowsPath(path).is_absolute() and not path.startswith("/")
