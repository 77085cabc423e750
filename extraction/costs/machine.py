"""The processor or GPU on which an encoder runs, and its number of threads."""

import platform
from pathlib import Path
from typing import Any

from extraction.upstreams.base import Upstream
from jfewshot.threads import cores


def machine_of(upstream: Upstream) -> dict[str, Any]:
    """Name the device on which an encoder runs.

    Args:
      upstream: a loaded encoder.

    Returns:
      `device`, the name of the processor or GPU. On a processor also `threads`, the number of threads that compute one batch, if
      it is known.
    """
    device = str(getattr(upstream, "device", "cpu"))
    if not device.startswith("cpu"):
        return {"device": _accelerator(upstream, device)}
    threads = _threads(upstream)
    return {"device": processor(), **({} if threads is None else {"threads": threads})}


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _accelerator(upstream: Upstream, device: str) -> str:
    jax_device = getattr(upstream, "jax_device", None)
    if jax_device is not None:
        return str(jax_device.device_kind)
    if "torch" in _packages(upstream) and device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return device


def _threads(upstream: Upstream) -> int | None:
    stated = getattr(upstream, "threads", None)
    if stated is not None:
        return int(stated)
    packages = _packages(upstream)
    if "torch" in packages:
        import torch

        return torch.get_num_threads()
    if "onnxruntime" in packages:
        from extraction.costs.in_onnx import sessions_of

        counts = [one.get_session_options().intra_op_num_threads for one in sessions_of(upstream).values()]
        return max((count or cores() for count in counts), default=None)
    return cores() if "jax" in packages else None


def _packages(upstream: Upstream) -> tuple[str, ...]:
    return tuple(getattr(upstream, "packages", ()))
