"""What XLA compiled, kept on disk, so that the next process starts at once.

JAX's own cache does the work; this chooses where. A home folder is often shared by machines of several kinds, and code for a
CPU belongs to its instruction set: each kind of processor gets a folder of its own. Entries are found by a digest of the
program, the compiler's version and its settings, and one that cannot be read (half-written, on another's disk) is compiled anew.
"""

import hashlib
import logging
import os
import platform
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.files import user_cache, writable_folder

log = logging.getLogger(__name__)

# Where there is more, the entries not used for longest are removed down to half of it.
MOST_BYTES = 2**30
# Seconds of compiling from which on a program is kept: small ones too, for a run has dozens of them.
_WORTH_KEEPING_S = 0.05


def use_compile_cache(wanted: bool = True) -> Path | None:
    """Let JAX keep what it compiles; to be called before it compiles anything.

    Args:
      wanted: False to keep and use nothing.

    Returns:
      The folder: `JAX_COMPILATION_CACHE_DIR` if that is set, else one below the user's cache folder (`XDG_CACHE_HOME` or
      `~/.cache`); None where nothing is kept, because it is not wanted or the folder cannot be written to.
    """
    import jax

    if not wanted:
        jax.config.update("jax_enable_compilation_cache", False)
        return None
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING_S)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    folder = user_cache() / "jfewshot" / "compiled" / _processor()
    try:
        writable_folder(folder, "compiled code")
        prune(folder)
    except (OSError, UserError) as error:
        log.info("compiled code is not kept (%s)", error)
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def prune(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Where a cache has outgrown a limit, remove what was not used for longest, down to half of the limit."""
    entries = []
    for path in folder.glob("*"):
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue  # another run removed it
        entries.append((max(facts.st_atime, facts.st_mtime), facts.st_size, path))
    total = sum(size for _, size, _ in entries)
    if total <= most_bytes:
        return
    for _, size, path in sorted(entries):
        if total <= most_bytes // 2:
            break
        path.unlink(missing_ok=True)
        total -= size


def _processor() -> str:
    """A name for this kind of processor, by what it can execute."""
    lines: set[str] = set()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = {line for line in file if line.startswith(("model name", "flags", "Features", "CPU part"))}
    except OSError:
        pass
    described = "".join(sorted(lines)) or platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(described.encode()).hexdigest()[:8]}"
