"""How much memory something takes at its peak (Linux; None elsewhere)."""

import math
from pathlib import Path
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Forget the peak so far, where the system allows it."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def memory_bytes(field: str = "VmHWM", process: int | None = None) -> int | None:
    """A field of a process's status: VmHWM (peak, mapped files included), VmRSS (now), RssAnon (now, without files)."""
    path = _STATUS if process is None else Path(f"/proc/{process}/status")
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":")), None)


def temporary_bytes(compiled: Any) -> float:
    """Bytes that a compiled function needs for intermediate results; NaN where the backend does not say.

    Args:
      compiled: a `jax.stages.Compiled`. (Child processes that measure memory load this file, and must not load JAX.)
    """
    analysis = compiled.memory_analysis()
    return math.nan if analysis is None else float(analysis.temp_size_in_bytes)
