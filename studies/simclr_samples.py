"""Evaluates readouts of Speech SimCLR encoders on the sample tasks, and compares them with FBANK, MFCC and untrained encoders.

    python -m studies.simclr_speech --out SPEECH/debian_speech --per-voice 40
    python -m studies.simclr_samples --audio AUDIO --statistics SPEECH/debian_speech --encoders NEW-0 NEW-1 NEW-2 \\
      --untrained RANDOM-0 --further OTHER-0 --out SAMPLES --json benchmarks/measured/simclr_samples.json

The readouts are those of studies.simclr_readouts, whitened by statistics of the recordings in --statistics. All rows of a task
are evaluated on the same episodes. Stores that exist are not made again.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from jaxtyping import Float

import jfewshot
from benchmarks.tools.measuring import write_json
from extraction.datasets import load_dataset
from extraction.pipeline import extract
from extraction.samples import sample_datasets
from extraction.settings import ExtractionSettings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from jfewshot.commandline import log_plainly
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.simclr.study.table import as_markdown, compared
from jfewshot.statistics.intervals import correct_from_predicted
from jfewshot.store import Store, open_store
from jfewshot.store.writing import write_store

OLD = "speech_simclr_small"
JOINED = "joined.mean_std"  # the view of readout C
READOUTS = {"A": "last.mean", "last": "last.mean_std", "B": "hidden.mean_std", "C": JOINED}
WHITENED = ("last", "B", "C")
SHOTS, WAYS, QUERIES = (1, 5), 5, 15


@dataclass(frozen=True)
class Samples:
    """Which encoders to evaluate, and the folders."""

    audio: Path
    """Folder of the recordings of the sample stores (docs/samples.md)."""
    statistics: Path
    """Folder of recordings by voice, whose embeddings give the statistics for whitening."""
    encoders: tuple[Path, ...]
    """Exported encoders of one recipe, one for each seed."""
    untrained: tuple[Path, ...]
    """The same encoders before training, in the same order."""
    out: Path
    """Folder for stores."""
    json: Path
    """File for the results."""
    further: tuple[Path, ...] = ()
    """Encoders of other recipes, each a row of its own."""
    episodes: int = 2000
    """Episodes of each task and number of shots."""


def make_stores(samples: Samples) -> None:
    """Extract all readouts of all encoders, for the sample tasks and for the recordings that give the statistics."""
    options = UpstreamOptions(threads=1)
    plain = [load_upstream(name, options) for name in ("fbank", "mfcc")]
    folders = (*samples.encoders, *samples.untrained, *samples.further)
    ours = [load_upstream(f"simclr:{name}", options) for name in (OLD, *map(str, folders))]
    found = {name: (dataset, samples.audio / folder) for name, (dataset, folder) in sample_datasets().items()}
    found["statistics"] = load_dataset(f"folder:{samples.statistics.name}"), samples.statistics
    for dataset, root in found.values():
        for upstreams, layers in ((plain, ("last",)), (ours, ("input", "hidden", "last"))):
            settings = ExtractionSettings(
                layers=layers, pooling=("mean", "mean_std"), dtype="float16", batch_size=8, workers=1
            )
            extract(dataset, root, upstreams, samples.out, settings)


def joined(store: Store) -> Store:
    """The store of readout C: mean and deviation of the filter bank and of the last layer, side by side.

    Args:
      store: a store with the views of the filter bank and of the last layer.
    """
    path = store.path.parents[1] / "joined" / store.dataset / store.upstream
    if (path / "manifest.json").exists():
        return open_store(path)
    views = {JOINED: np.hstack([store.view("input.mean_std"), store.view("last.mean_std")])}
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = store.manifest
    return write_store(
        path, views=views, clips=store.clips, dataset=facts["dataset"], upstream=facts["upstream"], default_view=JOINED
    )


def accuracies(store: Store, view: str, statistics: Store | None, episodes: int, evaluator: Evaluator):
    """Yield (shots, accuracy in each episode) of a view.

    Args:
      store: the store of a sample task.
      view: name of the view.
      statistics: store whose statistics whiten the embeddings; None for no whitening.
      episodes: number of episodes.
      evaluator: the evaluator, which all calls share.
    """
    records = jfewshot.evaluate(
        store,
        classifiers="logistic:C=1",
        ways=WAYS,
        shots=SHOTS,
        n_query=QUERIES,
        n_episodes=episodes,
        views=[view],
        preprocessing="l2" if statistics is None else "whiten_l2",
        statistics_from=statistics,
        evaluator=evaluator,
    )
    for record in records:
        yield record["identity"]["protocol"]["k_shot"], correct_from_predicted(record["predicted"], WAYS).mean(axis=1)


def wanted(samples: Samples) -> Iterator[tuple[str, str, str, str, bool]]:
    """Yield (row, upstream, readout, view, whitened) for everything that is compared."""
    for name in ("fbank", "mfcc"):
        yield f"{name} mean", name, "mean", "last.mean", False
        yield f"{name} mean, whitened", name, "mean_w", "last.mean", True
        yield f"{name} mean_std", name, "mean_std", "last.mean_std", False
        yield f"{name} mean_std, whitened", name, "mean_std_w", "last.mean_std", True
    groups = {
        "old": (OLD,),
        "new": tuple(path.name for path in samples.encoders),
        "untrained": tuple(path.name for path in samples.untrained),
    }
    for row, names in groups.items():
        for name in names:
            for readout, view in READOUTS.items():
                yield f"{row} {readout}", name, readout, view, readout in WHITENED
            yield f"{row} B, not whitened", name, "B_plain", READOUTS["B"], False
            yield f"{row} last, not whitened", name, "last_plain", READOUTS["last"], False
    for path in samples.further:
        for readout in ("B", "C"):
            yield f"{path.name} {readout}", path.name, readout, READOUTS[readout], True


def _rounded(value: Any) -> Any:
    """Round all numbers in a value to six decimals, which keeps the file small."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return round(value, 6) if isinstance(value, float) else value


def main() -> None:
    """Extract, evaluate, compare, and write the JSON."""
    samples = tyro.cli(Samples, description=__doc__)
    log_plainly()
    jax.config.update("jax_compilation_cache_dir", str((samples.out / "compiled").absolute()))
    make_stores(samples)
    evaluator = Evaluator()
    found: dict[tuple[str, int, str], Float[np.ndarray, " episodes"]] = {}
    rows: dict[str, list[str]] = {}
    for row, upstream, readout, view, whitened in wanted(samples):
        rows.setdefault(row, []).append(f"{upstream} {readout}")
        background = open_store(samples.out / samples.statistics.name / upstream) if whitened else None
        for dataset in sample_datasets():
            store = open_store(samples.out / dataset / upstream)
            statistics = background
            if view == JOINED:
                store, statistics = joined(store), joined(background) if background else None
            for shots, accuracy in accuracies(store, view, statistics, samples.episodes, evaluator):
                found[dataset, shots, f"{upstream} {readout}"] = accuracy
    references = [
        "mfcc mean", "fbank mean", "mfcc mean, whitened", "mfcc mean_std, whitened", "fbank mean_std, whitened",
        "untrained B", "untrained C", "untrained last", "old A", "old last", "old B", "old C",
    ]  # fmt: skip
    records = [_rounded(record) for record in compared(found, rows, references)]
    write_json(samples.json, {"episodes": samples.episodes, "records": records}, a_line_each=True)
    sys.stdout.write(as_markdown(records, references[:0]))


if __name__ == "__main__":
    main()
