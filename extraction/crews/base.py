"""The interface of a crew of processes, and the work of each process in a crew."""

import socket
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from extraction.allocator import keep_freed_memory
from extraction.decoding import Decoder
from extraction.making import Task, make_parts
from extraction.parts import Parts
from extraction.progress import Tally
from extraction.settings import ExtractionSettings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import Upstream, UpstreamOptions
from jfewshot.errors import UserError


class Crew(typing.Protocol):
    """Processes that divide the parts of an extraction among themselves. Each process has loaded all upstreams of the run."""

    size: int

    def make(self, folders: Mapping[int, Path], numbers: Sequence[int]) -> Iterator[Tally]:
        """Make parts of one dataset's stores.

        Args:
          folders: the folders of the parts, by the number of their upstream. Upstreams are numbered from 0 in the order in which
              the crew got their names.
          numbers: numbers of the parts to make.

        Yields:
          a tally of each finished part, in the order in which the parts are finished.

        Raises:
          UserError: if `make_parts` raises one, or if a process of the crew dies and cannot be replaced.
        """
        ...


class PartMaker:
    """One process of a crew: loads its own encoders and makes the parts that the crew assigns to it.

    Args:
      names: names of the upstreams, as `load_upstream` takes them.
      options: options for loading the upstreams.
      settings: batch size, treatment of bad clips, and the number of processes that decode ahead (0: this process decodes).
    """

    def __init__(self, names: Sequence[str], options: UpstreamOptions, settings: ExtractionSettings):
        self._names, self._options, self._settings = tuple(names), options, settings
        self._upstreams: list[Upstream] = []
        self._decoder: Decoder | None = None
        self._tasks: dict[Path, Task] = {}

    def load(self) -> None:
        """Load the encoders, if they are not loaded yet.

        The constructor does not load them: Ray and process pools replace an error in a constructor by an error of their own.
        """
        if self._decoder is None:
            keep_freed_memory()
            self._upstreams = [load_upstream(name, self._options) for name in self._names]
            rates = [upstream.sample_rate for upstream in self._upstreams]
            self._decoder = Decoder(rates, self._settings.n_workers)

    def make(self, folders: Mapping[int, Path], numbers: Sequence[int]) -> list[Tally]:
        """Make parts as `Crew.make` does, in this process."""
        self.load()
        self._tasks = {
            folder: self._tasks.get(folder) or self._open(index, folder) for index, folder in folders.items()
        }
        assert self._decoder is not None
        return list(make_parts([*self._tasks.values()], numbers, self._decoder, self._settings.on_error))

    def _open(self, index: int, folder: Path) -> Task:
        upstream = self._upstreams[index]
        if not folder.is_dir():
            raise UserError(
                f"{socket.gethostname()} does not see {folder}: --out (and --root) must be on a disk that all machines share"
            )
        parts = Parts.open(folder)
        wanted = parts.plan["upstream"].get("revision")
        if wanted != upstream.revision:
            raise UserError(
                f"{socket.gethostname()} has another {upstream.name} ({upstream.revision}) than the run was planned with "
                f"({wanted}); give every machine the same files"
            )
        return Task.of(parts, upstream, self._settings)
