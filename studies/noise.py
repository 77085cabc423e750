"""How far does accuracy fall on the sample digits if the supports are clean and the queries have recorded noise?

    python -m studies.noise --audio AUDIO --out STORES --json benchmarks/measured/noise.json

AUDIO holds the recordings of the sample stores (docs/samples.md). The noise of Arabic Speech Commands
(`arabic-speech-commands/_background_noise_`) is added to the 600 clips of the sample store `fsdd_digits` at 20, 10 and 0 dB, and
every encoder of the sample stores extracts these noisy copies. Queries come from the noisy copies, and supports from the clean
store. The study takes about 15 minutes on one core, nearly all of it in the encoders. Extracted stores are kept.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import jfewshot
from benchmarks.tools.measuring import write_json
from extraction.alterations import Alteration, AlteredDataset
from extraction.noises import NoiseFiles
from extraction.pipeline import extract
from extraction.samples import UPSTREAMS, sample_datasets
from extraction.settings import ExtractionSettings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from jfewshot._version import made_with
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.store import find_stores, open_store
from jfewshot.store.reading import sample_stores

DATASET = "fsdd_digits"
RATIOS_DB = (20.0, 10.0, 0.0)
EPISODES = {1: 5000, 5: 2000}


def extract_copies(audio: Path, out: Path, noises: NoiseFiles) -> None:
    """Extract the noisy copies that do not exist yet.

    Args:
      audio: folder of the recordings.
      out: folder for the stores.
      noises: the recorded noise.
    """
    dataset, folder = sample_datasets()[DATASET]
    upstreams = [load_upstream(name, UpstreamOptions(threads=1)) for name in UPSTREAMS]
    settings = ExtractionSettings(dtype="float16", batch_size=8, workers=0)
    for ratio in RATIOS_DB:
        extract(AlteredDataset(dataset, Alteration("noise", ratio), noises), audio / folder, upstreams, out, settings)


def measure(out: Path, results: Path | None) -> list[dict[str, Any]]:
    """Accuracy of each encoder at each signal-to-noise ratio, on the same episodes.

    Args:
      out: folder of the noisy stores.
      results: folder for the records, from which `jfewshot report` draws the figure; None to keep no records.

    Returns:
      for each encoder and number of shots, the accuracies with clean queries and with noisy queries.
    """
    evaluator = Evaluator()
    clean = {store.upstream: store for store in map(open_store, find_stores(sample_stores() / DATASET))}
    noisy = [open_store(path) for path in find_stores(out) if f"{DATASET}@noise" in path.parts[-2]]
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for shots, n_episodes in EPISODES.items():
        for store in [*clean.values(), *noisy]:
            (record,) = jfewshot.evaluate(
                store,
                support_from=clean[store.upstream],
                classifiers="ridge:alpha=auto",
                shots=shots,
                n_episodes=n_episodes,
                evaluator=evaluator,
                out=results,
            )
            altered = record["dataset"].get("altered")
            own = found.setdefault((store.upstream, shots), {"upstream": store.upstream, "shots": shots})
            accuracy = record["accuracy"]
            own["clean" if altered is None else f"{altered['value']:g} dB"] = {
                "mean": round(accuracy["mean"], 4),
                "ci95": round(accuracy["ci95"], 4),
                "pool_ci95": None if accuracy["pool_ci95"] is None else round(accuracy["pool_ci95"], 4),
            }
    return list(found.values())


def main(arguments: list[str]) -> int:
    """Extract, measure, write the JSON, and print the accuracies.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--out", type=Path, required=True, help="folder for the noisy stores")
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument("--results", type=Path, help="folder for the records; without this option, no records are kept")
    options = parser.parse_args(arguments)
    jfewshot.use_all_cores()
    noises = NoiseFiles.find(options.audio / "arabic-speech-commands" / "_background_noise_")
    extract_copies(options.audio, options.out, noises)
    cells = measure(options.out, options.results)
    found = {
        "made_with": made_with("jax", "numpy"),
        "dataset": DATASET,
        "noise": {"files": [name for name, *_ in noises.files], "sha256": noises.identity["sha256"]},
        "classifier": "ridge:alpha=auto",
        "episodes": EPISODES,
        "cells": cells,
    }
    write_json(options.json, found, a_line_each=True)
    for cell in sorted(cells, key=lambda cell: (cell["shots"], cell["upstream"])):
        means = [f"{100 * cell[name]['mean']:.1f}" for name in ("clean", *(f"{ratio:g} dB" for ratio in RATIOS_DB))]
        sys.stdout.write(f"{cell['shots']} shots, {cell['upstream']}: {' '.join(means)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
