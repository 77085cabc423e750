"""Memory of processes and of compiled functions. The memory of processes is read from Linux, and None on other systems."""

import math
from pathlib import Path
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Set the peak memory of this process to its present memory, if the system allows it."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def memory_bytes(field: str = "VmHWM", process: int | None = None) -> int | None:
    """A field of a process's status in bytes: VmHWM (peak with mapped files), VmRSS (now, with files), RssAnon (now, without)."""
    path = _STATUS if process is None else Path(f"/proc/{process}/status")
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":")), None)


def temporary_bytes(compiled: Any) -> float:
    """Bytes that a compiled function needs for intermediate results; NaN if the backend does not report them.

    Args:
      compiled: a `jax.stages.Compiled`. Its type is not in the signature, because processes that measure memory import this
        module and must not import JAX.
    """
    analysis = compiled.memory_analysis()
    return math.nan if analysis is None else float(analysis.temp_size_in_bytes)
