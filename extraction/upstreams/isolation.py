"""Keep the side effects of other people's code away from ours: what it prints, what it warns of, what it draws."""

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
    """A stream whose lines become debug messages."""

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
    """Inside, standard output and warnings go to `logger` at debug level.

    For loading only: both are settings of the whole process, and other threads would be silenced too.
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
    """Inside, tqdm shows no bars, for code that makes bars and has no switch for them."""
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
    """Give Python's, NumPy's and torch's global generators back as they were found.

    s3prl builds models by drawing weights that the checkpoint then replaces, and its WavLM draws from NumPy's generator in
    every forward pass; neither may change what a user's own seeded code draws afterwards.
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
