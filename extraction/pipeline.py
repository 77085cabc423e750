"""Extract one dataset with one or more encoders: clips are decoded once, and finished blocks are kept."""

import logging
from collections.abc import Sequence
from pathlib import Path

from extraction.alterations import noises_of
from extraction.assembling import assemble, is_finished
from extraction.crews.base import Crew
from extraction.datasets.base import Dataset
from extraction.decoding import Decoder
from extraction.making import Task, make_parts
from extraction.planning import find_recordings, make_plan
from extraction.progress import Reporter, Tally
from extraction.settings import ExtractionSettings
from extraction.upstreams.base import Upstream
from jfewshot.errors import UserError
from jfewshot.files import remove_stale_partials, writable_folder
from jfewshot.sharding import Shard

logger = logging.getLogger(__name__)


def extract(
    dataset: Dataset,
    root: Path,
    upstreams: Sequence[Upstream],
    out: Path,
    settings: ExtractionSettings | None = None,
    shard: Shard | None = None,
    crew: Crew | None = None,
    said: set[str] | None = None,
    replace: bool = False,
) -> Tally:
    """Make the missing stores `out/<dataset>/<upstream>`.

    To continue a run that was killed, call this again: finished blocks are kept. With a shard, only its blocks are made.
    After all shards are done, `extraction.run --merge` (or `assemble`) makes the stores from the blocks.

    Args:
      dataset: the dataset.
      root: the dataset's folder.
      upstreams: loaded encoders; every clip is decoded once for all of them.
      out: the folder of stores.
      settings: settings of the extraction.
      shard: the share of the work for this run; None for all of it, and for making the stores at the end.
      crew: processes that do the work, which have loaded these upstreams in this order; None if this process does it.
      said: warnings that were given before, for other encoders of this dataset; they are not repeated, and new ones are
          added.
      replace: replace stores that were made of other clips or with other settings.

    Returns:
      a tally of the work of this run.

    Raises:
      UserError: with `on_error="stop"`, at the first clip that cannot be used; and if settings and folders do not fit together.
    """
    settings = settings or ExtractionSettings()
    names = [upstream.name for upstream in upstreams]
    if len(set(names)) < len(names):
        raise UserError(f"two upstreams have one name, and so one store: {', '.join(names)}; name each of them once")
    said = set() if said is None else said
    recordings, left_out = find_recordings(dataset, root, said, settings)
    remove_stale_partials(writable_folder(out / dataset.info.name, "stores"))
    tasks: dict[int, Task] = {}
    stores, noises = {}, noises_of(dataset)
    for index, upstream in enumerate(upstreams):
        store = out / dataset.info.name / upstream.name
        parts = make_plan(dataset, recordings, left_out, upstream, settings, store)
        if is_finished(parts, store, replace):
            logger.info("%s is there already", store)
            parts.remove()
            continue
        parts.begin()
        if noises is not None:
            noises.write(parts.folder)
        tasks[index], stores[index] = Task.of(parts, upstream, settings), store
    tally = _make_missing(dataset.info.name, tasks, settings, shard or Shard(), crew, said)
    if shard is None:
        for index, task in tasks.items():
            assemble(task.parts, stores[index], replace)
    return tally


def _make_missing(
    title: str, tasks: dict[int, Task], settings: ExtractionSettings, shard: Shard, crew: Crew | None, said: set[str]
) -> Tally:
    missing = set().union(*(task.parts.missing() for task in tasks.values()))
    numbers = sorted(filter(shard.owns, missing))
    if not numbers:
        return Tally()
    parts = next(iter(tasks.values())).parts
    n_clips = sum(len(parts.block(number)) for number in numbers)
    with Reporter(title, n_clips, crew.size if crew else 1, said) as reporter:
        if crew:
            for done in crew.make({index: task.parts.folder for index, task in tasks.items()}, numbers):
                reporter.advance(done)
        else:
            rates = [task.encoder.upstream.sample_rate for task in tasks.values()]
            with Decoder(rates, settings.n_workers) as decoder:
                for done in make_parts([*tasks.values()], numbers, decoder, settings.on_error):
                    reporter.advance(done)
        tally = reporter.tally
    logger.info("%s: %s", title, tally.describe())
    return tally
