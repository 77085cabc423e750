"""Makes batches ahead of the device. This module uses no JAX, so it can run in worker processes."""

from collections.abc import Callable, Iterator
from typing import TypeVar

Batch = TypeVar("Batch")


class _Steps:
    """A data source for grain; element i is the batch of step first + i."""

    def __init__(self, load: Callable[[int], Batch], first: int, last: int):
        self.load, self.first, self.last = load, first, last

    def __len__(self):
        return self.last - self.first

    def __getitem__(self, place):
        return self.load(self.first + int(place))


def batches_ahead(
    load: Callable[[int], Batch], first: int, last: int, threads: int = 4, workers: int = 0
) -> Iterator[Batch]:
    """Make the batches of steps first .. last - 1 in order, ahead of time on threads or in worker processes.

    Args:
      load: from a step's number to its batch; it must be picklable for worker processes.
      first: first step, counted from 0.
      last: the step after the last one.
      threads: number of batches that are made at a time; 0 makes each batch when it is needed.
      workers: number of worker processes; 0 for threads.

    Returns:
      an iterator over the batches.
    """
    if not workers and not threads:
        return map(load, range(first, last))
    import grain  # not needed where batches are in memory anyway

    dataset = grain.MapDataset.source(_Steps(load, first, last))
    if workers:
        _let_grain_read_its_flags()
        # Each worker takes every workers-th batch, one at a time; the order is kept.
        serial = dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
        return iter(serial.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)))
    return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)))


def _let_grain_read_its_flags() -> None:
    # grain 0.2.18 reads an absl flag when it starts workers, which fails in programs that are not absl apps (grain issue 1355).
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
