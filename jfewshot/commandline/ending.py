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
EXIT_CHECK_FAILED = 1  # what was checked is not in order (store verify, upstreams check)
EXIT_USER_ERROR = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h; Python's own 1 could not be told from a failed check
EXIT_INTERRUPTED = 128 + 2  # SIGINT, as shells have it
EXIT_TERMINATED = 128 + 15  # SIGTERM

_KEPT = "what was finished is kept, and the same command continues from there"


class Terminated(BaseException):
    """SIGTERM arrived. Not an Exception, so that no `except Exception` on the way swallows it."""


class Interrupted(KeyboardInterrupt):
    """^C arrived. A class of its own, because Python ends by SIGINT, and not with our exit code, once it has seen the other one
    leave code that a C extension runs."""


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
    except (KeyboardInterrupt, Terminated):
        status = _ended_by_signal(asked)
    except UserError as error:
        _say(str(error))
        status = EXIT_USER_ERROR
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
        if _is_importing(frame):
            # An exception in the midst of a C extension's start can be lost, or crash the interpreter. No work is under way.
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
        # A handler of somebody else stays, and so does a signal that the parent chose to ignore (nohup, `&` in a script).
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
