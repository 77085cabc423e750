"""The paper's grid at its true sizes, as a folder of stores: 13 upstreams x 10 datasets, 1.7 million segments for each upstream.

    python -m benchmarks.paper_grid --out FOLDER

The embeddings are synthetic (benchmarks/tools/embeddings.py). The numbers of clips, classes and test classes are the published
ones, the dimensions are those of the upstreams, and docs/extraction.md derives the number of segments per clip from mean
durations. In float16, as on that page, the stores take 27 GB and some minutes; `--share 0.01` writes small stores. Stores that
exist are kept, so the same command continues after it was stopped.
"""

import argparse
import csv
import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.tools.embeddings import Look, Synthetic
from jfewshot.commandline import run_cli
from jfewshot.files import PARTIAL, remove_stale_partials
from jfewshot.store import ClipTable, write_store
from jfewshot.store.reading import MANIFEST, sample_stores

log = logging.getLogger(__name__)

# Segments of 5 s per clip, from docs/extraction.md.
_SEGMENTS_PER_CLIP = {
    "fsdkaggle18": 18_000 / 11_073,
    "voxceleb1": 330_000 / 153_516,
    "commonvoice": 380_000 / 256_243,
    "watkins": 3_000 / 1_698,
    "crema_d": 7_500 / 7_442,
    "saa": 13_000 / 2_060,
    "birdclef2020": 550_000 / 63_364,
}
_MOST_SEGMENTS = 36  # segments of the longest clip: 3 minutes
# Exponent of Zipf's law for the sizes of the classes; 0, for all other datasets, means classes of about equal size.
_INEQUALITY = {"saa": 1.0, "commonvoice": 1.0, "watkins": 0.5, "nsynth": 0.5}
_LEAST_CLIPS = 2  # one support, one query


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset's published counts."""

    name: str
    title: str
    n_clips: int
    n_classes: int
    n_test_classes: int

    def scaled(self, share: float) -> "Dataset":
        """The same dataset with fewer clips and the same number of classes."""
        return dataclasses.replace(self, n_clips=max(round(share * self.n_clips), _LEAST_CLIPS * self.n_classes))


def datasets() -> list[Dataset]:
    """The paper's ten datasets."""
    counts = ("clips", "classes", "classes_test")
    return [Dataset(row["name"], row["title"], *(int(row[name]) for name in counts)) for row in _facts("datasets")]


def upstreams() -> list[tuple[str, str, int]]:
    """Name, title and dimension of the paper's thirteen upstreams."""
    return [(row["name"], row["title"], int(row["dim"])) for row in _facts("upstreams")]


def clips_of(dataset: Dataset) -> tuple[ClipTable, np.ndarray]:
    """A dataset's clip table, and the class number of each clip in the order of the rows."""
    rng = np.random.default_rng([len(dataset.name), dataset.n_clips])
    weight = np.arange(1, dataset.n_classes + 1) ** -_INEQUALITY.get(dataset.name, 0.0)
    free = dataset.n_clips - _LEAST_CLIPS * dataset.n_classes
    sizes = _LEAST_CLIPS + rng.permutation(rng.multinomial(free, weight / weight.sum()))
    class_of_clip = np.repeat(np.arange(dataset.n_classes), sizes)
    mean = _SEGMENTS_PER_CLIP.get(dataset.name, 1.0)
    n_segments = np.minimum(rng.geometric(1 / mean, dataset.n_clips), _MOST_SEGMENTS)
    is_test = rng.permutation(dataset.n_classes) < dataset.n_test_classes
    number = np.concatenate([np.arange(size) for size in sizes])
    names = zip(class_of_clip.tolist(), number.tolist(), strict=True)
    table = ClipTable.build(
        [f"class_{name:04d}/clip_{clip:06d}.wav" for name, clip in names],
        [f"class {name:04d}" for name in class_of_clip.tolist()],
        split=np.where(is_test[class_of_clip], "test", "train"),
        n_segments=n_segments,
    )
    return table, class_of_clip


def write_grid(
    out: Path, share: float = 1.0, dtype: str = "float16", n_upstreams: int | None = None, n_datasets: int | None = None
) -> Iterator[Path]:
    """Write the stores that do not exist yet, as `out/<dataset>/<upstream>`.

    Args:
      out: the folder for the stores.
      share: share of each dataset's clips (0 to 1).
      dtype: type of the embeddings.
      n_upstreams, n_datasets: use only the first upstreams and datasets, this many; None for all.

    Yields:
      The folder of each store, also of those that existed before.
    """
    wanted = [dataset.scaled(share) for dataset in datasets()[:n_datasets]]
    for dataset in wanted:
        remove_stale_partials(out / dataset.name, older_than_s=0.0)
    # Write all datasets of one upstream before the next upstream, so that an unfinished grid is complete for fewer upstreams.
    tables: dict[str, tuple[ClipTable, np.ndarray]] = {}
    for number, (upstream, title, dim) in enumerate(upstreams()[:n_upstreams]):
        for dataset in wanted:
            path = out / dataset.name / upstream
            if not (path / MANIFEST).exists():
                if dataset.name not in tables:
                    tables[dataset.name] = clips_of(dataset)
                table, class_of_clip = tables[dataset.name]
                path.parent.mkdir(parents=True, exist_ok=True)
                view = path.parent / f".{upstream}.npy{PARTIAL}"
                # Encoders differ in the part of the embedding that is common to all clips, so each synthetic encoder gets another
                # one.
                look = Look(mean_cosine=0.95 - 0.02 * number)
                Synthetic(class_of_clip, table.n_segments, dim, seed=number, look=look).save(view, dtype)
                write_store(
                    path,
                    views={"last.mean": view},
                    clips=table,
                    dataset={"name": dataset.name, "title": dataset.title},
                    upstream={"name": upstream, "title": title},
                    preprocessing="none: synthetic embeddings, for timing",
                )
            yield path


def _facts(table: str) -> list[dict[str, str]]:
    path = sample_stores().parent / f"{table}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder for the stores")
    parser.add_argument("--share", type=float, default=1.0, help="share of each dataset's clips (0 to 1)")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for path in write_grid(options.out, options.share, options.dtype):
        log.info("%s", path)


if __name__ == "__main__":
    run_cli(main)
