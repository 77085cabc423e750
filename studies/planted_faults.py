"""Do the diagnostics of embeddings find planted copies and planted wrong labels? (docs/diagnostics.md)

    python -m studies.planted_faults --audio AUDIO --out STORES --json benchmarks/measured/planted_faults.json

AUDIO holds the recordings of the sample stores (docs/samples.md). In each of three datasets 60 clips are copied. There are three
kinds of copies: with noise at 20 dB (`noise`); rotated by 0.5 s, so that the first half second comes at the end (`later`); and
with 0.5 s of silence before the clip (`silence`; a clip of 2 s or more keeps its length and loses its end). Half of the copies
get another group, and the other half another class. Each kind is planted alone, and searched for by each sample encoder alone and
by all eight encoders.

Then 5% of the labels of the sample stores are replaced by labels of other classes, in five repetitions. The study takes about 6
minutes on two cores, nearly all of it in the encoders. Extracted stores are kept. `--only labels` needs neither audio nor
encoders, and takes a minute.
"""

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tools.measuring import write_json
from extraction.alterations import Alteration
from extraction.datasets.base import DatasetInfo, Recording
from extraction.pipeline import extract
from extraction.samples import UPSTREAMS, sample_datasets
from extraction.settings import ExtractionSettings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from jfewshot._version import made_with
from jfewshot.audio import decode
from jfewshot.store import ClipTable, Store, find_stores, open_store, write_store
from jfewshot.store.diagnostics.diagnosing import Diagnosis, diagnose_stores
from jfewshot.store.reading import sample_stores

DATASETS = ("esc10", "fsdd_digits", "arabic_commands")
KINDS = ("noise", "later", "silence")
COPIES = 60
SEED = 1
SHARE_WRONG = 0.05
REPETITIONS = 5


@dataclasses.dataclass(frozen=True)
class Copies:
    """A dataset of altered copies. The id of a copy is `KIND/` followed by the id of the original clip."""

    info: DatasetInfo
    found: tuple[Recording, ...]

    def recordings(self, root: Path) -> list[Recording]:
        """The recordings of the copies."""
        return list(self.found)


def altered(kind: str, wave: np.ndarray, rate: int, clip_id: str) -> np.ndarray:
    """An altered copy of a clip.

    Args:
      kind: one of `KINDS`.
      wave: mono samples.
      rate: sample rate in Hz.
      clip_id: id of the clip, which is the seed of the noise.

    Returns:
      the samples of the copy.
    """
    if kind == "noise":
        return Alteration("noise", 20.0)(wave, rate, clip_id)
    if kind == "later":
        return np.roll(wave, -(rate // 2))
    longer = np.concatenate([np.zeros(rate // 2, np.float32), wave])
    return longer[: len(wave)] if len(wave) >= 2 * rate else longer


def extract_copies(
    name: str, audio: Path, out: Path, upstreams: Sequence[str], kinds: Sequence[str], most: int
) -> None:
    """Write altered copies of some clips of a sample dataset, and extract them.

    Args:
      name: name of the dataset.
      audio: folder of the recordings.
      out: folder to write to: the copies go to its folder `audio`, and the stores to its folder `stores`.
      upstreams: names of the encoders.
      kinds: kinds of the copies.
      most: number of clips to copy.
    """
    import soundfile

    dataset, folder = sample_datasets()[name]
    recordings = dataset.recordings(audio / folder)
    place = out / "audio" / name
    found = []
    for at in np.random.default_rng(SEED).permutation(len(recordings))[:most]:
        original = recordings[at]
        wave, rate = decode(original.path)
        for kind in kinds:
            clip_id = f"{kind}/{original.clip_id}"
            path = (place / clip_id).with_suffix(".wav")
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, altered(kind, wave, rate, original.clip_id), rate, subtype="FLOAT")
            found.append(Recording(clip_id, path, original.label, original.group))
    loaded = [load_upstream(one, UpstreamOptions(threads=1)) for one in upstreams]
    settings = ExtractionSettings(dtype="float16", batch_size=8, workers=0)
    extract(Copies(dataset.info, tuple(found)), place, loaded, out / "stores", settings)


def with_copies(original: Store, copies: Store, kind: str, place: Path) -> Store:
    """Write a store of all clips together with copies of one kind.

    Every second copy gets another class, and the others get another group.

    Args:
      original: the store of all clips.
      copies: the store of the copies of all kinds.
      kind: kind of the copies to add.
      place: folder of the new store.

    Returns:
      the new store. The id of a copy is `copy/` followed by the id of its original.
    """
    rng = np.random.default_rng(SEED)
    clips, view = original.clips, original.default_view
    row = {clip: number for number, clip in enumerate(clips.clip_id.tolist())}
    chosen = np.flatnonzero(np.char.startswith(copies.clips.clip_id, f"{kind}/"))
    ids = [clip.removeprefix(f"{kind}/") for clip in copies.clips.clip_id[chosen].tolist()]
    classes, groups = np.unique(clips.class_name), np.unique(clips.group)
    labels, of_group = [], []
    for number, clip in enumerate(ids):
        label, group = str(clips.class_name[row[clip]]), str(clips.group[row[clip]])
        labels.append(str(rng.choice(classes[classes != label])) if number % 2 else label)
        of_group.append(group if number % 2 else str(rng.choice(groups[groups != group])))
    mine, theirs = clips.rows(np.arange(len(clips)))[0], copies.clips.rows(chosen)[0]
    table = ClipTable.build(
        [*clips.clip_id.tolist(), *(f"copy/{clip}" for clip in ids)],
        [*clips.class_name.tolist(), *labels],
        [*clips.group.tolist(), *of_group],
        n_segments=[*clips.n_segments.tolist(), *copies.clips.n_segments[chosen].tolist()],
    )
    rows = np.concatenate([original.view(view)[mine], copies.view(view)[theirs]])
    return _written(place, original, rows, table)


def with_wrong_labels(original: Store, seed: int, place: Path) -> tuple[Store, set[str]]:
    """Write a store in which 5% of the labels are replaced by labels of other classes, all equally likely.

    Args:
      original: the store.
      seed: seed of the choice of labels, which is the same for every encoder.
      place: folder of the new store.

    Returns:
      the store, and the ids of the clips with wrong labels.
    """
    clips = original.clips
    names, labels = np.unique(clips.class_name, return_inverse=True)
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(len(clips))[: round(SHARE_WRONG * len(clips))]
    labels[wrong] = (labels[wrong] + rng.integers(1, len(names), len(wrong))) % len(names)
    table = ClipTable.build(
        clips.clip_id.tolist(), names[labels].tolist(), clips.group.tolist(), n_segments=clips.n_segments.tolist()
    )
    rows = original.view(original.default_view)[clips.rows(np.arange(len(clips)))[0]]
    return _written(place, original, rows, table), set(clips.clip_id[wrong].tolist())


def found_copies(diagnosis: Diagnosis, n_copies: int) -> dict[str, Any]:
    """Precision and recall of the reported pairs of copies.

    Args:
      diagnosis: the diagnosis of a store with copies.
      n_copies: number of copies in the store.

    Returns:
      precision, for which every pair of two original clips counts as wrong; recall; and precision among the pairs with a copy.
    """
    pairs = [sorted((pair.first.clip_id, pair.second.clip_id), key=len) for pair in diagnosis.near_copies]
    right = sum(longer == f"copy/{shorter}" for shorter, longer in pairs)
    with_copy = sum(any(clip.startswith("copy/") for clip in pair) for pair in pairs)
    return {
        "precision": _share(right, len(pairs)),
        "recall": _share(right, n_copies),
        "precision_with_copy": _share(right, with_copy),
        "pairs": len(pairs),
    }


def found_labels(diagnosis: Diagnosis, wrong: set[str]) -> dict[str, Any]:
    """How many labels were reported, and how many of the reported labels are wrong.

    Args:
      diagnosis: the diagnosis of stores with wrong labels.
      wrong: ids of the clips with wrong labels.

    Returns:
      the two numbers, and the encoders of the diagnosis.
    """
    reported = {one.clip.clip_id for one in diagnosis.suspects}
    right = len(reported & wrong)
    return {"right": right, "reported": len(reported), "wrong": len(wrong), "encoders": list(diagnosis.asked)}


def measure_copies(name: str, folder: Path) -> list[dict[str, Any]]:
    """Precision and recall for each kind of copy, by all encoders together and by each encoder alone.

    Args:
      name: name of the dataset.
      folder: folder of the stores of the copies.

    Returns:
      a cell for each kind of copy and choice of encoders. The kind `none` has no planted copies: its pairs are copies that the
      dataset itself holds.
    """
    originals = {store.upstream: store for store in map(open_store, find_stores(sample_stores() / name))}
    copies = [open_store(path) for path in find_stores(folder / name)]
    cells: list[dict[str, Any]] = []
    (plain,) = diagnose_stores([originals[one.upstream] for one in copies])
    strengths = [round(pair.strength, 1) for pair in plain.near_copies]
    cells.append({"dataset": name, "kind": "none", "encoders": "all", "pairs": len(strengths), "strengths": strengths})
    with tempfile.TemporaryDirectory() as scratch:
        for kind in sorted({clip.split("/")[0] for clip in copies[0].clips.clip_id.tolist()}):
            joined = [
                with_copies(originals[one.upstream], one, kind, Path(scratch) / kind / one.upstream) for one in copies
            ]
            n_copies = int(np.char.startswith(joined[0].clips.clip_id, "copy/").sum())
            for stores in [joined, *([one] for one in joined)]:
                (diagnosis,) = diagnose_stores(stores)
                encoders = "all" if len(stores) > 1 else stores[0].upstream
                cells.append({"dataset": name, "kind": kind, "encoders": encoders, **found_copies(diagnosis, n_copies)})
    return cells


def measure_labels(name: str, repetitions: int, upstreams: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Precision and recall for planted wrong labels, by all encoders together and by the best encoder alone.

    Args:
      name: name of the dataset.
      repetitions: number of repetitions, each with other labels.
      upstreams: names of the encoders; empty for all.

    Returns:
      precision and recall over all repetitions, for all encoders and for the best encoder.
    """
    originals = [open_store(path) for path in find_stores(sample_stores() / name)]
    originals = [store for store in originals if not upstreams or store.upstream in upstreams]
    totals: dict[str, list[dict[str, Any]]] = {"all": [], "best": []}
    for seed in range(repetitions):
        with tempfile.TemporaryDirectory() as scratch:
            changed = [with_wrong_labels(store, seed, Path(scratch) / store.upstream) for store in originals]
            wrong = changed[0][1]
            (together,) = diagnose_stores([store for store, _ in changed])
            best = int(np.argmax([space.left_out_accuracy or 0.0 for space in together.spaces]))
            (alone,) = diagnose_stores([changed[best][0]])
            totals["all"].append(found_labels(together, wrong))
            totals["best"].append(found_labels(alone, wrong))
    return [
        {
            "dataset": name,
            "encoders": encoders,
            "precision": _share(sum(one["right"] for one in cells), sum(one["reported"] for one in cells)),
            "recall": _share(sum(one["right"] for one in cells), sum(one["wrong"] for one in cells)),
            "asked": sorted({title for one in cells for title in one["encoders"]}),
        }
        for encoders, cells in totals.items()
    ]


def main(arguments: list[str]) -> int:
    """Extract, measure, write the JSON, and print precision and recall.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, help="folder of the recordings")
    parser.add_argument("--out", type=Path, help="folder for the copies and their stores")
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument("--only", choices=("copies", "labels"), help="plant only copies, or only wrong labels")
    options = parser.parse_args(arguments)
    if options.only != "labels" and (options.audio is None or options.out is None):
        parser.error("copies need --audio and --out; give both, or --only labels")
    copies: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    if options.only != "labels":
        for name in DATASETS:
            extract_copies(name, options.audio, options.out, UPSTREAMS, KINDS, COPIES)
            copies += measure_copies(name, options.out / "stores")
    if options.only != "copies":
        for name in (*DATASETS, "fsdd_speakers"):
            labels += measure_labels(name, REPETITIONS)
    found = {"made_with": made_with("numpy"), "copies_of_each_kind": COPIES, "copies": copies, "labels": labels}
    write_json(options.json, found, a_line_each=True)
    for cell in [*copies, *labels]:
        what = f"{cell['dataset']}, {cell.get('kind', 'labels')}, {cell['encoders']}"
        numbers = [f"{name} {cell[name]}" for name in ("precision", "recall", "pairs") if name in cell]
        sys.stdout.write(f"{what}: {', '.join(numbers)}\n")
    return 0


def _written(place: Path, original: Store, rows: np.ndarray, table: ClipTable) -> Store:
    return write_store(
        place,
        views={original.default_view: rows},
        clips=table,
        dataset=original.manifest["dataset"],
        upstream=original.manifest["upstream"],
    )


def _share(some: int, of: int) -> float | None:
    return round(some / of, 3) if of else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
