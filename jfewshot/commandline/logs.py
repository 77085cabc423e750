"""Plain lines on standard error, for every command."""

import logging
import sys
from typing import TextIO

from jfewshot.printable import printable

# JAX reports every kind of device that it does not find, and absl every checkpoint; matplotlib and fontTools report fonts. Of
# these packages only warnings or errors are shown.
_LOUDEST_SHOWN = {
    "jax": logging.WARNING,
    "absl": logging.ERROR,
    "matplotlib": logging.ERROR,
    "fontTools": logging.ERROR,
}


class _StandardError(logging.StreamHandler):
    """Writes to whatever `sys.stderr` is at that moment: a progress bar replaces it, so that lines appear above the bar."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _Printable(logging.Formatter):
    """Replaces escape sequences in messages, since names of files and classes may contain them."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_plainly(level: int = logging.INFO, handler: logging.Handler | None = None) -> None:
    """Set up logging for a command line; call it once, first.

    Args:
      level: the lowest level that is shown.
      handler: where lines go; None: standard error.
    """
    handler = handler or _StandardError()
    handler.setFormatter(_Printable("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    for name, loudest in _LOUDEST_SHOWN.items():
        logging.getLogger(name).setLevel(loudest)
