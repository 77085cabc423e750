"""Decodes utterances ahead of the device. It computes with NumPy only, so it can run in worker processes."""

import functools
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float32

from jfewshot.audio import AudioError
from jfewshot.errors import UserError
from jfewshot.simclr.data.batches import Batch, BatchPlan
from jfewshot.simclr.data.cache import WaveCache
from jfewshot.simclr.data.manifest import Utterance
from jfewshot.training.loading import batches_ahead

# If this many files in a row cannot be read, the disk is the problem and not a single file.
_MOST_TRIES = 20


def load_batch(
    plan: BatchPlan,
    step: int,
    speakers: Mapping[str, int],
    share: tuple[int, int] = (0, 1),
    cache: WaveCache | None = None,
) -> Batch:
    """Decode the utterances of one step. A file that cannot be decoded is logged once and replaced by another.

    Args:
      plan: decides which utterances a step has.
      step: number of the step, counted from 0.
      speakers: from a speaker's name to the row of that speaker's statistics; empty with global statistics.
      share: number of this process and number of processes; each process loads one contiguous part of the rows.
      cache: reads the files and keeps decoded waves; None decodes every file again.

    Returns:
      the waves, lengths, rows and speakers of this process's part of the batch, as NumPy arrays.

    Raises:
      UserError: if a file and `_MOST_TRIES` substitutes cannot be decoded.
    """
    size, members = plan.step(step)
    cache = WaveCache(plan.sample_rate, 0) if cache is None else cache
    part, parts = share
    rows = np.arange(plan.batch).reshape(parts, -1)[part]
    waves = np.zeros((len(rows), plan.pieces, size), np.float32)
    lengths = np.zeros((len(rows), plan.pieces), np.int32)
    numbers = np.zeros(len(rows), np.int32)
    for place, row in enumerate(rows):
        utterance, wave = _readable(plan, step, int(row), int(members[row]), cache)
        for number in range(plan.pieces):
            start = plan.crop_start(step, int(row), len(wave), number)
            # A file may have a few samples more than its header says; the bucket has no room for more.
            piece = wave[start : start + size]
            waves[place, number, : len(piece)] = piece
            lengths[place, number] = len(piece)
        numbers[place] = speakers.get(utterance.speaker, 0)
    if plan.pieces == 1:
        waves, lengths = waves[:, 0], lengths[:, 0]
    return Batch(waves, lengths, rows.astype(np.int32), numbers)


def _readable(
    plan: BatchPlan, step: int, row: int, index: int, cache: WaveCache
) -> tuple[Utterance, Float32[np.ndarray, " samples"]]:
    """The utterance of a row; if its file cannot be decoded, one of similar length, drawn by seed, step and row."""
    chosen = plan.utterances[index]
    reason = ""
    others = None
    for _ in range(_MOST_TRIES):
        try:
            return chosen, cache.read(chosen.path)
        except AudioError as error:
            reason = str(error)
            cache.note_unusable(chosen.path, reason)
        if others is None:
            others = plan.substitutes(step, row, index)
        following = next(others, None)
        if following is None:
            break
        chosen = plan.utterances[following]
    raise UserError(
        f"step {step + 1}: too many files cannot be read; the last one: {reason}. Is the disk with the speech there? The same "
        "command continues the run"
    )


def batches_from(
    plan: BatchPlan,
    first: int,
    last: int,
    speakers: Mapping[str, int],
    share: tuple[int, int] = (0, 1),
    threads: int = 4,
    workers: int = 0,
    cache_bytes: int = 0,
) -> Iterator[Batch]:
    """Yield the batches of consecutive steps in order, decoded ahead on threads or in worker processes.

    Args:
      plan: decides which utterances a step has.
      first: first step, counted from 0.
      last: the step after the last one.
      speakers: from a speaker's name to the row of that speaker's statistics; empty with global statistics.
      share: number of this process and number of processes; each process loads one contiguous part of the rows.
      threads: number of batches that are decoded at a time; 0 decodes each batch when it is needed.
      workers: number of worker processes; 0 for threads.
      cache_bytes: memory in bytes for decoded waves, divided among the workers.

    Returns:
      an iterator over the batches.
    """
    cache = WaveCache(plan.sample_rate, cache_bytes // max(workers, 1))
    return batches_ahead(functools.partial(_load, plan, speakers, share, cache), first, last, threads, workers)


def _load(plan: BatchPlan, speakers: Mapping[str, int], share: tuple[int, int], cache: WaveCache, step: int) -> Batch:
    return load_batch(plan, step, speakers, share, cache)
