"""Device, number of threads and precision of a torch encoder."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError

AUTOCAST_TYPES = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(asked: str) -> torch.device:
    """The device with a name; `auto` is the GPU if torch can use one, and else the CPU.

    Raises:
      UserError: if torch does not know the device or cannot use it.
    """
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise UserError(f"unknown device '{asked}'; choose auto, cpu, cuda, or cuda:1 for the second GPU") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device {asked} was requested, and torch {torch.__version__} finds {torch.cuda.device_count()} GPUs. Check "
            "nvidia-smi and that this torch is a CUDA build, or pass --device cpu"
        )
    return device


def apply_threads(options: UpstreamOptions) -> None:
    """Set the number of torch's CPU threads if the user gave a number; otherwise leave it unchanged."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)


def check_autocast(name: str) -> None:
    """Refuse an unknown precision.

    Raises:
      UserError: if the precision is unknown; the message names the choices.
    """
    if name not in AUTOCAST_TYPES:
        raise UserError(f"unknown autocast '{name}'; choose {', '.join(AUTOCAST_TYPES)}")


@contextlib.contextmanager
def inference(device: torch.device, autocast: str) -> Iterator[None]:
    """Compute without gradients, and matrix products in the requested half precision, or else in true float32.

    On recent GPUs cuDNN rounds convolutions to TF32 (10 bits of mantissa) by default. This changes features by 1e-3 and makes
    them depend on the batch, so it is switched off unless half precision is requested.
    """
    kind = AUTOCAST_TYPES[autocast]
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        if kind is not None:
            stack.enter_context(torch.autocast(device.type, dtype=kind))
        elif device.type == "cuda":
            now = torch.backends.cudnn
            flags = now.flags(
                enabled=now.enabled, benchmark=now.benchmark, deterministic=now.deterministic, allow_tf32=False
            )
            stack.enter_context(flags)
        yield


def without_autocast(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compute a function in float32 even inside autocast: logarithms of filter banks need this precision."""

    def full_precision(*args: Any, **kwargs: Any) -> Any:
        with contextlib.ExitStack() as stack:
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            return function(*args, **kwargs)

    return full_precision
