"""How every command ends: its exit code, and one line on an error that the user can mend, on ^C and on SIGTERM."""

import _thread
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
from jfewshot.printable import printable

# docs/commands.md lists these codes; a test compares.
EXIT_CHECK_FAILED = 1  # a check failed (store verify, upstreams check)
EXIT_USER_ERROR = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h; Python's own 1 could not be distinguished from a failed check
EXIT_INTERRUPTED = 128 + 2  # SIGINT, as shells have it
EXIT_TERMINATED = 128 + 15  # SIGTERM

_KEPT = "what was finished is kept, and the same command continues from there"


class Terminated(BaseException):
    """SIGTERM arrived. Not an Exception, so that no `except Exception` catches it."""


class Interrupted(KeyboardInterrupt):
    """^C arrived.

    This is not KeyboardInterrupt: if a KeyboardInterrupt leaves code that a C extension runs, Python ends by SIGINT and
    not with our exit code."""


def run_cli(main: Callable[[], int | None]) -> NoReturn:
    """Run a command line's `main` and exit with a documented code (docs/commands.md).

    The exit code is what `main` returns (None: 0), 2 on a `UserError`, a file-system error or a package of an extra that is
    not installed, 130 on ^C, 143 on SIGTERM and 70 on any other error. Only the last prints a traceback: it is a bug, and the
    report of a bug needs it.
    """
    asked: list[int] = []
    try:
        with _signals(asked):
            status = main() or 0
        sys.stdout.flush()  # flushed here, where a closed pipe is not an error, and not at the interpreter's exit
    except (KeyboardInterrupt, Terminated):
        status = _ended_by_signal(asked)
    except UserError as error:
        _say(str(error))
        status = EXIT_USER_ERROR
    except BrokenPipeError:
        # The reader of our output, for instance `head`, has closed the pipe. Buffered output is discarded.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        _say(explain_os_error(error))
        status = EXIT_USER_ERROR
    except Exception as error:
        missing = explain_missing_package(error) if isinstance(error, ModuleNotFoundError) else None
        if asked:  # a package that is being imported may replace ^C by another error
            status = _ended_by_signal(asked)
        elif missing:
            _say(missing)
            status = EXIT_USER_ERROR
        else:
            traceback.print_exc()
            status = EXIT_BUG
    sys.exit(status)


def _ended_by_signal(asked: list[int]) -> int:
    number = signal.SIGTERM if signal.SIGTERM in asked else signal.SIGINT
    _say(_line(number))
    return EXIT_TERMINATED if number == signal.SIGTERM else EXIT_INTERRUPTED


def _line(number: int) -> str:
    return f"{'terminated by SIGTERM' if number == signal.SIGTERM else 'interrupted'}; {_KEPT}"


def _deliver(number: int) -> None:
    """Send a signal to the main thread, which ends a wait there."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:  # Windows
        _thread.interrupt_main(signal.Signals(number))


def _is_importing(frame: Any) -> bool:
    """Whether some module is being imported where the signal arrived."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def _signals(asked: list[int]) -> Iterator[None]:
    """While the block runs, ^C and SIGTERM are recorded in `asked` and end it; afterwards the old handlers are restored."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    process = os.getpid()

    def end(number: int, frame: Any) -> None:
        if os.getpid() != process:
            # A forked child inherits this handler. The child ends as it would without the handler, without a message.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        asked.append(number)
        if _is_importing(frame):
            # An exception during the initialisation of a C extension can be lost, or crash the interpreter. No work has
            # begun yet.
            os.write(2, f"error: {_line(number)}\n".encode())
            os._exit(EXIT_TERMINATED if number == signal.SIGTERM else EXIT_INTERRUPTED)
        raise Terminated if number == signal.SIGTERM else Interrupted

    def again(lost: Any) -> None:
        # Python drops what is raised in a destructor or a callback. The signal is delivered again once this function is left.
        if isinstance(lost.exc_value, Interrupted | Terminated):
            number = signal.SIGTERM if isinstance(lost.exc_value, Terminated) else signal.SIGINT
            threading.Timer(0.01, _deliver, (number,)).start()
        else:
            hook(lost)

    hook, sys.unraisablehook = sys.unraisablehook, again
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        # Keep another program's handler, and a signal that the parent process ignores (nohup, `&` in a script).
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


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
    sys.stderr.write(f"error: {printable(message)}\n")
