"""The folder to which a run writes records, and in which it looks for existing records."""

import contextlib
import errno
import hashlib
import logging
import os
import threading
import time
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Integer

from jfewshot.errors import UserError
from jfewshot.files import canonical_json, remove_stale_partials, writable_folder
from jfewshot.results.appending import PREDICTIONS, RECORDS, Appender
from jfewshot.results.draws import digest_of_draws, read_npz, write_npz
from jfewshot.results.indexing import Index, Place
from jfewshot.results.keys import FORMAT, FORMAT_VERSION, key_of
from jfewshot.results.lines import LineReader
from jfewshot.results.packing import pack, pack_labels
from jfewshot.results.scores import QueryScores, pack_scores
from jfewshot.results.single_files import find_single_file

log = logging.getLogger(__name__)

Keep = Literal["predictions", "counts", "scores"]
DRAWS = "draws"
_LEVELS = ("counts", "predictions", "scores")  # each includes the one before it
_LOOK_AGAIN_S = 5.0
_MOST_OPEN_FILES = 16
_MOST_TOLD = 10
_READ_AHEAD = 2**16  # bytes; a run looks records up in about the order in which they were written


@typing.runtime_checkable
class Records(typing.Protocol):
    """The interface through which an evaluation finds and writes records: a `ResultFolder`, or an object that sends
    records to one."""

    def find(self, key: str) -> dict[str, Any] | None: ...

    def check_writable(self) -> None: ...

    def write_cell(
        self,
        record: dict[str, Any],
        predicted: Integer[np.ndarray, "episodes queries"],
        scores: QueryScores | None = None,
    ) -> dict[str, Any]:
        """Write a cell's record with its predictions and scores.

        Args:
          record: as for `ResultFolder.write_cell`.
          predicted: the slot that each query was given to.
          scores: of every query; None where none are kept.

        Returns:
          The record.
        """
        ...

    def write_draws(self, protocol: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str: ...

    def flush(self) -> None: ...


class ResultFolder:
    """A folder to which one or several runs write at once. Close it, or use it in a `with` statement.

    Args:
      path: the folder, which is made if it does not exist. A read-only folder is refused when something has to be
          written.
      keep: what is kept of each cell: the predicted slot of every query, or only how many queries of each class of an episode
        were right, or also the scores of every query. A record that keeps less than is to be kept is computed again.

    Raises:
      UserError: if the folder does not exist and cannot be made.
    """

    def __init__(self, path: Path | str, keep: Keep = "predictions"):
        self.path = Path(path)
        self.keep = keep
        self._refusal: UserError | None = None
        try:
            writable_folder(self.path, "results")
            for name in (DRAWS, RECORDS, PREDICTIONS):
                writable_folder(self.path / name, "results")
                remove_stale_partials(self.path / name)
        except (UserError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            if not self.path.is_dir():
                raise
            self._refusal = (
                error
                if isinstance(error, UserError)
                else UserError(f"cannot write results to {self.path}: {error.strerror}")
            )
        # One thread writes records and adds to the index while another looks records up.
        self._lock = threading.Lock()
        self._index = Index(self.path)
        self._looked = time.monotonic()
        self._reader = LineReader()
        self._files = _OpenFiles()
        self._appender: Appender | None = None
        # For files of drawn clips: time, size and inode, and the digest (None if a file cannot be read).
        self._drawn: dict[str, tuple[tuple[int, ...], str | None]] = {}
        self._written_draws: set[str] = set()
        self._told: set[str] = set()

    def __enter__(self) -> "ResultFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, key: str) -> dict[str, Any] | None:
        """The record of a cell; None if it does not exist or is incomplete, and has to be computed.

        Args:
          key: of the cell.
        """
        with self._lock:
            place = self._index.find(key)
            if place is None and time.monotonic() - self._looked > _LOOK_AGAIN_S:
                # Another run may be writing to this folder.
                self._refresh()
                place = self._index.find(key)
            record = self._whole(key, place) if place is not None else None
            if record is None:
                record = find_single_file(self.path, key, self._reader)
        if record is None:
            return None
        drawn = self._digest_of_draws(record["draws"])
        if drawn is None:
            return None
        if record.get("draws_sha256") not in (None, drawn):
            self._tell(f"{self.path}/{DRAWS}/{record['draws']}", "its clips are not those that its records describe")
            return None
        kept = "scores" if record.get("scores") else record["predictions"].get("kept", "predictions")
        return record if _LEVELS.index(kept) >= _LEVELS.index(self.keep) else None

    def refresh(self) -> list[str]:
        """Read what other processes appended since the last time.

        Returns:
          The keys of these records.
        """
        with self._lock:
            return self._refresh()

    def _refresh(self) -> list[str]:
        new = self._index.refresh()
        self._looked = time.monotonic()
        return new

    def _whole(self, key: str, place: Place) -> dict[str, Any] | None:
        problem = "its predictions are not those that it describes"
        try:
            # Strings, since joining paths would take a fifth of the time of finding 100,000 records.
            line = self._files.read(f"{self.path}/{RECORDS}/{place.file}", place.offset, place.length)
            record = self._reader.record(line, FORMAT_VERSION)
            blocks = [record["predictions"]]
            if self.keep == "scores" and record.get("scores"):
                blocks.append(record["scores"])
            if record["key"] == key and all(self._is_whole(block) for block in blocks):
                return record
        except (UserError, OSError) as error:
            problem = str(error)
        self._tell(f"{self.path}/{RECORDS}/{place.file}: record {key}", problem)
        return None

    def _is_whole(self, block: Mapping[str, Any]) -> bool:
        """Whether a block exists and has the digest that its record gives."""
        path = f"{self.path}/{PREDICTIONS}/{block['file']}"
        data = self._files.read(path, block.get("offset", 0), block.get("bytes", 0))
        return hashlib.sha256(data).hexdigest() == block["sha256"]

    def _tell(self, what: str, problem: str) -> None:
        """Log once for each record or file that its cells are computed again, and why; only the first of very many."""
        if what not in self._told:
            self._told.add(what)
            if len(self._told) <= _MOST_TOLD:
                log.warning("%s is not used, and its results are computed again: %s", what, problem)
            elif len(self._told) == _MOST_TOLD + 1:
                log.warning("more records are computed again for similar reasons; they are not listed here")

    def _digest_of_draws(self, name: str) -> str | None:
        """The digest of a file of drawn clips, which is read again only if it has changed; None if it cannot be read."""
        path = f"{self.path}/{DRAWS}/{name}"
        try:
            status = os.stat(path)
        except OSError:
            return None
        marks = status.st_mtime_ns, status.st_size, status.st_ino
        known = self._drawn.get(name)
        if known is None or known[0] != marks:
            digest = None
            with contextlib.suppress(UserError):
                digest = digest_of_draws(read_npz(Path(path)))
            known = self._drawn[name] = marks, digest
        return known[1]

    def check_writable(self) -> None:
        """Refuse a folder that cannot be written to.

        Raises:
          UserError: names the folder and the reason.
        """
        if self._refusal is not None:
            raise self._refusal

    def write_cell(
        self,
        record: dict[str, Any],
        predicted: Integer[np.ndarray, "episodes queries"],
        scores: QueryScores | None = None,
    ) -> dict[str, Any]:
        """Write a cell's predictions and scores, then its record.

        Args:
          record: all fields of docs/results.md but `format`, `format_version`, `key`, `predictions` and the two digests.
          predicted: the slot that each query was assigned to.
          scores: scores of every query; they are written if the folder keeps scores.

        Returns:
          The record as written.

        Raises:
          UserError: if the folder cannot be written to.
          OSError: if the disk is full or fails; everything that was written before is complete.
        """
        self.check_writable()
        protocol = record["identity"]["protocol"]
        if self.keep == "counts":
            block, kept = pack(right_of_slot(predicted, protocol["n_way"]), protocol["n_query"] + 1), "counts"
        else:
            block, kept = pack_labels(predicted, protocol["n_way"]), "predictions"
        packed = pack_scores(scores) if scores is not None and self.keep == "scores" else None
        key = key_of(record["identity"])
        whole = {"key": key, "format": FORMAT, "format_version": FORMAT_VERSION, **record}
        drawn = self._digest_of_draws(record["draws"])
        if drawn is not None:
            whole["draws_sha256"] = drawn
        with self._lock:
            if self._appender is None:
                self._appender = Appender(self.path, self._index.newest)
            try:
                written = self._appender.append(whole, block, kept, packed)
            except BaseException:
                # The file may end with a part of a line, so nothing may be appended.
                self._appender.close()
                self._appender = None
                self._index.refresh()
                raise
            self._index.add(key, Place(written.file, written.offset, written.length))
        return written.record

    def write_draws(self, protocol: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
        """Write the drawn clips of a (clip table, protocol, seed), unless the same clips are already there.

        Args:
          protocol: the settings on which the draw depends.
          arrays: the arrays by name (docs/results.md).

        Returns:
          The file's name.
        """
        name = f"{key_of(protocol)}.npz"
        path = self.path / DRAWS / name
        # The name depends on everything that determines the clips, so a file that was written or compared once need not
        # be compared again.
        if name in self._written_draws and path.exists():
            return name
        drawn = {**arrays, "protocol": np.array(canonical_json(protocol))}
        digest = digest_of_draws(drawn)
        if not path.exists() or self._digest_of_draws(name) != digest:
            self.check_writable()
            write_npz(path, drawn)
        self._written_draws.add(name)
        return name

    def flush(self) -> None:
        """Synchronise all written records to disk.

        Raises:
          OSError: if the disk is full or fails.
        """
        with self._lock:
            if self._appender is not None:
                self._appender.sync()

    def close(self) -> None:
        """Synchronise all records to disk and close the files. The folder may be used again, and then writes to new files."""
        try:
            self.flush()
        finally:
            with self._lock:
                if self._appender is not None:
                    self._appender.close()
                    self._index.newest = max(self._index.newest or "", self._appender.file)
                self._appender = None
                self._files.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # when Python ends, modules may be removed before this object
            return


def right_of_slot(
    predicted: Integer[np.ndarray, "episodes queries"], n_way: int
) -> Integer[np.ndarray, "episodes n_way"]:
    """How many queries of each slot were classified correctly.

    Args:
      predicted: the slot that each query was assigned to, in class-major order.
      n_way: slots per episode.
    """
    by_slot = predicted.reshape(len(predicted), n_way, -1)
    return (by_slot == np.arange(n_way, dtype=predicted.dtype)[:, None]).sum(axis=2)


class _OpenFiles:
    """Reads parts of files, and keeps the last few open."""

    def __init__(self) -> None:
        self._files: dict[str, typing.BinaryIO] = {}

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Read a part of a file; less, or nothing, if the file ends before it."""
        file = self._files.get(path)
        if file is None:
            if len(self._files) >= _MOST_OPEN_FILES:
                self._files.pop(next(iter(self._files))).close()
            file = self._files[path] = open(path, "rb", buffering=_READ_AHEAD)  # noqa: SIM115
        # A damaged record may state a size that exceeds the memory.
        if length > _READ_AHEAD and offset + length > os.fstat(file.fileno()).st_size:
            return b""
        file.seek(offset)
        return file.read(length)

    def close(self) -> None:
        """Close them all."""
        while self._files:
            self._files.popitem()[1].close()
