"""Where the folder of a run or of a leaderboard has its files."""

from collections.abc import Iterable
from pathlib import Path

from jfewshot.reporting.file_names import file_names

RESULTS = "results"
CONTRIBUTIONS = "contributions"
SUITE_FILE = "suite.json"
DIGESTS_FILE = "digests.json"
BOARD_FILE = "leaderboard.json"
CSV_FILE = "leaderboard.csv"
PAGE = "index.html"


def contribution_path(folder: Path, encoder: str) -> Path:
    """The file of an encoder's contribution.

    Args:
      folder: of a run or a leaderboard.
      encoder: its name.
    """
    return folder / CONTRIBUTIONS / f"{file_names([encoder])[encoder]}.json"


def contribution_files(folder: Path) -> list[Path]:
    """The contributed files of a folder, sorted by name.

    Args:
      folder: of a run or a leaderboard.
    """
    return _visible((folder / CONTRIBUTIONS).glob("*.json"))


def _visible(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if not path.name.startswith("."))
