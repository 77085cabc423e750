"""Where and how precisely a torch encoder runs: device, threads, half precision."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError

AUTOCAST_TYPES = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(asked: str) -> torch.device:
    """The device of that name; `auto` is the GPU if torch can use one, else the CPU.

    Raises:
      UserError: a device that torch does not know or cannot use.
    """
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise UserError(f"unknown device '{asked}'; choose auto, cpu, cuda, or cuda:1 for the second GPU") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device {asked} was asked for, and torch {torch.__version__} sees {torch.cuda.device_count()} GPUs. Check "
            "nvidia-smi and that this torch is a CUDA build, or pass --device cpu"
        )
    return device


def apply_threads(options: UpstreamOptions) -> None:
    """Set torch's CPU threads if the user asked for a number; otherwise what the caller has set stands."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)


def check_autocast(name: str) -> None:
    """Refuse what is not a precision.

    Raises:
      UserError: naming the choices.
    """
    if name not in AUTOCAST_TYPES:
        raise UserError(f"unknown autocast '{name}'; choose {', '.join(AUTOCAST_TYPES)}")


@contextlib.contextmanager
def inference(device: torch.device, autocast: str) -> Iterator[None]:
    """No gradients; matrix products in the asked half precision, or else in true float32.

    On recent GPUs cuDNN rounds convolutions to TF32 by default, 10 bits of mantissa, which moves features by 1e-3 and makes
    them depend on the batch; here it is off unless half precision was asked for.
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
    """The function, computed in float32 whatever precision surrounds it: for filter banks, whose logarithms need the bits."""

    def full_precision(*args: Any, **kwargs: Any) -> Any:
        with contextlib.ExitStack() as stack:
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            return function(*args, **kwargs)

    return full_precision
