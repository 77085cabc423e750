"""Compares the numbers of a page's table or sentence with the measured file that they come from, or fills them in from it.

The page must print as many numbers as the file gives, and each number must agree to its last printed digit.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.numbers.claims import Accuracy
from benchmarks.numbers.pages import ROOT, cells_of, table_lines

_NUMBER = re.compile(r"(?<![\w.,-])[+−-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")

Rows = list[list[str]]
"""The cells of each row of a table, as printed."""
Values = Sequence[Sequence[Sequence[float]]]
"""For each row, and for each compared cell of the row, the numbers of the cell. An empty cell has no numbers."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose numbers come from a file.

    Attributes:
      page: its path from the root of the repository.
      below: a text of the page; the table is the first one below it.
      file: name of the file in benchmarks/measured, without `.json`.
      values: given the file's content and the page's rows, returns the measured numbers.
      labels: how many columns at the left are labels.
      columns: the columns that come from this file, if other columns come from other files. None stands for all columns to the
        right of the labels.
    """

    page: str
    below: str
    file: str
    values: Callable[[Any, Rows], Values]
    labels: int = 1
    columns: tuple[int, ...] = ()

    def differences(self) -> Iterator[str]:
        """A line for each cell whose numbers differ from the file."""
        headings, *rows = map(cells_of, table_lines(self.page, self.below))
        for row, cells in zip(rows, self.values(measured(self.file), rows), strict=True):
            for place, values in zip(self._places(row), cells, strict=True):
                for text in differing(row[place], values):
                    label = " ".join(row[: self.labels])
                    yield f"{self.page}, below {self.below!r}, row {label!r}, {headings[place]!r}: {text}"

    def filled(self, text: str) -> str:
        """The text of the page with the file's numbers in the table."""
        _, *lines = table_lines(self.page, self.below)
        rows = [cells_of(line) for line in lines]
        before, found, after = text.partition(self.below)
        for line, cells in zip(lines, self.values(measured(self.file), rows), strict=True):
            parts = line.split("|")
            for place, values in zip(self._places(cells_of(line)), cells, strict=True):
                parts[1 + place] = _with(parts[1 + place], values)
            after = after.replace(line, "|".join(parts), 1)
        return before + found + after

    def _places(self, row: list[str]) -> Sequence[int]:
        return self.columns or range(self.labels, len(row))


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence whose numbers come from a file.

    Attributes:
      page: its path from the root of the repository.
      text: the sentence, or a part of it, with `{}` in place of each number. Line breaks do not count.
      file: name of the file in benchmarks/measured, without `.json`.
      values: given the file's content, returns the numbers.
    """

    page: str
    text: str
    file: str
    values: Callable[[Any], Sequence[float]]

    def differences(self) -> Iterator[str]:
        """A line for each number that differs from the file.

        Raises:
          LookupError: the page has no such sentence.
        """
        found = self._found((ROOT / self.page).read_text(encoding="utf-8"))
        printed = " ".join(found.groups())
        yield from (
            f"{self.page}, {found[0]!r}: {text}" for text in differing(printed, self.values(measured(self.file)))
        )

    def filled(self, text: str) -> str:
        """The text of the page with the file's numbers in the sentence."""
        found = self._found(text)
        values = self.values(measured(self.file))
        for place, value in reversed(list(enumerate(values, 1))):
            start, end = found.span(place)
            text = text[:start] + _with(found[place], [value]) + text[end:]
        return text

    def _found(self, text: str) -> re.Match:
        words = [re.escape(word).replace(r"\{\}", f"({_NUMBER.pattern})") for word in self.text.split()]
        found = re.search(r"\s+".join(words), text)
        if not found:
            raise LookupError(f"{self.page} has no sentence {self.text!r} any more")
        return found


def measured(file: str) -> Any:
    """The content of a file of benchmarks/measured."""
    return json.loads((ROOT / "benchmarks/measured" / f"{file}.json").read_text(encoding="utf-8"))


def numbers_in(text: str) -> list[str]:
    """The numbers of a text, as printed. Digits in a name (ESC-10, v2) do not count as numbers."""
    return _NUMBER.findall(text)


def differing(text: str, values: Sequence[float]) -> Iterator[str]:
    """A line for each printed number that differs from the measured number, or one line if there are more or fewer numbers."""
    printed = numbers_in(text)
    if len(printed) != len(values):
        yield f"{text!r} prints {len(printed)} numbers, the file has {[round(value, 4) for value in values]}"
        return
    for number, value in zip(printed, values, strict=True):
        if not _agree(number, value):
            yield f"{text!r} prints {number}, the file has {value:.6g}"


def _agree(number: str, value: float) -> bool:
    return Accuracy("", "", number.replace(",", "").replace("−", "-"), value).agrees


def _with(text: str, values: Sequence[float]) -> str:
    """The text with the measured numbers, written with the digits and separators of the printed numbers."""
    numbers = iter(values)

    def written(found: re.Match) -> str:
        number, value = found[0], next(numbers)
        if _agree(number, value):
            return number
        minus = "-" if "-" in text else "−"
        plus = "+" if number[0] in "+−-" else ""
        digits = len(number.partition(".")[2])
        size = f"{abs(value):{',' if value >= 1000 else ''}.{digits}f}"
        return (minus if value < 0 and float(size.replace(",", "")) else plus) + size

    return _NUMBER.sub(written, text) if len(numbers_in(text)) == len(values) else text
