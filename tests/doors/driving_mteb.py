"""Small datasets for mteb's own task class (benchmarks/tools/mteb_task.py). Where mteb is installed,

    python -m tests.doors.driving_mteb

writes the fixture that tests without mteb compare with: draws, predictions, iterations and scores."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tools.mteb_task import run_mteb
from jfewshot.files import atomic_write

FIXTURE = Path(__file__).parent.parent / "cells" / "mteb_fixture.json"
# Sizes of the classes: some have fewer than 8 clips, and their number is no multiple of five folds.
SIZES = {"many": (30, 23, 17, 12, 6, 3), "two": (34, 29)}


def small_dataset(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers in a mixed order, and float32 embeddings that all point one way, of a size that needs many iterations."""
    rng = np.random.RandomState(seed)
    labels = rng.permutation(np.repeat(np.arange(len(SIZES[name])), SIZES[name]))
    centres, common = rng.randn(len(SIZES[name]), 6), 20 * rng.randn(6)
    embeddings = common + 4 * (centres[labels] + rng.randn(len(labels), 6))
    return labels, embeddings.astype(np.float32)


def is_test(labels: np.ndarray) -> np.ndarray:
    """Which clips are of the test split: about half."""
    return np.random.RandomState(1).rand(len(labels)) < 0.5


def main() -> None:
    """Write the fixture."""
    import warnings

    import mteb  # type: ignore[import-not-found]
    import sklearn

    warnings.simplefilter("ignore")
    found: dict[str, Any] = {"made_with": {"mteb": mteb.__version__, "scikit-learn": sklearn.__version__}}
    for name in SIZES:
        labels, embeddings = small_dataset(name)
        for form, test in (("splits", is_test(labels)), ("folds", None)):
            made = run_mteb(labels, embeddings, test)
            found[f"{name}-{form}"] = {key: made[key] for key in ("scores", "support", "predicted", "iterations")}
    with atomic_write(FIXTURE, "w") as file:
        json.dump(found, file)
        file.write("\n")


if __name__ == "__main__":
    main()
