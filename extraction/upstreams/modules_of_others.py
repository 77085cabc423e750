"""Helpers for loaders of foreign code (`hear:`, `xares:` and others): error messages, and digests of code and weights."""

import hashlib
from pathlib import Path

import torch

from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file


def failure(name: str, what: str, error: Exception) -> UserError:
    """Make the error for foreign code that fails with the installed packages.

    Args:
      name: name of the upstream.
      what: the step that failed, for instance "load its model".
      error: the error that the foreign code raised.

    Returns:
      the error to raise, with a message of one line.
    """
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return UserError(
        f"{name} cannot {what} with the packages that are installed ({reason}); give --checkpoint if it needs a file, or install "
        "the releases for which it was written in a separate environment"
    )


def revision_of(file: Path, network: torch.nn.Module, options: UpstreamOptions) -> str:
    """Identify an encoder's code and weights: the source file's digest, and the digest of the checkpoint or else of all weights.

    Args:
      file: source file of the module.
      network: the loaded network.
      options: options with the checkpoint, if there is one.

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
