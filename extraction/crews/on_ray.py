"""A cluster's machines through Ray: each makes parts on the disk that all share; where one dies, the others make its parts.

    ray start --head                      # on one machine; on the others: ray start --address=HEAD:6379
    python -m extraction.run ... --ray    # on any of them

Nothing travels through Ray but orders ("parts 12 to 15") and counts. Parts appear whole, under the same names as those of a run
without Ray or of a shard, so that either may continue what another began.
"""

import collections
import dataclasses
import importlib.util
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from extraction.crews.base import PartMaker
from extraction.parts import Parts
from extraction.progress import Tally
from extraction.settings import ExtractionSettings
from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError

logger = logging.getLogger(__name__)

# A part that ended this many makers is to blame itself, most likely by the memory it needs.
_ATTEMPTS = 4
_MOST_PARTS_AT_ONCE = 8
_REMIND_EVERY_S = 30.0
# A network disk may show a file to other machines this much later.
_DISK_DELAY_S = 90.0


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
        if importlib.util.find_spec("ray") is None:
            raise UserError("--ray needs the Python package ray, on every machine: pip install 'jfewshot[ray]'")
        import ray

        self._ray: Any = ray
        self._own_connection = not ray.is_initialized()
        if self._own_connection:
            address = os.environ.get("RAY_ADDRESS", "auto")
            try:
                _knock(address)
                ray.init(address=address, logging_level=logging.WARNING, namespace="jfewshot")
            except (OSError, RuntimeError, ValueError) as error:
                raise UserError(
                    f"no Ray cluster at '{address}' ({_first_line(error)}). On one machine `ray start --head`, on the others "
                    "`ray start --address=HEAD:6379`; run on one of them, or set RAY_ADDRESS"
                ) from error
        resources = ray.cluster_resources()
        cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
        threads = options.threads or 1
        on_gpus = gpus > 0 and not options.device.startswith("cpu")
        self.size = size or max(1, gpus if on_gpus else cpus // threads)
        # With a GPU, processes decode ahead; without, the core does everything in turn.
        workers = settings.n_workers if on_gpus else 0
        self._arguments = (
            tuple(names),
            dataclasses.replace(options, threads=options.threads if on_gpus else threads),
            dataclasses.replace(settings, workers=workers),
        )
        needs = {"num_gpus": 1, "num_cpus": 1 + workers} if on_gpus else {"num_cpus": threads}
        self._actor = self._ray.remote(max_restarts=0, **needs)(PartMaker)
        self._room = ", ".join(f"{number} {what[4:-1].upper()}" for what, number in needs.items())
        self._idle: list[Any] = []
        # What is under way: by Ray's reference to the answer, the actor and its parts (None while it loads its encoders).
        self._busy: dict[Any, tuple[Any, tuple[int, ...] | None]] = {}
        for _ in range(self.size):
            self._start_one()

    def __enter__(self) -> "RayCrew":
        return self

    def __exit__(self, *_: object) -> None:
        for actor in [*self._idle, *(actor for actor, _ in self._busy.values())]:
            self._ray.kill(actor)
        if self._own_connection:
            self._ray.shutdown()

    def make(self, folders: Mapping[int, Path], numbers: Sequence[int]) -> Iterator[Tally]:
        """See `extraction.crews.base.Crew.make`."""
        folders = {index: folder.absolute() for index, folder in folders.items()}
        units = collections.deque(self._units(numbers))
        attempts: collections.Counter[tuple[int, ...]] = collections.Counter()
        while units or any(unit for _, unit in self._busy.values()):
            while units and self._idle:
                actor, unit = self._idle.pop(), units.popleft()
                attempts[unit] += 1
                self._busy[actor.make.remote(folders, unit)] = (actor, unit)
            done, _ = self._ray.wait(list(self._busy), timeout=_REMIND_EVERY_S)
            if not done and not any(unit for _, unit in self._busy.values()):
                logger.info("waiting for the cluster to have room for an encoder (%s asked for)", self._room)
            for answer in done:
                actor, given = self._busy.pop(answer)
                try:
                    tallies = self._ray.get(answer)
                except self._ray.exceptions.RayTaskError as error:
                    # Raised by our own code there, where it would have been raised here.
                    raise error.cause from error
                except self._ray.exceptions.RayError as error:
                    self._replace(actor, given, error, attempts)
                    if given:
                        units.appendleft(given)
                    continue
                self._idle.append(actor)
                yield from tallies or ()
        _wait_for_disk(folders, numbers)

    def _units(self, numbers: Sequence[int]) -> list[tuple[int, ...]]:
        """Parts to be ordered together: several, so that decoding runs ahead, yet enough units to keep everybody busy."""
        step = max(1, min(_MOST_PARTS_AT_ONCE, len(numbers) // (4 * self.size)))
        return [tuple(numbers[start : start + step]) for start in range(0, len(numbers), step)]

    def _start_one(self) -> None:
        actor = self._actor.remote(*self._arguments)
        self._busy[actor.load.remote()] = (actor, None)

    def _replace(self, actor: Any, unit: tuple[int, ...] | None, error: Exception, attempts: Mapping) -> None:
        if unit and attempts[unit] >= _ATTEMPTS:
            raise UserError(
                f"parts {unit[0]} to {unit[-1]} ended {_ATTEMPTS} processes ({_first_line(error)}), most likely for want of "
                "memory. What was finished is kept: run again with smaller --block-clips or --batch-size"
            ) from error
        what = f"parts {unit[0]} to {unit[-1]} go to another" if unit else "it was still loading"
        logger.warning("a process of the cluster is gone (%s); %s", _first_line(error), what)
        self._ray.kill(actor)
        self._start_one()


def _knock(address: str) -> None:
    """Ray itself tries for eight minutes to reach an address at which nobody answers.

    Raises:
      OSError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


def _wait_for_disk(folders: Mapping[int, Path], numbers: Sequence[int]) -> None:
    """Until this machine sees what others wrote; what is missing after that is for the merge to name."""
    parts = [Parts.open(folder) for folder in folders.values()]
    patience = time.monotonic() + _DISK_DELAY_S
    while time.monotonic() < patience and not all(set(numbers).isdisjoint(each.missing()) for each in parts):
        time.sleep(1.0)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
