"""Checks contributed files, with the help of the leaderboard, its other contributions, and stores."""

from collections.abc import Sequence
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.suite.at_hand import AtHand
from jfewshot.suite.contribution import Contribution, read_contribution
from jfewshot.suite.definition import Suite, load_suite, shipped_suites
from jfewshot.suite.filling import Known, known_digests, read_filled
from jfewshot.suite.leaderboard import board_suite
from jfewshot.suite.places import CONTRIBUTIONS, DIGESTS_FILE, SUITE_FILE, contribution_files
from jfewshot.suite.planning import other_numerics
from jfewshot.suite.scores import SCORE_DECIMALS
from jfewshot.suite.validating import Validation, suite_fault, suite_named, validate


def check_files(
    files: Sequence[Path], suite: Suite | None, stores: Sequence[Path], evaluate: bool = False
) -> dict[Path, tuple[str, Validation]]:
    """Validate contributed files.

    Args:
      files: their paths; a folder stands for the JSON files in it.
      suite: the suite that all of them have to be to; None for the one of the leaderboard they lie in, or the one they name.
      stores: folders of stores from which draws are computed again.
      evaluate: whether tasks whose embeddings are in these stores are evaluated again, too.

    Returns:
      for each file a few words on what it is, and what was found.

    Raises:
      UserError: if the suite or a store cannot be read.
    """
    at_hand: dict[str, AtHand] = {}
    found = {}
    reader = _Reader()
    for path in _expanded(files):
        try:
            one = reader.read(path)
            against = suite or suite_of(path, one)
        except UserError as error:
            found[path] = "", Validation((str(error),))
            continue
        checked = validate(one, against, _known(path, one, against, reader))
        if not checked.errors:
            if against.definition not in at_hand:
                at_hand[against.definition] = AtHand(against, stores, evaluate)
            errors, said = at_hand[against.definition].check(one)
            unverified = (*checked.unverified, *other_numerics(one, against))
            checked = Validation(tuple(errors), unverified, tuple(said))
        found[path] = _words(one, checked), checked
    return found


def _words(one: Contribution, checked: Validation) -> str:
    if checked.errors:
        return ""
    total = one.scores["all"].score
    return f": {one.encoder.name} scores {total:.{SCORE_DECIMALS}f} on {one.suite.name}, version {one.suite.version}"


def suite_of(path: Path, one: Contribution, asked: str | None = None) -> Suite:
    """The suite that a file has to be a contribution to.

    Args:
      path: of the file.
      one: what it holds.
      asked: a suite that the user named; None for none.

    Returns:
      that suite; otherwise the one of the leaderboard that the file lies in; otherwise the one that the file names.

    Raises:
      UserError: if the suite is not known.
    """
    if asked is not None:
        return load_suite(asked)
    folder = path.absolute().parent
    if folder.name == CONTRIBUTIONS and (folder.parent / SUITE_FILE).exists():
        return board_suite(folder.parent)
    named = suite_named(one)
    if named is None:
        raise UserError(
            f"{path} is a contribution to the suite '{one.suite.name}', which does not come with jfewshot (there are "
            f"{', '.join(shipped_suites())}); give its file with --suite"
        )
    return named


class _Reader:
    """Reads contributed files, each once: those beside a file are needed for every file."""

    def __init__(self) -> None:
        self._read: dict[Path, Contribution | UserError] = {}

    def read(self, path: Path) -> Contribution:
        key = path.absolute()
        if key not in self._read:
            try:
                self._read[key] = read_contribution(path)
            except UserError as error:
                self._read[key] = error
        found = self._read[key]
        if isinstance(found, UserError):
            raise found
        return found


def _expanded(files: Sequence[Path]) -> list[Path]:
    return [one for path in files for one in (sorted(path.glob("*.json")) if path.is_dir() else [path])]


def _known(path: Path, one: Contribution, suite: Suite, reader: _Reader) -> Known:
    """The digests that the suite, the leaderboard and the contributions beside a file know."""
    folder = path.absolute().parent
    others = {one.encoder.name: one}
    earlier = {}
    if folder.name == CONTRIBUTIONS:
        earlier = read_filled(folder.parent / DIGESTS_FILE, suite)
        for other in contribution_files(folder.parent):
            if other != path.absolute():
                _add(others, other, suite, reader)
    return known_digests(suite, others.values(), earlier)


def _add(others: dict[str, Contribution], path: Path, suite: Suite, reader: _Reader) -> None:
    try:
        other = reader.read(path)
    except UserError:
        return  # it is refused when it is validated itself
    if suite_fault(other, suite) is None:
        others.setdefault(other.encoder.name, other)
