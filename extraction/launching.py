"""Run an extraction: load as many encoders as fit in memory, and extract each dataset with them."""

import contextlib
import dataclasses
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

from extraction.allocator import keep_freed_memory
from extraction.alterations import Alteration, AlteredDataset
from extraction.assembling import merge_all
from extraction.crews.base import Crew
from extraction.crews.on_ray import RayCrew
from extraction.crews.replicas import Replicas
from extraction.datasets import dataset_names, load_dataset
from extraction.datasets.base import Dataset
from extraction.datasets.layout import folder_of
from extraction.encoding import is_out_of_memory
from extraction.noises import NoiseFiles
from extraction.options import ExtractOptions
from extraction.pipeline import extract
from extraction.upstreams import check_upstream_names, load_upstream, upstream_names
from extraction.upstreams.base import Upstream, UpstreamOptions
from extraction.upstreams.self_check import change_by_autocast, self_check
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.sharding import Shard

logger = logging.getLogger(__name__)


def launch(run: ExtractOptions) -> None:
    """Make the stores that the options request.

    Args:
      run: the options of the command.

    Raises:
      UserError: if a name is unknown (before any encoder is loaded), or if loading or extracting fails.
    """
    if run.merge:
        merge_all(run.out, run.replace)
        logger.info("wrote %s; next: jfewshot run --stores %s", run.out, shlex.quote(str(run.out)))
        return
    datasets = dataset_names(_split(run.datasets, "datasets"))
    upstreams = upstream_names(_split(run.upstreams, "upstreams"))
    check_upstream_names(upstreams)
    options = run.options.for_upstreams(upstreams)
    found = [load_dataset(name, run.columns) for name in datasets]
    roots = [_root_of(dataset, run.root, alone=len(found) == 1) for dataset in found]
    shard = Shard.parse(run.shard) if run.shard else None
    alterations = [Alteration.parse(text) for text in dict.fromkeys(run.alter)] or [None]
    noises = _noises(run.noise_from, alterations)
    keep_freed_memory()
    said: set[str] = set()
    while upstreams:
        loaded = _load_some(upstreams[: run.at_once or None], options)
        names, upstreams = upstreams[: len(loaded)], upstreams[len(loaded) :]
        with _crew(run, options, names) as crew:
            for dataset, root in zip(found, roots, strict=True):
                for alteration in alterations:
                    wanted = dataset
                    if alteration is not None:
                        wanted = AlteredDataset(dataset, alteration, noises if alteration.kind == "noise" else None)
                    extract(
                        wanted,
                        root.absolute(),
                        loaded,
                        run.out.absolute(),
                        run.settings,
                        shard,
                        crew,
                        said,
                        run.replace,
                    )
        loaded.clear()  # free the memory before the next encoders are loaded
    out = shlex.quote(str(run.out))
    if shard is None:
        logger.info("wrote %s; next: jfewshot run --stores %s", run.out, out)
    else:
        logger.info("this share is finished; next, after all shares: jfewshot extract --merge --out %s", out)


def _noises(path: Path | None, alterations: Sequence[Alteration | None]) -> NoiseFiles | None:
    if path is None:
        return None
    if not any(alteration is not None and alteration.kind == "noise" for alteration in alterations):
        raise UserError("--noise-from names the noise that --alter noise:DB adds; add for instance --alter noise:10")
    with Progress(f"reading the noises of {path}"):
        return NoiseFiles.find(path)


def _crew(
    run: ExtractOptions, options: UpstreamOptions, names: Sequence[str]
) -> contextlib.AbstractContextManager[Crew | None]:
    if run.ray:
        return RayCrew(names, options, run.settings, run.replicas)
    if run.replicas is not None:
        return Replicas(names, options, run.settings, run.replicas)
    return contextlib.nullcontext()


def _load_some(names: Sequence[str], options: UpstreamOptions) -> list[Upstream]:
    """Load the first encoders, as many as fit in memory; at least one."""
    loaded: list[Upstream] = []
    for name in names:
        try:
            with Progress(f"loading {name}"):
                loaded.append(_load_checked(name, options))
        except Exception as error:
            if not loaded or not is_out_of_memory(error):
                raise
            logger.warning("no memory for %s together with %d other encoders: it runs after them", name, len(loaded))
            break
    return loaded


def _load_checked(name: str, options: UpstreamOptions) -> Upstream:
    """Load an encoder, and check it with a second of sound before hours of work."""
    upstream = load_upstream(name, options)
    seen = self_check(upstream)
    frames, dim = seen.shapes[upstream.layers[-1]]
    logger.info("%s: %d frames x %d in a second of sound, %s", upstream.name, frames, dim, upstream.revision)
    if options.autocast != "none":
        moved = change_by_autocast(upstream, load_upstream(name, dataclasses.replace(options, autocast="none")))
        logger.info(
            "%s: in %s the mean of a second of sound moves by up to %.1e of its norm",
            upstream.name,
            options.autocast,
            moved,
        )
    return upstream


def _split(names: Sequence[str], what: str) -> list[str]:
    """Split `a,b c` into a, b, c."""
    split = [name for text in names for name in text.split(",") if name]
    if not split:
        raise UserError(f"no {what}: give --{what} NAME[,NAME...]; --help lists the possible names")
    return split


def _root_of(dataset: Dataset, root: Path, *, alone: bool) -> Path:
    folder = folder_of(dataset, root, alone=alone)
    if folder is None:
        below = root / dataset.info.name
        raise UserError(f"{below} is not a folder: with several datasets, each must be in ROOT/<name>")
    return folder
