"""Remembers large files that were checked before, so that they are not read again while they stay unchanged.

The findings are stored in the user's cache folder, under the file's path, inode, size and times, as in version control
systems: writing to a file changes its times. `jfewshot store verify` always reads everything.
"""

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from jfewshot.files import atomic_write, user_cache

_WORTH_KNOWING = 2**24  # bytes; smaller files are read in milliseconds
# If a file was changed so shortly before it was read, a later change may have the same time.
_SETTLED_S = 2.0


class Found(NamedTuple):
    """The findings of reading a file.

    Attributes:
      sha256: of its bytes, hexadecimal.
      finite: whether all numbers in it are.
    """

    sha256: str
    finite: bool


def recall(path: Path) -> Found | None:
    """Return the findings about a file, if the file has not changed since."""
    try:
        facts = json.loads(_note(path).read_text(encoding="utf-8"))
        return Found(str(facts["sha256"]), bool(facts["finite"])) if facts["file"] == _identity(path.stat()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never read, or remembered by another version


def remember(path: Path, before: os.stat_result, found: Found) -> None:
    """Store the findings about a file.

    Args:
      path: the file.
      before: its status before it was read; if the file changed during reading, the entry will never match, which does
          no harm.
      found: the findings.
    """
    if before.st_size < _WORTH_KNOWING or time.time() - before.st_mtime < _SETTLED_S:
        return
    with contextlib.suppress(OSError):  # there is no folder to store it
        note = _note(path)
        note.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(note, "w") as file:
            json.dump({"path": str(path), "file": _identity(before), **found._asdict()}, file)


def _note(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return user_cache() / "jfewshot" / "checked" / f"{name}.json"


def _identity(status: os.stat_result) -> list[int]:
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
