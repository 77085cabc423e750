"""Distribute an extraction over the machines of a Ray cluster.

    ray start --head                      # on one machine; on the others: ray start --address=HEAD:6379
    python -m extraction.run ... --ray    # on any machine of the cluster

Each machine writes its parts to a disk that all machines share. If a machine dies, the other machines make its parts. Only
part numbers and counts are sent through Ray. A part is written completely or not at all, under the same name as in a run
without Ray or in a shard. So a run of one kind can continue a run of another kind.
"""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from extraction.crews.base import PartMaker
from extraction.parts import Parts
from extraction.progress import Tally
from extraction.settings import ExtractionSettings
from extraction.upstreams.base import UpstreamOptions
from jfewshot.ray_workers import Cluster, Words, Workers

_MOST_PARTS_AT_ONCE = 8
# A network disk may show a new file to other machines only after this time.
_DISK_DELAY_S = 90.0
_WORDS = Words(
    "an encoder", lambda parts: f"parts {parts[0]} to {parts[-1]}", "with smaller --block-clips or --batch-size"
)


class RayCrew:
    """A crew of Ray actors, for use as a context manager. An actor starts when the cluster has room for it.

    Args:
      names, options, settings: as for `PartMaker`.
      size: number of actors. With None, one per GPU of the cluster. Without GPUs, or with `--device cpu`, one per `--threads`
        CPUs (default 1). Actors for which the cluster has no room yet start when it has room.

    Raises:
      UserError: if Ray is not installed, or if there is no cluster.
    """

    def __init__(
        self, names: Sequence[str], options: UpstreamOptions, settings: ExtractionSettings, size: int | None = None
    ):
        self._cluster = Cluster()
        threads = options.threads or 1
        on_gpus = self._cluster.gpus > 0 and not options.device.startswith("cpu")
        self.size = size or max(1, self._cluster.gpus if on_gpus else self._cluster.cpus // threads)
        # With a GPU, other processes decode ahead. Without a GPU, one process decodes and encodes in turn on its cores.
        workers = settings.n_workers if on_gpus else 0
        arguments = (
            tuple(names),
            dataclasses.replace(options, threads=options.threads if on_gpus else threads),
            dataclasses.replace(settings, workers=workers),
        )
        needs = {"num_gpus": 1, "num_cpus": 1 + workers} if on_gpus else {"num_cpus": threads}
        self.workers = Workers(self._cluster, PartMaker, arguments, self.size, needs, _WORDS)

    def __enter__(self) -> "RayCrew":
        return self

    def __exit__(self, *_: object) -> None:
        self.workers.close()
        self._cluster.close()

    def make(self, folders: Mapping[int, Path], numbers: Sequence[int]) -> Iterator[Tally]:
        """See `extraction.crews.base.Crew.make`."""
        folders = {index: folder.absolute() for index, folder in folders.items()}
        for tallies in self.workers.give(self._units(numbers), lambda maker, unit: maker.make.remote(folders, unit)):
            yield from tallies
        _wait_for_disk(folders, numbers)

    def _units(self, numbers: Sequence[int]) -> list[tuple[int, ...]]:
        """Group parts into units of work: several parts per unit, so that decoding runs ahead, and several units per actor, so
        that no actor is idle while others still have much to do."""
        step = max(1, min(_MOST_PARTS_AT_ONCE, len(numbers) // (4 * self.size)))
        return [tuple(numbers[start : start + step]) for start in range(0, len(numbers), step)]


def _wait_for_disk(folders: Mapping[int, Path], numbers: Sequence[int]) -> None:
    """Wait until this machine sees the files that other machines wrote.

    After 90 s this function returns even if files are missing; `assemble` then names the missing parts.
    """
    parts = [Parts.open(folder) for folder in folders.values()]
    patience = time.monotonic() + _DISK_DELAY_S
    while time.monotonic() < patience and not all(set(numbers).isdisjoint(each.missing()) for each in parts):
        time.sleep(1.0)
