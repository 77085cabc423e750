"""Several encoders' processes on one machine, each with its share of the cores.

Small encoders (recurrent ones above all) cannot keep several cores busy with one batch: one process per core can.
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
    """A crew of processes on this machine; use as a context manager.

    Each decodes for itself, between its encoders' batches: with a process per core there is no core left to decode ahead.

    Args:
      names, options, settings: as for `PartMaker`; without a number of threads, the cores are divided.
      size: how many.
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
                "an encoder's process died, most likely for want of memory: each has encoders of its own. Finished parts are "
                "kept: run again with fewer --replicas, or fewer encoders --at-once"
            ) from error
        finally:
            for future in futures:
                future.cancel()


def _start(names: Sequence[str], options: UpstreamOptions, settings: ExtractionSettings) -> None:
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ^C ends this process at once and without a word; the parent says one
    end_with_parent()
    _maker = PartMaker(names, options, settings)


def _make(folders: Mapping[int, Path], numbers: Sequence[int]) -> list[Tally]:
    assert _maker is not None  # made by `_start`
    return _maker.make(folders, numbers)
