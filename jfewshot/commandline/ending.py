"""How every command ends: its exit code, and one line on an error that the user can mend, on ^C and on SIGTERM."""

import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from jfewshot.errors import UserError, explain_missing_package

# docs/commands.md lists these codes; a test compares.
EXIT_CHECK_FAILED = 1  # what was checked is not in order (store verify, upstreams check)
EXIT_USER_ERROR = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h; Python's own 1 could not be told from a failed check
EXIT_INTERRUPTED = 128 + 2  # SIGINT, as shells have it
EXIT_TERMINATED = 128 + 15  # SIGTERM

_KEPT = "what was finished is kept, and the same command continues from there"


class Terminated(BaseException):
    """SIGTERM arrived. Not an Exception, so that no `except Exception` on the way swallows it."""


def run_cli(main: Callable[[], int | None]) -> NoReturn:
    """Run a command line's `main` and exit with a code that a script can rely on (docs/commands.md).

    The exit code is what `main` returns (None: 0), 2 on a `UserError`, a file-system error or a package of an extra that is
    not installed, 130 on ^C, 143 on SIGTERM and 70 on any other error. Only the last prints a traceback: it is a bug, and the
    report of a bug needs it.
    """
    asked: list[int] = []
    try:
        with _signals(asked):
            status = main() or 0
        sys.stdout.flush()  # here, where a reader that is gone is no error, and not at the interpreter's exit
    except UserError as error:
        _say(str(error))
        status = EXIT_USER_ERROR
    except (KeyboardInterrupt, Terminated):
        status = _ended_by_signal(asked)
    except BrokenPipeError:
        # The reader of our output, `head` for instance, has seen enough. Whatever is still buffered goes nowhere.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        _say(explain_os_error(error))
        status = EXIT_USER_ERROR
    except Exception as error:
        missing = explain_missing_package(error) if isinstance(error, ModuleNotFoundError) else None
        if asked:  # a package that is being imported may turn ^C into an error of its own
            status = _ended_by_signal(asked)
        elif missing:
            _say(missing)
            status = EXIT_USER_ERROR
        else:
            traceback.print_exc()
            status = EXIT_BUG
    sys.exit(status)


def _ended_by_signal(asked: list[int]) -> int:
    if signal.SIGTERM in asked:
        _say(f"terminated by SIGTERM; {_KEPT}")
        return EXIT_TERMINATED
    _say(f"interrupted; {_KEPT}")
    return EXIT_INTERRUPTED


@contextlib.contextmanager
def _signals(asked: list[int]) -> Iterator[None]:
    """While the block runs, ^C and SIGTERM are noted in `asked` and end it; afterwards everything is as before."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    process = os.getpid()

    def end(number: int, frame: Any) -> None:
        if os.getpid() != process:
            # A forked child inherits this handler. A child ends as it would without it, and says nothing.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        asked.append(number)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        # A handler of somebody else stays, and so does a signal that the parent chose to ignore (nohup, `&` in a script).
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
