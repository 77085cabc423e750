"""A cluster's machines through Ray: each makes parts on the disk that all share; where one dies, the others make its parts.

    ray start --head                      # on one machine; on the others: ray start --address=HEAD:6379
    python -m extraction.run ... --ray    # on any of them

Nothing travels through Ray but orders ("parts 12 to 15") and counts. Parts appear whole, under the same names as those of a run
without Ray or of a shard, so that either may continue what another began.
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
# A network disk may show a file to other machines this much later.
_DISK_DELAY_S = 90.0
_WORDS = Words(
    "an encoder", lambda parts: f"parts {parts[0]} to {parts[-1]}", "with smaller --block-clips or --batch-size"
)


class RayCrew:
    """A crew of Ray actors, started where the cluster has room for them; use as a context manager.

    Args:
      names, options, settings: as for `PartMaker`.
      size: how many actors; None: one per GPU of the cluster, or where it has none (or `--device cpu`), one per `--threads`
        CPUs (1 unless said otherwise). Those for which there is no room yet start when there is.

    Raises:
      UserError: Ray is not installed, or there is no cluster.
    """

    def __init__(
        self, names: Sequence[str], options: UpstreamOptions, settings: ExtractionSettings, size: int | None = None
    ):
        self._cluster = Cluster()
        threads = options.threads or 1
        on_gpus = self._cluster.gpus > 0 and not options.device.startswith("cpu")
        self.size = size or max(1, self._cluster.gpus if on_gpus else self._cluster.cpus // threads)
        # With a GPU, processes decode ahead; without, the core does everything in turn.
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
        """Parts to be ordered together: several, so that decoding runs ahead, yet enough units to keep everybody busy."""
        step = max(1, min(_MOST_PARTS_AT_ONCE, len(numbers) // (4 * self.size)))
        return [tuple(numbers[start : start + step]) for start in range(0, len(numbers), step)]


def _wait_for_disk(folders: Mapping[int, Path], numbers: Sequence[int]) -> None:
    """Until this machine sees what others wrote; what is missing after that is for the merge to name."""
    parts = [Parts.open(folder) for folder in folders.values()]
    patience = time.monotonic() + _DISK_DELAY_S
    while time.monotonic() < patience and not all(set(numbers).isdisjoint(each.missing()) for each in parts):
        time.sleep(1.0)
