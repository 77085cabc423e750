"""How every command parses its options, logs while it works, and ends (NumPy-free and JAX-free: `--help` loads this)."""

import errno
import logging
import sys
from collections.abc import Callable
from typing import NoReturn

from jfewshot.errors import UserError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

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


def run_cli(main: Callable[[], int | None]) -> NoReturn:
    """Run a command line's `main` and exit: 0 or what it returns, 2 on a `UserError` or file-system error, 130 on ^C.

    Errors that no user caused keep their traceback: they are bugs, and the traceback is what a report of them needs.
    """
    try:
        status = main() or 0
    except UserError as error:
        _say(str(error))
        status = EXIT_USER_ERROR
    except KeyboardInterrupt:
        _say("interrupted; what was finished is kept, and the same command continues from there")
        status = EXIT_INTERRUPTED
    except BrokenPipeError:
        status = 0  # the reader of our output, `head` say, has seen enough
    except OSError as error:
        _say(explain_os_error(error))
        status = EXIT_USER_ERROR
    sys.exit(status)


def explain_os_error(error: OSError) -> str:
    """What the file system refused, and what to do about it, in one line."""
    where = error.filename or "the file system"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no space left while writing {where}. What was finished is kept: "
            "free some space, or name another folder, and run the same command again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"not allowed to use {where} ({error.strerror}). Change its permissions or name another folder"
    if error.errno == errno.ENOENT:
        return f"{where} does not exist"
    return f"{where}: {error.strerror or error}"


def _say(message: str) -> None:
    logging.getLogger("jfewshot").debug("ending on an error", exc_info=True)
    sys.stderr.write(f"error: {message}\n")
