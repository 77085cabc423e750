"""Keep the programs that XLA compiled on disk, so that the next process does not compile them again.

JAX's own cache stores the programs; this file chooses the folder. Machines of several kinds often share a home folder,
and code for a CPU fits only its instruction set, so each kind of processor gets its own folder. Entries are found by a
digest of the program, the compiler's version and its settings. A program whose entry cannot be read (because it is
half-written, for instance) is compiled again.
"""

import hashlib
import logging
import os
import platform
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.files import user_cache, writable_folder

log = logging.getLogger(__name__)

# If the cache is larger, the entries that were not used for the longest time are removed until it has half of this
# size.
MOST_BYTES = 2**30
# A program that took at least so many seconds to compile is kept: small programs too, since a run has dozens of them.
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
    """If a cache exceeds a limit, remove the entries that were not used for the longest time, down to half of the limit."""
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
    """A name for this kind of processor, made from the instructions that it can execute."""
    lines: set[str] = set()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = {line for line in file if line.startswith(("model name", "flags", "Features", "CPU part"))}
    except OSError:
        pass
    described = "".join(sorted(lines)) or platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(described.encode()).hexdigest()[:8]}"
