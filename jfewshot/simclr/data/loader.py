"""Decoding, ahead of the device. NumPy only: it may run in other processes."""

from collections.abc import Iterator, Mapping

import grain
import numpy as np

from jfewshot.audio import read_audio
from jfewshot.simclr.data.batches import Batch, BatchPlan


def load_batch(plan: BatchPlan, step: int, speakers: Mapping[str, int], share: tuple[int, int] = (0, 1)) -> Batch:
    """Decode one step's utterances.

    Args:
      plan: which they are.
      step: counted from 0.
      speakers: number of each speaker's statistics; empty with global ones.
      share: (this process, of how many): which contiguous part of the rows to load.

    Raises:
      AudioError: naming a file that cannot be decoded after all.
    """
    size, members = plan.step(step)
    part, parts = share
    rows = np.arange(plan.batch).reshape(parts, -1)[part]
    waves = np.zeros((len(rows), size), np.float32)
    lengths, numbers = np.zeros((2, len(rows)), np.int32)
    for place, row in enumerate(rows):
        utterance = plan.utterances[members[row]]
        wave = read_audio(utterance.path, plan.sample_rate)
        start = plan.crop_start(step, int(row), len(wave))
        # A header may promise a few samples fewer than there are: never more than the bucket holds.
        piece = wave[start : start + size]
        waves[place, : len(piece)] = piece
        lengths[place], numbers[place] = len(piece), speakers.get(utterance.speaker, 0)
    return Batch(waves, lengths, rows.astype(np.int32), numbers)


class _Steps:
    """Steps as grain's data source: element i is the batch of step first + i."""

    def __init__(self, plan, first, last, speakers, share):
        self.arguments, self.first, self.last = (plan, speakers, share), first, last

    def __len__(self):
        return self.last - self.first

    def __getitem__(self, place):
        plan, speakers, share = self.arguments
        return load_batch(plan, self.first + int(place), speakers, share)


def batches_from(
    plan: BatchPlan,
    first: int,
    last: int,
    speakers: Mapping[str, int],
    share: tuple[int, int] = (0, 1),
    threads: int = 4,
    workers: int = 0,
) -> Iterator[Batch]:
    """Batches of steps first .. last - 1, in order, decoded ahead on threads or in worker processes."""
    dataset = grain.MapDataset.source(_Steps(plan, first, last, speakers, share))
    if workers:
        # Each worker takes every workers-th batch, one at a time; the order is kept.
        serial = dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
        return iter(serial.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)))
    return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)))
