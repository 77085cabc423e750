"""The folder of a leaderboard: made, read, checked, and turned into static pages."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.csv_cells import csv_text
from jfewshot.suite.at_hand import AtHand
from jfewshot.suite.board import ALL_FAMILIES, standing_of, track_names
from jfewshot.suite.contribution import Contribution, contribution_text, read_contribution
from jfewshot.suite.definition import Suite, load_suite, shipped_suites
from jfewshot.suite.filling import Known, filled_text, known_digests, read_filled
from jfewshot.suite.freezing import suite_text
from jfewshot.suite.page import leaderboard_page, standings
from jfewshot.suite.places import (
    BOARD_FILE,
    CONTRIBUTIONS,
    CSV_FILE,
    DIGESTS_FILE,
    PAGE,
    SUITE_FILE,
    contribution_files,
    contribution_path,
)
from jfewshot.suite.recipe import WORKFLOW, WORKFLOW_FILE, readme
from jfewshot.suite.references import reference_contributions
from jfewshot.suite.validating import suite_fault, validate

BOARD_FORMAT = "jfewshot-suite-leaderboard"


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """What the folder of a leaderboard holds.

    Attributes:
      path: the folder.
      suite: whose leaderboard it is.
      files: the contributions that are in order, by their paths below the folder.
      known: the digests that are known.
      problems: a line for each contribution that is not in order.
    """

    path: Path
    suite: Suite
    files: Mapping[Path, Contribution]
    known: Known
    problems: tuple[str, ...]


def make_leaderboard(folder: Path, suite: Suite) -> list[Path]:
    """Make the folder of a leaderboard: the suite, a README, a recipe for continuous integration, and what comes with jfewshot.

    Args:
      folder: made if it is not there; files that are there already are never replaced.
      suite: whose leaderboard it is.

    Returns:
      the files that were written.

    Raises:
      UserError: if the folder is the leaderboard of another suite.
    """
    there = folder / SUITE_FILE
    if there.exists() and load_suite(there).definition != suite.definition:
        raise UserError(f"{folder} is the leaderboard of another suite (see {there}); give another folder")
    texts = {
        there: suite_text(suite),
        folder / "README.md": readme(suite),
        folder / WORKFLOW_FILE: WORKFLOW,
        # What `jfewshot suite run --out FOLDER` leaves beside contributions.
        folder / ".gitignore": "/results/\n/stores/\n",
        folder / CONTRIBUTIONS / ".gitkeep": "",
    }
    for one in reference_contributions(suite):
        texts[contribution_path(folder, one.encoder.name)] = contribution_text(one)
    written = []
    for path, text in texts.items():
        if not path.exists():
            _write(path, text)
            written.append(path)
    return written


def read_leaderboard(folder: Path, stores: Sequence[Path] = ()) -> Leaderboard:
    """Read a leaderboard's folder and validate every contribution.

    Args:
      folder: as `jfewshot suite init` makes it.
      stores: folders of stores from which draws are computed again.

    Returns:
      what the folder holds.

    Raises:
      UserError: if the folder is no leaderboard, or its suite is not the one of that name and version.
    """
    suite = board_suite(folder)
    read, problems = {}, []
    encoders: dict[str, Path] = {}
    for path in contribution_files(folder):
        try:
            one = read_contribution(path)
        except UserError as error:
            problems.append(str(error))
            continue
        fault = suite_fault(one, suite)
        if fault is None and one.encoder.name in encoders:
            fault = f"{encoders[one.encoder.name].name} is of the encoder '{one.encoder.name}' too; keep one of the two"
        if fault is not None:
            problems.append(f"{path}: {fault}")
            continue
        encoders[one.encoder.name] = path
        read[path] = one
    known = known_digests(suite, read.values(), read_filled(folder / DIGESTS_FILE, suite))
    at_hand, files = AtHand(suite, stores), {}
    for path, one in read.items():
        errors = validate(one, suite, known).errors or tuple(at_hand.check(one)[0])
        problems += [f"{path}: {error}" for error in errors]
        if not errors:
            files[path.relative_to(folder)] = one
    return Leaderboard(folder, suite, files, known, tuple(sorted(problems)))


def board_suite(folder: Path) -> Suite:
    """The suite of a leaderboard's folder.

    Args:
      folder: as `jfewshot suite init` makes it.

    Raises:
      UserError: if the folder is no leaderboard, or its suite differs from the one of that name and version that comes with
        jfewshot.
    """
    path = folder / SUITE_FILE
    if not path.exists():
        raise UserError(f"{folder} is no leaderboard: it has no {SUITE_FILE}; `jfewshot suite init {folder}` makes one")
    suite = load_suite(path)
    if suite.name in shipped_suites():
        own = load_suite(suite.name)
        if suite.version > own.version:
            raise UserError(
                f"{path} is version {suite.version} of the suite '{suite.name}', and version {own.version} is the newest here; "
                "install a newer jfewshot"
            )
        if suite.version == own.version:
            if suite.definition == own.definition:
                return own  # with the digests that this version of jfewshot knows
            raise UserError(
                f"{path} is not version {suite.version} of the suite '{suite.name}' as it was frozen; delete it, and "
                f"`jfewshot suite init {folder} --suite {suite.name}` writes it again"
            )
    return suite


def board_texts(board: Leaderboard) -> dict[Path, str]:
    """The files that `jfewshot suite build` writes, by path.

    Args:
      board: the leaderboard.

    Returns:
      the page, the standings as JSON and CSV, and the filled digests.
    """
    contributions = list(board.files.values())
    value = {
        "format": BOARD_FORMAT,
        "format_version": 1,
        "suite": {"name": board.suite.name, "version": board.suite.version, "definition": board.suite.definition},
        "standings": standings(board.suite, contributions),
    }
    return {
        board.path / PAGE: leaderboard_page(board.suite, board.files, board.known),
        board.path / BOARD_FILE: json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        board.path / CSV_FILE: standings_csv(board.suite, contributions),
        board.path / DIGESTS_FILE: filled_text(board.suite, board.known),
    }


def standings_csv(suite: Suite, contributions: Sequence[Contribution]) -> str:
    """A row for each encoder and track: average, average rank and score.

    Args:
      suite: tasks and anchors.
      contributions: complete ones.

    Returns:
      CSV with typed columns.
    """
    rows: list[list[object]] = [["encoder", "suite", "version", "track", "average", "ci95", "average_rank", "score"]]
    for track in track_names(suite) if contributions else ():
        one = standing_of(suite, contributions, track, ALL_FAMILIES)
        for row, name in enumerate(one.encoders):
            numbers = (one.average[row], one.average_half_width[row], one.rank[row], one.total[row])
            rows.append([name, suite.name, suite.version, track, *(round(float(number), 6) for number in numbers)])
    return csv_text(rows)


def build_leaderboard(board: Leaderboard) -> list[Path]:
    """Write the page and what goes with it.

    Args:
      board: the leaderboard.

    Returns:
      the files.
    """
    texts = board_texts(board)
    for path, text in texts.items():
        _write(path, text)
    return list(texts)


def stale_files(board: Leaderboard) -> list[Path]:
    """The files of the page that are not what the contributions give.

    Args:
      board: the leaderboard.
    """
    return [
        path
        for path, text in board_texts(board).items()
        if not path.exists() or path.read_bytes().decode("utf-8", "replace") != text
    ]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.write(text)
