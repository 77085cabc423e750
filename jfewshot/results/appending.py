"""The two files to which one writing process appends: records as lines, and blocks of packed predictions.

A block is written before the line that names it, so if a line exists, its block exists too. No other process appends to
these files, so no lock is needed (network file systems often do not support locks). Both files are synchronised to disk
about once a second. A killed process loses at most the record that it was writing. A machine that loses power also
loses the records of the last second, whose blocks are then missing or differ from their digests.
"""

import hashlib
import os
import re
import socket
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jfewshot.results.lines import digest_in_line, line_of

RECORDS, PREDICTIONS = "records", "predictions"
LINES, BLOCKS = ".jsonl", ".bin"
_SYNC_EVERY_S = 1.0
_SYNC_EVERY = 1024  # records
_TIME = "%Y%m%dT%H%M%SZ"


class Written(NamedTuple):
    """A record and its position.

    Attributes:
      record: the record as it was written.
      file: name of the file of records.
      offset: offset of the line, in bytes.
      length: length of the line, in bytes.
    """

    record: dict[str, Any]
    file: str
    offset: int
    length: int


class Appender:
    """Appends records to two new files; make one per process, and a new one after an error.

    Args:
      folder: the result folder.
      after: name of the newest existing file of records (newer records have later names); None if there is none.
    """

    def __init__(self, folder: Path, after: str | None = None):
        self._paths: tuple[Path, Path]
        name = _new_name(after)
        self.file = f"{name}{LINES}"
        self._paths = folder / RECORDS / self.file, folder / PREDICTIONS / f"{name}{BLOCKS}"
        self._lines, self._blocks = (_create(path) for path in self._paths)
        self._line_end = self._block_end = self._waiting = 0
        self._synced = time.monotonic()

    def append(self, record: Mapping[str, Any], block: bytes, kept: str, scores: bytes | None = None) -> Written:
        """Write a block or two, then the record that names them.

        Args:
          record: without `predictions`.
          block: packed predictions or counts.
          kept: which of the two it is.
          scores: packed scores; None where none are kept.

        Returns:
          The record with its `predictions`, its `scores` if there are any and its `sha256`, and its place.

        Raises:
          OSError: names the file. Everything that was written before is complete.
        """
        whole = {**record, "predictions": self._place(block, 0) | {"kept": kept}}
        if scores is not None:
            whole["scores"] = self._place(scores, len(block))
            block += scores
        line = line_of(whole)
        whole["sha256"] = digest_in_line(line)
        _write(self._blocks, block, self._paths[1])
        self._block_end += len(block)
        _write(self._lines, line, self._paths[0])
        written = Written(whole, self.file, self._line_end, len(line))
        self._line_end += len(line)
        self._waiting += 1
        if self._waiting >= _SYNC_EVERY or time.monotonic() - self._synced > _SYNC_EVERY_S:
            self.sync()
        return written

    def _place(self, block: bytes, after: int) -> dict[str, Any]:
        """The position and digest of a block that is written after a number of bytes of earlier blocks."""
        return {
            "file": self._paths[1].name,
            "offset": self._block_end + after,
            "bytes": len(block),
            "sha256": hashlib.sha256(block).hexdigest(),
        }

    def sync(self) -> None:
        """Synchronise the written data to disk.

        Raises:
          OSError: names the file.
        """
        if self._waiting:
            for descriptor, path in ((self._blocks, self._paths[1]), (self._lines, self._paths[0])):
                try:
                    os.fsync(descriptor)
                except OSError as error:
                    error.filename = str(path)
                    raise
            self._waiting = 0
        self._synced = time.monotonic()

    def close(self) -> None:
        """Close the files, which the last `sync` has brought to disk. May be called twice."""
        for descriptor in (self._blocks, self._lines):
            if descriptor >= 0:
                os.close(descriptor)
        self._blocks = self._lines = -1


def _new_name(after: str | None) -> str:
    """Time, host and process, and four random digits; later in the alphabet than `after`, even if clocks differ."""
    now = time.time()
    newest = re.match(r"\d{8}T\d{6}Z", after or "")
    if newest:
        # One second later than the newest file, if that was written by a host whose clock is ahead.
        now = max(now, _seconds(newest[0]) + 1)
    host = re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname())[:32].strip("-") or "host"
    return f"{time.strftime(_TIME, time.gmtime(now))}-{host}-{os.getpid()}-{uuid.uuid4().hex[:4]}"


def _seconds(text: str) -> float:
    import calendar

    try:
        return float(calendar.timegm(time.strptime(text, _TIME)))
    except ValueError:
        return 0.0


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)


def _write(descriptor: int, data: bytes, path: Path) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        error.filename = str(path)
        raise
