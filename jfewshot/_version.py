"""The version of this package, and the versions of the packages that a record or store was made with."""

import contextlib
import importlib.metadata
import platform

__version__ = "0.1.0"


def made_with(*packages: str) -> dict[str, str]:
    """Versions of jfewshot, of Python and of some installed packages.

    Args:
      *packages: names of installed distributions, as pip knows them.

    Returns:
      Version by name; a package that is not installed is left out.
    """
    versions = {"jfewshot": __version__}
    for package in packages:
        # Extracted parts may be assembled on a machine that lacks the packages that read audio.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {**versions, "python": platform.python_version()}
