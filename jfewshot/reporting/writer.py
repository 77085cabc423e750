"""Writes a report's files: tables in every format, figures in every format, one page."""

import base64
import logging
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from jfewshot.files import atomic_write, writable_folder
from jfewshot.reporting.document import Picture
from jfewshot.reporting.figures import style
from jfewshot.reporting.grid import Grid, to_csv, to_latex, to_markdown, to_terminal

_log = logging.getLogger(__name__)


class Writer:
    """Writes the files of one report, below one folder.

    Args:
      folder: the folder, which is made if it does not exist.
      formats: formats of figures.

    Raises:
      UserError: if it cannot be written to.
    """

    def __init__(self, folder: Path, formats: Sequence[str]):
        self.folder = writable_folder(folder, "the report")
        self.formats = tuple(formats)
        self.paths: list[Path] = []

    def text(self, name: str, text: str) -> Path:
        """Write a text file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, "w") as file:
            file.write(text)
        self.paths.append(path)
        return path

    def table(self, name: str, table: Grid) -> Grid:
        """Write a table as text, Markdown, LaTeX and CSV, and return it."""
        for ending, write in (("txt", to_terminal), ("md", to_markdown), ("tex", to_latex), ("csv", to_csv)):
            self.text(f"tables/{name}.{ending}", write(table))
        return table

    def figure(self, name: str, figure: Figure, alt: str, caption: str = "") -> Picture:
        """Write a figure in every format, and make a picture of the figure for the page.

        Args:
          name: name of the files without their extension.
          figure: the figure.
          alt: description of the figure for readers who cannot see it.
          caption: text below the figure; empty for none.

        Returns:
          the picture.
        """
        paths = style.save(figure, self.folder / "figures", name, self.formats)
        self.paths.extend(paths)
        drawn = next((path.read_bytes() for path in paths if path.suffix == ".svg"), None)
        svg = style.to_svg(figure) if drawn is None else drawn
        return Picture(base64.b64encode(svg).decode(), alt, caption)
