"""One dataset through one or more encoders: clips decoded once, finished blocks kept, each store whole at the end."""

import dataclasses
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from extraction.assembling import assemble, is_finished
from extraction.datasets.base import Dataset, Recording
from extraction.decoding import Decoded, Decoder
from extraction.encoding import BatchEncoder, EncodedBlock
from extraction.parts import Parts
from extraction.planning import find_recordings, make_plan
from extraction.progress import Reporter, Tally
from extraction.settings import Settings
from extraction.upstreams.base import Upstream
from jfewshot.errors import UserError
from jfewshot.files import remove_stale_partials, writable_folder

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Shard:
    """Share `index` of `count` (0-based) of an extraction's blocks."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From `i/n`, i from 0 to n - 1.

        Raises:
          UserError: if it is not that.
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isdigit() and count.isdigit() and int(index) < int(count)):
            raise UserError(f"shard '{text}' should be i/n with i from 0 to n-1: 0/4, 1/4, 2/4, 3/4")
        return cls(int(index), int(count))

    def owns(self, block: int) -> bool:
        """Whether this share makes that block."""
        return block % self.count == self.index


@dataclasses.dataclass(frozen=True)
class _Task:
    """One store under way."""

    parts: Parts
    encoder: BatchEncoder
    store: Path


def extract(
    dataset: Dataset,
    root: Path,
    upstreams: Sequence[Upstream],
    out: Path,
    settings: Settings | None = None,
    shard: Shard | None = None,
) -> Tally:
    """Make the stores `out/<dataset>/<upstream>` that are not there yet.

    A run that was killed is continued by calling this again: finished blocks are kept. With a shard, only its blocks
    are made, and `extraction.run --merge` (or `assemble`) makes the stores of them once all shards are done.

    Args:
      dataset, root: what to read, and the folder where it is.
      upstreams: loaded encoders; every clip is decoded once for all of them.
      out: the folder of stores.
      settings: how clips become rows.
      shard: which share of the work is this run's; None for all of it, and the stores at the end.

    Returns:
      What was done and how fast.

    Raises:
      UserError: with `on_error="stop"`, at the first clip that cannot be used; whenever settings and folders do not
        fit.
    """
    settings = settings or Settings()
    names = [upstream.name for upstream in upstreams]
    if len(set(names)) < len(names):
        raise UserError(f"two upstreams have one name, and so one store: {', '.join(names)}; name each of them once")
    recordings, left_out = find_recordings(dataset, root)
    remove_stale_partials(writable_folder(out / dataset.info.name, "stores"))
    tasks = []
    for upstream in upstreams:
        store = out / dataset.info.name / upstream.name
        parts = make_plan(dataset, recordings, left_out, upstream, settings, store)
        if is_finished(parts, store):
            logger.info("%s is there already", store)
            parts.remove()
            continue
        parts.begin()
        tasks.append(_Task(parts, _encoder(upstream, parts, settings), store))
    tally = _make_blocks(dataset.info.name, tasks, settings, shard or Shard())
    if shard is None:
        for task in tasks:
            assemble(task.parts, task.store)
    return tally


def _encoder(upstream: Upstream, parts: Parts, settings: Settings) -> BatchEncoder:
    plan = parts.plan
    return BatchEncoder(
        upstream, plan["layers"], plan["pooling"], plan["segment_samples"], settings.batch_size, plan["dtype"]
    )


def _make_blocks(title: str, tasks: list[_Task], settings: Settings, shard: Shard) -> Tally:
    missing = [set(filter(shard.owns, task.parts.missing())) for task in tasks]
    numbers = sorted(set().union(*missing))
    if not numbers:
        return Tally()
    blocks = [tasks[0].parts.block(number) for number in numbers]
    rates = [task.encoder.upstream.sample_rate for task in tasks]
    with (
        Reporter(title, sum(map(len, blocks))) as reporter,
        Decoder(rates, settings.n_workers) as decoder,
    ):
        stream = decoder.stream([recording.path for recording in block] for block in blocks)
        for number, clips, decoded in zip(numbers, blocks, stream, strict=True):
            encoding_s = 0.0
            for task, wanted in zip(tasks, missing, strict=True):
                if number in wanted:
                    started = time.monotonic()
                    encoded = _encode(task.encoder, decoded)
                    encoding_s += time.monotonic() - started
                    _report(clips, encoded, settings.on_error)
                    task.parts.write(number, encoded)
            reporter.advance(len(clips), sum(clip.duration_s for clip in decoded), encoding_s)
        tally = reporter.tally
    logger.info("%s: %s", title, tally.describe())
    return tally


def _encode(encoder: BatchEncoder, decoded: Sequence[Decoded]) -> EncodedBlock:
    encoded = encoder.encode_block([clip.waves.get(encoder.upstream.sample_rate) for clip in decoded])
    unreadable = {number: clip.reason for number, clip in enumerate(decoded) if clip.reason}
    return dataclasses.replace(encoded, reasons=dict(sorted({**encoded.reasons, **unreadable}.items())))


def _report(clips: Sequence[Recording], encoded: EncodedBlock, on_error: str) -> None:
    for number, reason in encoded.reasons.items():
        if on_error == "stop":
            raise UserError(
                f"clip {clips[number].path}: {reason}. Mend or remove it, "
                "or pass --on-error skip to leave such clips out; they will be listed"
            )
        logger.warning("left out %s: %s", clips[number].path, reason)
