"""Run several processes with encoders on one machine, each on its share of the cores.

One batch of a small encoder, above all a recurrent one, cannot use several cores at once. One process per core can.
"""

import concurrent.futures
import dataclasses
import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from extraction.crews.base import PartMaker
from extraction.decoding import end_with_parent
from extraction.progress import Tally
from extraction.settings import ExtractionSettings
from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from jfewshot.threads import cores

_maker: PartMaker | None = None


class Replicas:
    """A crew of processes on this machine, for use as a context manager.

    Each process decodes its own clips, between the batches of its encoders: with one process per core, no core is left for
    decoding ahead.

    Args:
      names, options, settings: as for `PartMaker`; if the options have no number of threads, the cores are divided.
      size: number of processes.
    """

    def __init__(self, names: Sequence[str], options: UpstreamOptions, settings: ExtractionSettings, size: int):
        if size < 1:
            raise UserError(f"replicas is {size}; it must be at least 1")
        self.size = size
        threads = options.threads or max(1, cores() // size)
        context = multiprocessing.get_context("spawn")
        self._pool = concurrent.futures.ProcessPoolExecutor(
            size,
            context,
            initializer=_start,
            initargs=(names, dataclasses.replace(options, threads=threads), dataclasses.replace(settings, workers=0)),
        )

    def __enter__(self) -> "Replicas":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def make(self, folders: Mapping[int, Path], numbers: Sequence[int]) -> Iterator[Tally]:
        """See `extraction.crews.base.Crew.make`."""
        futures = [self._pool.submit(_make, dict(folders), [number]) for number in numbers]
        try:
            for future in concurrent.futures.as_completed(futures):
                yield from future.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise UserError(
                "a process with an encoder died, probably because the memory is too small: each process loads its own encoders. "
                "Finished parts are kept: run again with fewer --replicas, or fewer encoders --at-once"
            ) from error
        finally:
            for future in futures:
                future.cancel()


def _start(names: Sequence[str], options: UpstreamOptions, settings: ExtractionSettings) -> None:
    global _maker
    # Ctrl-C ends this process at once and without a message; the parent process prints the message.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()
    _maker = PartMaker(names, options, settings)


def _make(folders: Mapping[int, Path], numbers: Sequence[int]) -> list[Tally]:
    assert _maker is not None  # made by `_start`
    return _maker.make(folders, numbers)
