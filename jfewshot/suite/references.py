"""Contributions that come with the package: of the encoders of the sample stores, to the suite of samples."""

import functools
import importlib.resources

from jfewshot.suite.contribution import Contribution, parse_contribution
from jfewshot.suite.definition import Suite


def reference_contributions(suite: Suite) -> tuple[Contribution, ...]:
    """The contributions to a suite that come with the package; none for a suite of another name or definition.

    Args:
      suite: what they are to.
    """
    return tuple(one for one in _shipped(suite.name) if one.suite.definition == suite.definition)


@functools.cache
def _shipped(name: str) -> tuple[Contribution, ...]:
    folder = importlib.resources.files("jfewshot").joinpath("data", "suites", name)
    if not folder.is_dir():
        return ()
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".json")), key=lambda path: path.name)
    return tuple(parse_contribution(path.read_bytes(), path.name) for path in paths)
