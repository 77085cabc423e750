"""The blocks of a report, independent of the output format."""

import dataclasses
from typing import Any

from jfewshot.reporting.grid import Grid
from jfewshot.reporting.leaderboard import Leaderboard


@dataclasses.dataclass(frozen=True)
class Prose:
    """Paragraphs; `warning` highlights them."""

    paragraphs: tuple[str, ...]
    warning: bool = False


@dataclasses.dataclass(frozen=True)
class Points:
    """Sentences as a list under a heading; `warning` highlights them."""

    heading: str
    sentences: tuple[str, ...]
    warning: bool = False


@dataclasses.dataclass(frozen=True)
class TableBlock:
    """A table; `sortable` ones can be sorted and filtered."""

    grid: Grid
    sortable: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class BoardBlock:
    """A leaderboard: sortable, with a chart; each number links to its source."""

    board: Leaderboard


@dataclasses.dataclass(frozen=True, eq=False)
class Chart:
    """A Plotly chart of a basic kind (scatter, bar), with a description for readers who cannot see it.

    `narrow` is a layout for windows too narrow for `layout`; None where one layout serves both.
    """

    data: list[dict[str, Any]]
    layout: dict[str, Any]
    alt: str
    narrow: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A figure: SVG in base64, a description, and a caption."""

    svg: str
    alt: str
    caption: str = ""


Block = Prose | Points | TableBlock | BoardBlock | Chart | Picture


@dataclasses.dataclass(frozen=True, eq=False)
class Section:
    """A heading and its contents; `anchor` is its address in the page. A folded section opens on a click or from a link."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Document:
    """A report."""

    title: str
    lead: str
    sections: tuple[Section, ...]
