"""Find the weights of s3prl's encoders, and read them safely.

s3prl's encoders read their own files. While an encoder is built, we replace the two functions through which it does so:
`_urls_to_filepaths`, which finds the cached file for a published address, and `torch.load`. So a file of the user can replace the
published one for any encoder. Each file is read only once, onto the CPU, as plain tensors, and we know afterwards which files
were read.
"""

import contextlib
import os
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from extraction.upstreams.torch_checkpoint import read_checkpoint, torch_load
from jfewshot.errors import UserError

# `torch.load` and s3prl's functions are replaced for the whole process, so only one encoder is built at a time.
_BUILDING = threading.RLock()


class _Inert:
    """Replaces an object that no encoder needs, such as a learning-rate schedule that was saved with the weights."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "_Inert":
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        return None


class Files:
    """The files that one encoder was built from.

    Attributes:
      name: name of the encoder, for messages.
      checkpoint: the user's file, or folder with several files; None for s3prl's cache and download.
      trusted: whether files with arbitrary Python objects may be read.
      urls: published addresses that the encoder requested, in order.
      paths: the files that were used for these addresses, in order.
      read: contents of each file that was read through `torch.load`.
    """

    def __init__(self, name: str, checkpoint: Path | None, trusted: bool) -> None:
        self.name = name
        self.checkpoint = checkpoint
        self.trusted = trusted
        self.urls: list[str] = []
        self.paths: list[Path] = []
        self.read: dict[Path, Any] = {}

    def load(self, path: Path) -> Any:
        """Read a file. While the encoder is built, this function replaces `torch.load`."""
        path = Path(path).resolve()
        if path not in self.paths:
            self.paths.append(path)
        if path not in self.read:
            self.read[path] = read_checkpoint(path, self.trusted, _harmless_leftovers())
        return self.read[path]

    def locate(self, url: str) -> str:
        """Find the user's file for a published address. Call this only if the user named a file or folder."""
        name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
        given = self.checkpoint
        assert given is not None
        if given.is_dir():
            path = given / name
            # The files of TERA and of Mockingjay are both published as states-1000000.ckpt, and their architecture is the same.
            if not path.is_file() or name.startswith("states-"):
                published = "" if name.startswith("states-") else f" or {name}"
                raise UserError(
                    f"{given} has no file for {self.name}; put the file from {url} there, "
                    f"named after the encoder ({self.name}{Path(name).suffix}){published}"
                )
        elif given.suffix != Path(name).suffix and (given.parent / name).is_file():
            path = given.parent / name  # an encoder with two files: the settings are next to the weights
        elif self.urls and given in self.paths:
            raise UserError(f"{self.name} also needs {name} ({url}): put it into the folder of {given}")
        else:
            path = given
        self.urls.append(url)
        self.paths.append(path.resolve())
        return str(path)


def _harmless_leftovers() -> list[tuple[type, str]]:
    """Schedules and optimizers in some of s3prl's published files, which are read as objects that do nothing."""
    from s3prl import optimizers

    names = [name for name, value in vars(optimizers).items() if isinstance(value, type)]
    return [(_Inert, f"{module}.{name}") for module in ("optimizers", "s3prl.optimizers") for name in names]


@contextlib.contextmanager
def watching(files: Files) -> Iterator[None]:
    """Make s3prl find and read its files through `files`, within the `with` block.

    Raises:
      UserError: if a file is not in s3prl's cache and cannot be downloaded.
    """
    from s3prl.util import download

    s3prl_locate = download._urls_to_filepaths

    def load(source: Any, *args: Any, **kwargs: Any) -> Any:
        return (
            files.load(Path(source)) if isinstance(source, str | os.PathLike) else torch_load(source, *args, **kwargs)
        )

    def locate(*urls: str, refresh: bool = False, download: bool = True) -> str | list[str]:
        found = [files.locate(url) if files.checkpoint else _fetched(url, s3prl_locate, files) for url in urls]
        return found if len(found) > 1 else found[0]

    torch_module: Any = torch
    with _BUILDING:
        askers: list[Any] = [module for name, module in list(sys.modules.items()) if name.startswith("s3prl.")]
        askers = [module for module in askers if getattr(module, "_urls_to_filepaths", None) is s3prl_locate]
        try:
            torch_module.load = load
            for module in askers:
                module._urls_to_filepaths = locate
            yield
        finally:
            torch_module.load = torch_load
            for module in askers:
                module._urls_to_filepaths = s3prl_locate


def _fetched(url: str, s3prl_locate: Any, files: Files) -> str:
    path = _from_cache(url, s3prl_locate)
    files.urls.append(url)
    files.paths.append(path.resolve())
    return str(path)


def fetch(url: str) -> Path:
    """A published file, from s3prl's cache or downloaded into it.

    Raises:
      UserError: if the file is not in the cache and cannot be downloaded.
    """
    from s3prl.util import download

    return _from_cache(url, download._urls_to_filepaths)


def _from_cache(url: str, s3prl_locate: Any) -> Path:
    cached = Path(s3prl_locate(url, download=False))
    try:
        # A cached file is used directly: s3prl would first create a lock file next to it, and shared caches may be read-only.
        return cached if cached.is_file() else Path(s3prl_locate(url))
    except (OSError, KeyError, RuntimeError, AssertionError) as error:
        raise UserError(
            f"{url} could not be downloaded ({type(error).__name__}). On a machine with internet, download it and either pass "
            f"it as --checkpoint FILE or store it as {cached}"
        ) from error


def tensors_of(contents: dict, key: str) -> dict[str, torch.Tensor]:
    """The tensors under `key` of a checkpoint, with their current names.

    BERT-like layers once used the names gamma and beta for the weight and bias of a layer norm. The code of Mockingjay and TERA
    renames them in the same way.
    """
    return {name.replace("gamma", "weight").replace("beta", "bias"): tensor for name, tensor in contents[key].items()}
