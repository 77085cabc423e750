"""A table of text, written for a terminal, in Markdown, in LaTeX and as CSV.

All tables of the report use this file, so marks and escapes are the same everywhere.
"""

import dataclasses
import io
import re
from collections.abc import Sequence
from typing import Literal

import rich.box
import rich.console
import rich.table
import rich.text

from jfewshot.files.csv_cells import csv_text, is_number
from jfewshot.printable import in_a_line

Mark = Literal["", "best", "second"]
MISSING = "–"


@dataclasses.dataclass(frozen=True)
class TableEntry:
    """Text with a mark. Every format supports `±` and the en dash; only the page uses the address `link`."""

    text: str
    mark: Mark = ""
    link: str = ""


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table of text.

    Attributes:
      title: one line above it.
      columns: headings; the first `n_labels` columns hold labels (left-aligned), the rest numbers (right-aligned).
      rows: one cell per column.
      notes: sentences below it.
      n_labels: how many columns are labels.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[TableEntry, ...], ...]
    notes: tuple[str, ...] = ()
    n_labels: int = 1


def grid(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | TableEntry]],
    notes: Sequence[str] = (),
    n_labels: int = 1,
) -> Grid:
    """Make a `Grid` from rows of strings and entries.

    Args:
      title: title of the table.
      columns: headings of the columns.
      rows: rows of the table, one string or entry for each column.
      notes: sentences below the table.
      n_labels: number of columns, from the left, that hold labels rather than numbers.

    Returns:
      the grid.

    Raises:
      ValueError: if a row does not have one entry for each column.
    """
    cells = tuple(tuple(c if isinstance(c, TableEntry) else TableEntry(c) for c in row) for row in rows)
    if any(len(row) != len(columns) for row in cells):
        raise ValueError(f"every row needs {len(columns)} cells, one per column of '{title}'")
    return Grid(title, tuple(columns), cells, tuple(notes), n_labels)


def has_marks(table: Grid) -> bool:
    """Whether any cell is marked best or second best."""
    return any(cell.mark for row in table.rows for cell in row)


def to_rich(table: Grid, width: int) -> rich.console.Group:
    """The table for a terminal of `width` characters: as many tables, one below the other, as its columns need."""
    sizes = [
        max([_cells_wide(column), *(_cells_wide(row[c].text) for row in table.rows)]) + 2
        for c, column in enumerate(table.columns)
    ]
    label_size = sum(sizes[: table.n_labels]) + 2
    blocks: list[list[int]] = [[]]
    used = label_size
    for column in range(table.n_labels, len(table.columns)):
        if blocks[-1] and used + sizes[column] > width:
            blocks.append([])
            used = label_size
        blocks[-1].append(column)
        used += sizes[column]
    parts: list[rich.console.RenderableType] = []
    if table.title:
        parts.append(rich.text.Text(in_a_line(table.title), style="bold"))
    parts.extend(_rich_block(table, [*range(table.n_labels), *block]) for block in blocks)
    notes = [*table.notes, *(["Best in bold, second best underlined."] if has_marks(table) else [])]
    parts.extend(rich.text.Text(in_a_line(note), style="dim") for note in notes)
    return rich.console.Group(*parts)


def _rich_block(table: Grid, columns: list[int]) -> rich.table.Table:
    block = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        justify: Literal["left", "right"] = "left" if column < table.n_labels else "right"
        block.add_column(
            rich.text.Text(in_a_line(table.columns[column])), justify=justify, no_wrap=column >= table.n_labels
        )
    styles = {"": "", "best": "bold", "second": "underline"}
    for row in table.rows:
        block.add_row(*(rich.text.Text(in_a_line(row[c].text), style=styles[row[c].mark]) for c in columns))
    return block


def to_terminal(table: Grid, width: int = 120) -> str:
    """The table as plain text, without colours, of at most `width` characters where its labels allow."""
    file = io.StringIO()
    console = rich.console.Console(file=file, width=width, color_system=None, force_terminal=False)
    console.print(to_rich(table, width))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().split("\n")) + "\n"


def to_markdown(table: Grid) -> str:
    """The table in GitHub's Markdown: best in bold, second best in italics."""
    wrap = {"": "{}", "best": "**{}**", "second": "*{}*"}
    align = ["---" if c < table.n_labels else "---:" for c in range(len(table.columns))]
    lines = [f"**{_markdown_escape(table.title)}**", ""] if table.title else []
    lines.append("| " + " | ".join(_markdown_escape(c) for c in table.columns) + " |")
    lines.append("|" + "|".join(align) + "|")
    for row in table.rows:
        lines.append("| " + " | ".join(wrap[c.mark].format(_markdown_escape(c.text)) for c in row) + " |")
    notes = [*table.notes, *(["Best in bold, second best in italics."] if has_marks(table) else [])]
    if notes:
        lines += ["", " ".join(_markdown_escape(note) for note in notes)]
    return "\n".join(lines) + "\n"


def to_latex(table: Grid) -> str:
    """The table in LaTeX with booktabs (`\\usepackage{booktabs}`): best in bold, second best underlined."""
    wrap = {"": "{}", "best": "\\textbf{{{}}}", "second": "\\underline{{{}}}"}
    sentences = [table.title, *table.notes, *(["Best in bold, second best underlined."] if has_marks(table) else [])]
    caption = " ".join(text if text.endswith(".") else f"{text}." for text in sentences if text)
    lines = [
        "% Needs \\usepackage{booktabs}; names in other scripts need LuaLaTeX or XeLaTeX and a font that has them.",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{latex_escape(caption)}}}",
        f"\\begin{{tabular}}{{{'l' * table.n_labels}{'r' * (len(table.columns) - table.n_labels)}}}",
        "\\toprule",
        _latex_row([latex_escape(c) for c in table.columns]),
        "\\midrule",
        *(_latex_row([wrap[c.mark].format(latex_escape(c.text)) for c in row]) for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def to_csv(table: Grid) -> str:
    """The table's text as CSV, marks left out."""
    return csv_text([table.columns, *([_csv_cell(table, *item) for item in enumerate(row)] for row in table.rows)])


def _csv_cell(table: Grid, column: int, cell: TableEntry) -> object:
    """A cell of the CSV: labels are always text, and in the other columns a signed number is a number."""
    return _Number(cell.text) if column >= table.n_labels and is_number(cell.text) else cell.text


class _Number:
    """The text of a number, which must not be escaped."""

    def __init__(self, text: str):
        self._text = text

    def __str__(self) -> str:
        return self._text


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
    "−": r"$-$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "ρ": r"$\rho$",
    "·": r"$\cdot$",
    # LuaTeX interprets this character as damaged UTF-8, and stops.
    "\ufffd": "?",
}


def latex_escape(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_LATEX.get(character, character) for character in in_a_line(text))


def _latex_row(cells: list[str]) -> str:
    # A row that begins with a bracket or a star would be an argument of the command that ended the row before.
    first = "{}" if cells[0].lstrip().startswith(("[", "*")) else ""
    return first + " & ".join(cells) + " \\\\"


def _markdown_escape(text: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]&~$])", r"\\\1", in_a_line(text))


def _cells_wide(text: str) -> int:
    return rich.text.Text(in_a_line(text)).cell_len
