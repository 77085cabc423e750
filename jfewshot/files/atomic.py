"""Files and folders that appear complete or not at all."""

import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from jfewshot.errors import UserError
from jfewshot.files.places import OwnFiles, check_place

# Unfinished files and folders have this ending; readers ignore them.
PARTIAL = ".partial"
_OWNER = re.compile(rf"\.(\d+)\.([0-9a-f]{{6}})[0-9a-f]{{6}}{re.escape(PARTIAL)}\Z")


@contextlib.contextmanager
def atomic_write(path: Path | str, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file next to `path`; on a clean exit flush it to disk and rename it to `path`, else remove it.

    A reader sees the old file or the new one, never a part. If two programs write at once, the last rename wins.
    """
    path = Path(path)
    temporary = _temporary(path)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    try:
        with open(temporary, mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        # The user knows the file by its final name.
        if error.filename is None or str(error.filename) == str(temporary):
            error.filename = str(path)
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(
    path: Path | str, own_files: OwnFiles = lambda _: None, what: str = "folder", replace: bool = False
) -> Iterator[Path]:
    """Fill a temporary folder next to `path`; on a clean exit rename it to `path`, else remove it.

    Args:
      path: the path of the folder. An existing folder is kept, unless it is empty, or `replace` is given and it
          contains only files of its own manifest.
      own_files: the files that the manifest in a folder lists, with the manifest; None if there is no manifest.
      what: the kind of folder, for messages.
      replace: whether a folder of this kind may be replaced.

    Yields:
      the temporary folder.

    Raises:
      UserError: before anything is written, if something stands at `path` that may not be replaced.
    """
    path = check_place(path, own_files, what, replace)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        check_place(path, own_files, what, replace)  # filling it may have taken hours
        _publish(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextlib.contextmanager
def scratch_folder(path: Path | str) -> Iterator[Path]:
    """A temporary folder next to `path`, on the same disk, for files that are needed while `path` is made; removed at the end."""
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale_partials(path.parent)  # those of a killed process may have gigabytes
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(finished: Path, path: Path) -> None:
    """Rename a finished folder to its place; a folder that stands there moves aside first and is removed after.

    The caller has checked that the folder may be replaced.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old{PARTIAL}")
    try:
        os.replace(finished, path)
    except OSError as error:
        # Renaming onto a folder that is not empty is refused: with one of two codes on POSIX, and as EACCES by Windows.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES) or not path.is_dir():
            raise
        os.replace(path, aside)
        try:
            os.replace(finished, path)
        except BaseException:
            os.replace(aside, path)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _temporary(path: Path) -> Path:
    """A new name in a path's folder, which contains the process and the machine of the unfinished file."""
    return path.with_name(f".{path.name}.{os.getpid()}.{_machine()}{uuid.uuid4().hex[:6]}{PARTIAL}")


@functools.cache
def _machine() -> str:
    """Six digits for this machine and, in a container, its own numbers of processes."""
    try:
        numbers = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        numbers = ""
    return hashlib.sha256(f"{socket.gethostname()} {numbers}".encode()).hexdigest()[:6]


def _owner_is_gone(leftover: Path) -> bool:
    """Whether an unfinished file or folder is of a process of this machine that has ended."""
    found = _OWNER.search(leftover.name)
    # Windows has no signal that only tests whether a process exists.
    if found is None or found[2] != _machine() or os.name != "posix":
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def remove_stale_partials(folder: Path, older_than_s: float = 24 * 3600) -> None:
    """Remove unfinished files of killed runs.

    Unfinished files of a process of this machine are removed as soon as that process has ended. Other files may belong
    to a run on another machine, and are kept until they are old.

    Args:
      folder: where to look.
      older_than_s: unfinished files that are older than this are removed in any case.
    """
    now = time.time()
    for leftover in folder.glob(f".*{PARTIAL}"):
        try:
            if now - leftover.stat().st_mtime < older_than_s and not _owner_is_gone(leftover):
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # its process has finished in the meantime


def writable_folder(path: Path | str, purpose: str) -> Path:
    """Make the folder if necessary, and check that a file can be written in it before hours of computation.

    Raises:
      UserError: names the folder and the reason.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{uuid.uuid4().hex}"
        with atomic_write(probe) as file:
            file.write(b"yes")
        probe.unlink(missing_ok=True)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UserError(
            f"cannot write {purpose} to {path}: {error.strerror}. Name a folder that you may write to"
        ) from error
    return path
