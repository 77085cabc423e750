"""Find the position of each record: files of records are read once, and later only the parts that were appended."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jfewshot.results.appending import LINES, RECORDS
from jfewshot.results.lines import key_of_line

# A record has some thousands of bytes; with a list of all classes of a large dataset, it may have some millions.
LONGEST_LINE = 2**25  # bytes


class Place(NamedTuple):
    """A line of a file of records.

    Attributes:
      file: its name.
      offset: where the line begins, in bytes.
      length: of the line, in bytes, its newline included.
    """

    file: str
    offset: int
    length: int


class Line(NamedTuple):
    """A line that was read.

    Attributes:
      text: its bytes without the newline; if the line is too long, its beginning.
      place: its position.
      number: number of the line, from 1.
      whole: whether it ends with a newline; the last line of a killed process may not.
      too_long: whether it has more bytes than any record.
    """

    text: bytes
    place: Place
    number: int
    whole: bool
    too_long: bool


def record_files(folder: Path) -> list[Path]:
    """The files of records, oldest first.

    Args:
      folder: the result folder.
    """
    return sorted(path for path in (folder / RECORDS).glob(f"*{LINES}") if not path.name.startswith("."))


def lines_of(path: Path, start: int = 0) -> Iterator[Line]:
    """The lines of a file of records.

    Only the beginning of a line that is too long is held in memory.

    Args:
      path: path of the file.
      start: where to begin, in bytes, at the beginning of a line. Line numbers count from there.

    Yields:
      Each line in turn.

    Raises:
      OSError: if it cannot be read, or is not an ordinary file.
    """
    offset = start
    if path.is_fifo() or path.is_socket() or path.is_char_device():
        raise OSError(errno.EINVAL, "no ordinary file", str(path))  # opening a pipe would wait for a writer
    with open(path, "rb") as file:
        file.seek(start)
        for number, text in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
            length, last, too_long = len(text), text, False
            while len(last) == LONGEST_LINE and not last.endswith(b"\n"):
                last = file.readline(LONGEST_LINE)
                length += len(last)
                too_long = too_long or bool(last)
            whole = (last or text).endswith(b"\n")
            yield Line(text.rstrip(b"\n"), Place(path.name, offset, length), number, whole, too_long)
            offset += length


class Index:
    """The newest line of each key.

    Args:
      folder: the result folder.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._places: dict[str, Place] = {}
        self._read: dict[str, int] = {}  # bytes of whole lines, by file
        self.newest: str | None = None
        self.refresh()

    def refresh(self) -> list[str]:
        """Read what was appended since the last time, by any process.

        Returns:
          The keys of the whole lines that were read.
        """
        new: list[str] = []
        for path in record_files(self._folder):
            start = self._read.get(path.name, 0)
            self.newest = max(self.newest or "", path.name)
            # For a run, a file that cannot be read has no records; a report names it.
            with contextlib.suppress(OSError):
                if path.stat().st_size <= start:
                    continue
                for line in lines_of(path, start):
                    if line.whole:
                        key = None if line.too_long else key_of_line(line.text)
                        self.add(key, line.place)
                        if key is not None:
                            new.append(key)
        return new

    def add(self, key: str | None, place: Place) -> None:
        """Note a line.

        Args:
          key: of the record; None for a line without a key, which no run uses.
          place: where it lies.
        """
        self._read[place.file] = place.offset + place.length
        if key is not None and (key not in self._places or self._places[key].file <= place.file):
            self._places[key] = place

    def find(self, key: str) -> Place | None:
        """The position of a record; None if it does not exist.

        Args:
          key: of the record.
        """
        return self._places.get(key)

    def __len__(self) -> int:
        return len(self._places)
