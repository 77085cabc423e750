"""What a command says while it works: its own lines, on standard error, and no library's chatter."""

import logging

# JAX reports every kind of device that it does not find, but warns of what matters; absl warns of every checkpoint, matplotlib
# and fontTools of fonts.
_HEARD_FROM = {"jax": logging.WARNING, "absl": logging.ERROR, "matplotlib": logging.ERROR, "fontTools": logging.ERROR}


def log_plainly(level: int = logging.INFO, handler: logging.Handler | None = None) -> None:
    """Set up logging for a command line; call it once, first.

    Args:
      level: what is shown, of our own.
      handler: where to; None: standard error.
    """
    handler = handler or logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    for name, loudest in _HEARD_FROM.items():
        logging.getLogger(name).setLevel(loudest)
