"""Keep the side effects of foreign code away from ours: its output, its warnings, and its use of random generators."""

import contextlib
import functools
import io
import logging
import random
import sys
import warnings
from collections.abc import Iterator

import numpy as np


class _LineLogger(io.TextIOBase):
    """A stream that logs each line as a debug message."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._logger.debug("%s", line)
        return len(text)


@contextlib.contextmanager
def quiet(logger: logging.Logger) -> Iterator[None]:
    """Redirect standard output and warnings to `logger` at debug level.

    Only for loading encoders: both settings hold for the whole process, so other threads are silenced too.
    """
    chatter = _LineLogger(logger)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.redirect_stdout(chatter):
            yield
    chatter.write("\n")
    for warning in caught:
        logger.debug("%s: %s (%s:%s)", warning.category.__name__, warning.message, warning.filename, warning.lineno)


@contextlib.contextmanager
def no_progress_bars() -> Iterator[None]:
    """Switch off tqdm's progress bars, for code that shows them and has no switch for them."""
    tqdm = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
    if tqdm is None:
        yield
        return
    before = tqdm.__init__
    tqdm.__init__ = functools.partialmethod(before, disable=True)
    try:
        yield
    finally:
        tqdm.__init__ = before


@contextlib.contextmanager
def random_states_kept() -> Iterator[None]:
    """Restore the states of the global random generators of Python, NumPy and torch.

    s3prl builds models with random weights, which the checkpoint then replaces, and its WavLM uses NumPy's generator in every
    forward pass. Neither may change the random numbers that a user's own seeded code gets afterwards.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is the point
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch:
            torch.set_rng_state(torch_state)
