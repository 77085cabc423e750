"""Reads names and labels of the pages: encoders, datasets, classifiers, and cells that gain or lose most."""

import re
from collections.abc import Iterable
from typing import Any

from benchmarks.numbers.comparing import Rows

UPSTREAMS = {
    "FBANK": "fbank",
    "MFCC": "mfcc",
    "Moonshine": "moonshine_tiny",
    "Resemblyzer": "resemblyzer",
    "speech_embedding": "speech_embedding",
    "Speech SimCLR": "speech_simclr_small",
    "Whisper": "whisper_tiny_en",
    "YAMNet": "yamnet",
}
DATASETS = {"Arabic words": "arabic_commands", "ESC-10": "esc10", "digits": "fsdd_digits", "speakers": "fsdd_speakers"}


def upstream(text: str) -> str:
    """The upstream in a page's longer name, such as `Whisper tiny.en` or `Speech SimCLR, small`."""
    return next(name for title, name in UPSTREAMS.items() if title in text)


def dataset(text: str) -> str:
    """The dataset in a page's longer name, such as `FSDD, digits` or `ESC-10 (sounds)`."""
    return next(name for title, name in DATASETS.items() if title in text)


def cells_in(text: str) -> list[tuple[str, str]]:
    """Encoder and dataset of each number of a text such as `FBANK on digits +4.6, on ESC-10 +2.0, YAMNet on speakers +1`."""
    found, last = [], ""
    for part in re.split(r", | and (?=on )", text):
        encoder, _, rest = part.partition("on ")
        last = upstream(encoder) if encoder.strip() else last
        found.append((last, dataset(rest)))
    return found


def blocks(rows: Rows, column: int = 0) -> list[tuple[str, str]]:
    """The block (`5-way 1-shot`, `5 shots`) and the label of each row. In the table, only the first row of a block names it."""
    found, block = [], ""
    for row in rows:
        start, comma, label = row[column].partition(", ")
        if comma and re.match(r"\d", start):
            block = start
        else:
            label = row[column]
        found.append((block, label))
    return found


def shots_of(block: str) -> str:
    """The number of shots of a block such as `5 shots`."""
    return block.split()[0]


def head(label: str) -> str:
    """The classifier that a label names in backquotes."""
    return part(r"`([^`]+)`", label)


def part(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise LookupError(f"{text!r} has nothing like {pattern}")
    return found[1]


def ends(values: Iterable[float]) -> list[float]:
    """The smallest and the largest value."""
    values = list(values)
    return [min(values), max(values)]


def of(cell: dict[str, Any]) -> tuple[str, str]:
    """Encoder and dataset of a cell."""
    return cell["upstream"], cell["dataset"]


def largest(each: dict[tuple[str, str], float], text: str, sign: int = 1) -> list[float]:
    """The values of the cells that a text names. These cells must have the largest values of all cells."""
    named = cells_in(text) if text.strip("–") else []
    ends = sorted(each.values(), key=lambda value: -sign * value)[: len(named)]
    chosen = [each[cell] for cell in named]
    assert sorted(round(value, 1) for value in chosen) == sorted(round(value, 1) for value in ends), (
        text,
        chosen,
        ends,
    )
    return chosen


def smallest(each: dict[tuple[str, str], float], text: str) -> list[float]:
    """The values of the cells that a text names. These cells must have the smallest values of all cells."""
    return largest(each, text, -1)
