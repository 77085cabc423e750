"""Computes the accuracy per episode of encoders, with `extraction` and then the evaluator."""

import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jfewshot.api import evaluate
from jfewshot.errors import UserError
from jfewshot.results import read_results
from jfewshot.simclr.study.plan import Study
from jfewshot.statistics.intervals import correct_from_predicted

log = logging.getLogger(__name__)

# (dataset, shots, upstream)
Key = tuple[str, int, str]


def extract_all(study: Study, encoders: Sequence[Path], baselines: Sequence[str] = ("fbank",)) -> Path:
    """Make the stores of every test set for every encoder; existing stores are kept.

    The extraction runs in its own process, because `jfewshot` does not import `extraction`.

    Args:
      study: gives the test sets, the length of a segment and the output folder.
      encoders: folders of exported encoders.
      baselines: names of other upstreams to compare with.

    Returns:
      the folder of the stores.

    Raises:
      UserError: if the extraction failed; the extraction has printed the reason.
    """
    stores = study.out / "stores"
    upstreams = [*baselines, *(f"simclr:{encoder}" for encoder in encoders)]
    for test in study.tests:
        dataset, _, root = test.partition("=")
        command = [sys.executable, "-m", "extraction.run", "--datasets", dataset, "--root", root, "--out", str(stores)]
        command += ["--segment", study.segment, "--workers", "0", "--upstreams", *upstreams]
        if subprocess.run(command, check=False).returncode:
            raise UserError(
                f"the extraction of {dataset} failed, for the reason above: correct this and run the same command"
            )
    return stores


def episode_accuracy(
    study: Study, stores: Path, upstreams: Sequence[str]
) -> Mapping[Key, Float[np.ndarray, " episodes"]]:
    """Compute the accuracy in every episode, by test set, shots and upstream. All upstreams have the same episodes.

    The classifier is logistic regression with C = 1 on L2-normalised means of the last layer.

    Args:
      study: gives the ways, shots, queries and number of episodes, and the output folder.
      stores: folder of the stores, from `extract_all`.
      upstreams: names of the upstreams to evaluate.

    Returns:
      from (test set, shots, upstream) to the accuracy (0-1) of each episode.
    """
    datasets = sorted(folder for folder in stores.iterdir() if folder.is_dir())
    wanted = [folder / upstream for folder in datasets for upstream in upstreams]
    results = study.out / "results"
    records = evaluate(
        wanted, ways=study.ways, shots=study.shots, n_query=study.n_query, n_episodes=study.n_episodes, out=results
    )
    folder = read_results(results)
    found = {}
    for record in records:
        correct = correct_from_predicted(folder.predictions(record), study.ways)
        key = record["dataset"]["name"], record["identity"]["protocol"]["k_shot"], record["upstream"]["name"]
        found[key] = correct.mean(axis=1)
    return found
