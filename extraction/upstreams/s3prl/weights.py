"""Where the weights of s3prl's encoders come from.

s3prl's encoders read their own files. While one is built, its two doors to the outside are watched: `_urls_to_filepaths`, by
which it turns a published address into a file of its cache, and `torch.load`. So a file that the user names can stand for the
published one whatever the encoder, each file is read once, onto the CPU, as plain tensors, and is known afterwards.
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

# torch.load and s3prl's functions are replaced for the whole process, so one encoder is built at a time.
_BUILDING = threading.RLock()


class _Inert:
    """Takes the place of an object that no encoder needs, such as a learning-rate schedule that was saved along."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "_Inert":
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        return None


class Files:
    """The files that one encoder was built from.

    Attributes:
      name: the encoder's, for messages.
      checkpoint: what the user gave: a file, a folder that holds several, or None for s3prl's cache and download.
      trusted: whether files that hold arbitrary Python objects may be read.
      urls: published addresses that the encoder asked for, in order.
      paths: files that stood for them, in order.
      read: contents of each file that went through `torch.load`.
    """

    def __init__(self, name: str, checkpoint: Path | None, trusted: bool) -> None:
        self.name = name
        self.checkpoint = checkpoint
        self.trusted = trusted
        self.urls: list[str] = []
        self.paths: list[Path] = []
        self.read: dict[Path, Any] = {}

    def load(self, path: Path) -> Any:
        """What `torch.load` answers while the encoder is built."""
        path = Path(path).resolve()
        if path not in self.paths:
            self.paths.append(path)
        if path not in self.read:
            self.read[path] = read_checkpoint(path, self.trusted, _harmless_leftovers())
        return self.read[path]

    def locate(self, url: str) -> str:
        """The user's file for a published address; asked only where the user gave one."""
        name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
        given = self.checkpoint
        assert given is not None
        if given.is_dir():
            path = given / name
            # TERA's and Mockingjay's files, of one architecture, are both published as states-1000000.ckpt.
            if not path.is_file() or name.startswith("states-"):
                published = "" if name.startswith("states-") else f" or {name}"
                raise UserError(
                    f"{given} has no file for {self.name}; put what {url} gives there, "
                    f"named after the encoder ({self.name}{Path(name).suffix}){published}"
                )
        elif given.suffix != Path(name).suffix and (given.parent / name).is_file():
            path = given.parent / name  # an encoder of two files: the settings lie beside the weights
        elif self.urls and given in self.paths:
            raise UserError(f"{self.name} needs {name} ({url}) too: put it beside {given}")
        else:
            path = given
        self.urls.append(url)
        self.paths.append(path.resolve())
        return str(path)


def _harmless_leftovers() -> list[tuple[type, str]]:
    """Schedules and optimizers of s3prl's training, pickled into some of its published files: read as inert objects."""
    from s3prl import optimizers

    names = [name for name, value in vars(optimizers).items() if isinstance(value, type)]
    return [(_Inert, f"{module}.{name}") for module in ("optimizers", "s3prl.optimizers") for name in names]


@contextlib.contextmanager
def watching(files: Files) -> Iterator[None]:
    """Inside, s3prl finds and reads its files through `files`.

    Raises:
      UserError: a file is neither in s3prl's cache nor to be had.
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
      UserError: it is neither there nor to be had.
    """
    from s3prl.util import download

    return _from_cache(url, download._urls_to_filepaths)


def _from_cache(url: str, s3prl_locate: Any) -> Path:
    cached = Path(s3prl_locate(url, download=False))
    try:
        # A file that is there is taken as it is: s3prl would first make a lock beside it, and shared caches may be read-only.
        return cached if cached.is_file() else Path(s3prl_locate(url))
    except (OSError, KeyError, RuntimeError, AssertionError) as error:
        raise UserError(
            f"{url} could not be downloaded ({type(error).__name__}). On a machine with internet, fetch it and either pass it as "
            f"--checkpoint FILE or store it as {cached}"
        ) from error


def tensors_of(contents: dict, key: str) -> dict[str, torch.Tensor]:
    """The tensors under `key` of a checkpoint, by today's names.

    BERT-like layers once called the weight and bias of a layer norm gamma and beta; Mockingjay's and TERA's code renames
    them as this does.
    """
    return {name.replace("gamma", "weight").replace("beta", "bias"): tensor for name, tensor in contents[key].items()}
