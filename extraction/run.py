"""The command line: datasets and upstreams in, embedding stores out.

    python -m extraction.run --datasets esc50 --upstreams hubert_base,wavlm_base --root DATA --out stores

Killed or interrupted, the same command continues. docs/extraction.md is the whole story.
"""

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.logging import RichHandler

from extraction.allocator import keep_freed_memory
from extraction.assembling import merge_all
from extraction.crews.base import Crew
from extraction.crews.on_ray import RayCrew
from extraction.crews.replicas import Replicas
from extraction.datasets import dataset_names, load_dataset
from extraction.datasets.base import Columns, Dataset
from extraction.encoding import is_out_of_memory
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings
from extraction.upstreams import load_upstream, upstream_names
from extraction.upstreams.base import Upstream, UpstreamOptions
from extraction.upstreams.self_check import change_by_autocast, self_check
from jfewshot.commandline import log_plainly, run_cli
from jfewshot.errors import UserError
from jfewshot.sharding import Shard

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ExtractionRun:
    """Extract embeddings: every dataset through every upstream, each into a store OUT/<dataset>/<upstream>.

    Each clip is decoded once for all upstreams. Finished parts are kept: after a kill, the same command goes on from
    there.
    """

    datasets: tuple[str, ...] = ()
    """Names (esc50,scv2,...), folder:NAME for class folders, table:PATH for a CSV or Parquet file, hf:FOLDER for what `datasets`
    saved to disk, a dataset of yours (module:factory); paper: its ten."""
    upstreams: tuple[str, ...] = ()
    """Names (hubert_base,apc_960hr,...), one of a family (s3prl:NAME), a class of yours (module:Class); paper: its 13."""
    root: Path = Path("data")
    """Folder that holds the datasets, each in ROOT/<name>; or, for a single dataset, that dataset's own folder."""
    out: Path = Path("stores")
    """Folder of stores."""
    settings: tyro.conf.OmitArgPrefixes[ExtractionSettings] = dataclasses.field(default_factory=ExtractionSettings)
    options: tyro.conf.OmitArgPrefixes[UpstreamOptions] = dataclasses.field(default_factory=UpstreamOptions)
    columns: Annotated[Columns, tyro.conf.arg(name="column")] = dataclasses.field(default_factory=Columns)
    at_once: int = 0
    """Upstreams held in memory at a time, decoding once for these; 0: as many as it holds."""
    shard: str | None = None
    """`i/n`: make only share i (0 to n-1) of the parts, as one of a cluster's array of jobs; then --merge."""
    replicas: int | None = None
    """Processes that each hold the encoders, with their share of this machine's cores; None: only this one. With --ray, over
    the whole cluster; None: one per GPU, or else one per --threads CPUs (1 unless given)."""
    ray: bool = False
    """Share the parts out over a Ray cluster with a common disk; parts of machines that die are made by the others."""
    merge: bool = False
    """Make stores of the parts that shards left in OUT; needs neither audio nor encoders. Says what is missing."""


def main(arguments: list[str] | None = None) -> int:
    """Parse, then extract or merge."""
    run = tyro.cli(ExtractionRun, prog="python -m extraction.run", args=arguments)
    _log_to_stderr()
    if run.merge:
        merge_all(run.out)
        return 0
    datasets = dataset_names(_split(run.datasets, "datasets"))
    upstreams = upstream_names(_split(run.upstreams, "upstreams"))
    checkpoint = run.options.checkpoint
    if checkpoint is not None and len(upstreams) > 1 and not checkpoint.is_dir():
        raise UserError(
            "--checkpoint FILE is one encoder's weights: give one upstream, and run once for each; or a folder in which each "
            "encoder's file has its name (hubert_base.pt)"
        )
    found = [load_dataset(name, run.columns) for name in datasets]
    roots = [_root_of(dataset, run.root, alone=len(found) == 1) for dataset in found]
    shard = Shard.parse(run.shard) if run.shard else None
    keep_freed_memory()
    while upstreams:
        loaded = _load_some(upstreams[: run.at_once or None], run.options)
        names, upstreams = upstreams[: len(loaded)], upstreams[len(loaded) :]
        with _crew(run, names) as crew:
            for dataset, root in zip(found, roots, strict=True):
                extract(dataset, root.absolute(), loaded, run.out.absolute(), run.settings, shard, crew)
        loaded.clear()  # before the next are loaded
    return 0


def _crew(run: ExtractionRun, names: Sequence[str]) -> contextlib.AbstractContextManager[Crew | None]:
    if run.ray:
        return RayCrew(names, run.options, run.settings, run.replicas)
    if run.replicas is not None:
        return Replicas(names, run.options, run.settings, run.replicas)
    return contextlib.nullcontext()


def _load_some(names: Sequence[str], options: UpstreamOptions) -> list[Upstream]:
    """The first of the encoders, as many as fit in memory; at least one."""
    loaded: list[Upstream] = []
    for name in names:
        try:
            loaded.append(_load_checked(name, options))
        except Exception as error:
            if not loaded or not is_out_of_memory(error):
                raise
            logger.warning("no memory for %s beside %d others: it comes after them", name, len(loaded))
            break
    return loaded


def _load_checked(name: str, options: UpstreamOptions) -> Upstream:
    """Load an encoder, and run a second of sound through it before hours of work."""
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
    """`a,b c` -> a, b, c."""
    split = [name for text in names for name in text.split(",") if name]
    if not split:
        raise UserError(f"no {what}: give --{what} NAME[,NAME...]; --help lists how")
    return split


def _root_of(dataset: Dataset, root: Path, *, alone: bool) -> Path:
    if hasattr(dataset, "folder"):
        return dataset.folder  # an `hf:` dataset says where it is
    below = root / dataset.info.name
    if below.is_dir():
        return below
    if alone:
        return root
    raise UserError(f"{below} is not a folder: with several datasets, each is looked for in ROOT/<name>")


def _log_to_stderr() -> None:
    # Through rich, so that lines do not tear the progress bar.
    rich = RichHandler(console=Console(stderr=True), show_path=False, show_time=False, show_level=False)
    log_plainly(handler=rich if sys.stderr.isatty() else None)


if __name__ == "__main__":
    run_cli(main)
