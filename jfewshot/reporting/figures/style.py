"""The common style of all figures, and saving them."""

import contextlib
import io
import logging
import textwrap
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import Bbox

from jfewshot.files import atomic_write
from jfewshot.printable import in_a_line
from jfewshot.reporting.figures.fonts import families

_log = logging.getLogger(__name__)

# Okabe and Ito's palette: readers with any colour vision can distinguish its colours, and in grey they differ in
# lightness.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
DASHES = ("-", "--", "-.", ":")
BAND, GREY = "#0072B2", "#6b6b6b"
# From blue through white to orange: both ends are dark enough on paper, and the scale does not use red and green.
DIVERGING = "PuOr_r"
SEQUENTIAL = "cividis"
FORMATS = ("png", "svg", "pdf")

_LOOK: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "jfewshot",
    "pdf.fonttype": 42,
    # A dollar in a name must not begin a formula.
    "text.parse_math": False,
    "figure.constrained_layout.use": True,
}


@contextlib.contextmanager
def look() -> Iterator[None]:
    """A context in which figures have this style; the caller's settings are restored afterwards."""
    with matplotlib.rc_context({**_LOOK, "font.family": list(families())}), warnings.catch_warnings():
        # A character that no font has is drawn as a box; the report names it (fonts.py), and the tables have it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        warnings.filterwarnings("ignore", message="constrained_layout not applied", category=UserWarning)
        yield


def line_numbers(labels: Iterable[str]) -> dict[str, int]:
    """A number for each label, alphabetically, so that an upstream looks the same in every figure of a report."""
    return {
        label: number for number, label in enumerate(sorted(set(labels), key=lambda label: (label.casefold(), label)))
    }


def line_style(number: int) -> dict[str, str]:
    """Colour, marker and dash of the n-th line; each of them repeats, but their combination does not."""
    return {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number // len(COLORS) % len(DASHES)],
    }


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a figure in several formats, each whole; the same figure gives the same bytes.

    Args:
      figure: the figure.
      folder: folder to write to; made if it does not exist.
      name: name of the files without their extension.
      formats: extensions of the files, such as `svg`.

    Returns:
      The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    undated = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    paths = []
    with look(), _settled(figure) as page:
        for form in formats:
            path = folder / f"{name}.{form}"
            with atomic_write(path) as file:
                figure.savefig(file, format=form, bbox_inches=page, metadata=undated.get(form))
            paths.append(path)
    return paths


@contextlib.contextmanager
def _settled(figure: Figure) -> Iterator[Bbox]:
    """Lay out and measure a figure once for all formats; otherwise it would be drawn twice for each format.

    Args:
      figure: the figure, which keeps its layout.

    Yields:
      The area of the figure with a margin, in inches.
    """
    figure.draw_without_rendering()
    # After each format matplotlib resets the figure's layout to that of the settings, which is none here.
    with matplotlib.rc_context({"figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)
        yield figure.get_tightbbox().padded(matplotlib.rcParams["savefig.pad_inches"])


def to_svg(figure: Figure) -> bytes:
    """A figure as SVG."""
    buffer = io.BytesIO()
    with look(), _settled(figure) as page:
        figure.savefig(buffer, format="svg", bbox_inches=page, metadata={"Date": None})
    return buffer.getvalue()


def ink_on(color: Any) -> str:
    """Black or white, whichever has more contrast on a colour (red, green, blue; 0-1), by WCAG's relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    luminance = sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if luminance > 0.179 else "white"


def room_for(labels: Iterable[str], points: float = 7.0) -> float:
    """The space in inches that the longest of some labels needs next to an axis.

    Args:
      labels: as `shorten` gives them.
      points: size of the font.
    """
    # A wide character, of Chinese for instance, is as wide as the font is high; a letter about 0.58 of this.
    widths = [sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.58 for c in shorten(text)) for text in labels]
    return max(widths, default=0.0) * points / 72


def shorten(label: str, length: int = 60) -> str:
    """A label that fits next to an axis on one line; only very long names are shortened."""
    label = in_a_line(label)
    if label.startswith("_"):
        label = f"\u200a{label}"  # matplotlib omits labels that begin with an underscore from legends
    return label if len(label) <= length else label[: length - 1] + "…"


def fitted(text: str, figure: Figure, points: float = 8.0, share: float = 1.0) -> str:
    """A title in lines that are no wider than the figure.

    Args:
      text: the title.
      figure: the figure.
      points: size of the font.
      share: of the figure's width that there is for the title.

    Returns:
      at most four lines.
    """
    # A letter of DejaVu Sans is 0.58 of its size wide on average.
    width = max(int(72 * share * figure.get_figwidth() / (0.58 * points)), 20)
    return "\n".join(textwrap.wrap(in_a_line(text), width, max_lines=4, placeholder=" …"))


def plain_logarithmic(axis: Axis) -> None:
    """Number a logarithmic axis in plain text: matplotlib's powers of ten are formulas, which the look switches off.

    Args:
      axis: `axes.xaxis` or `axes.yaxis`, after its scale was set.
    """
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
