"""Modules that others wrote (`hear:`, `xares:`): what their failures are called, and what names their weights."""

import hashlib
from pathlib import Path

import torch

from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file


def failure(name: str, what: str, error: Exception) -> UserError:
    """The one line about a module that fails with the packages that are installed.

    Args:
      name: of the upstream.
      what: it was to do, for instance "load its model".
      error: what it raised.

    Returns:
      the error to raise.
    """
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return UserError(
        f"{name} cannot {what} with the packages that are installed ({reason}); give --checkpoint if it needs a file, or install "
        "the releases that it was written for in an environment of its own"
    )


def revision_of(file: Path, network: torch.nn.Module, options: UpstreamOptions) -> str:
    """What names an encoder's code and weights: the source file's digest, and the checkpoint's or else that of all weights.

    Args:
      file: of the module.
      network: as it was loaded.
      options: the checkpoint, if there is one.

    Returns:
      the digests in words.
    """
    parts = [f"source sha256:{sha256_of_file(file)}"]
    if options.checkpoint is not None and Path(options.checkpoint).is_file():
        parts.append(f"checkpoint sha256:{sha256_of_file(options.checkpoint)}")
    elif state := network.state_dict():
        digest = hashlib.sha256()
        for name, tensor in state.items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        parts.append(f"weights sha256:{digest.hexdigest()}")
    return ", ".join(parts)
