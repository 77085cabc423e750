"""What a crew of processes offers to a run, and what each process of a crew does."""

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
    """Processes that share the parts out among themselves; each has loaded all upstreams of the run."""

    size: int

    def make(self, folders: Mapping[int, Path], numbers: Sequence[int]) -> Iterator[Tally]:
        """Make parts of one dataset's stores.

        Args:
          folders: where the parts are, by the number of their upstream in the order in which the crew was given them.
          numbers: which parts.

        Yields:
          What was done, part by part, in the order in which they are finished.

        Raises:
          UserError: what `make_parts` raises, or a process that cannot be kept alive.
        """
        ...


class PartMaker:
    """One process of a crew: it loads its own encoders and makes the parts that it is given.

    Args:
      names: upstreams, as `load_upstream` takes them.
      options: how to load them.
      settings: batch size, what to do about bad clips, and processes that decode ahead (0: none but this one).
    """

    def __init__(self, names: Sequence[str], options: UpstreamOptions, settings: ExtractionSettings):
        self._names, self._options, self._settings = tuple(names), options, settings
        self._upstreams: list[Upstream] = []
        self._decoder: Decoder | None = None
        self._tasks: dict[Path, Task] = {}

    def load(self) -> None:
        """Load the encoders, once. Not part of construction, so that an error of loading reaches the caller unchanged."""
        if self._decoder is None:
            keep_freed_memory()
            self._upstreams = [load_upstream(name, self._options) for name in self._names]
            rates = [upstream.sample_rate for upstream in self._upstreams]
            self._decoder = Decoder(rates, self._settings.n_workers)

    def make(self, folders: Mapping[int, Path], numbers: Sequence[int]) -> list[Tally]:
        """As `Crew.make`, in this process."""
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
