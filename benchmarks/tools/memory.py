"""How much memory something takes at its peak (Linux; None elsewhere)."""

from pathlib import Path

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
