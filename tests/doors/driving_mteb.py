"""mteb's own task class on stored embeddings, with a record of what it drew. `python -m tests.doors.driving_mteb` writes the
fixture that tests without mteb compare with."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

FIXTURE = Path(__file__).parent.parent / "cells" / "mteb_fixture.json"
SCORES = ("accuracy", "f1", "f1_weighted", "precision", "precision_weighted", "recall", "recall_weighted")
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


def run_mteb(labels: np.ndarray, embeddings: np.ndarray, test: np.ndarray | None) -> dict[str, Any]:
    """mteb's scores, and for each experiment its supports, its predictions, and after how many iterations scikit-learn stopped.

    Args:
      labels: class number of each clip.
      embeddings: clips x dim.
      test: which clips are of the test split; None for cross-validation of all clips.

    Returns:
      `scores`, `support` (rows of the training part, in mteb's order), `predicted`, `iterations`.
    """
    import torch  # noqa: F401 - mteb needs it
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.task_metadata import TaskMetadata

    split = "train" if test is None else "test"

    class Task(AbsTaskClassification):
        metadata = TaskMetadata(
            name="StoredEmbeddings",
            description="Embeddings from a store.",
            dataset={"path": "none/none", "revision": "1"},
            type="Classification",
            category="t2c",
            modalities=["text"],
            eval_splits=[split],
            eval_langs=["eng-Latn"],
            main_score="accuracy",
        )
        is_cross_validation = test is None

    drawn: list[list[int]] = []

    class Recording(Task):
        def _undersample_data(self, dataset, experiment_num, idxs=None):
            found = super()._undersample_data(dataset, experiment_num, idxs)
            drawn.append(found[2])
            return found

    class Stub:
        """Looks embeddings up by the text, which is the clip's number."""

        mteb_model_meta = None

        def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **kwargs):
            return embeddings[[int(text) for batch in inputs for text in batch["text"]]]

        def similarity(self, one, other):
            raise NotImplementedError

        def similarity_pairwise(self, one, other):
            raise NotImplementedError

    def part(rows):
        return Dataset.from_dict({"text": [str(row) for row in rows], "label": labels[rows].tolist()})

    every = np.arange(len(labels))
    parts = {"train": every} if test is None else {"train": every[~test], "test": every[test]}
    task = Recording()
    task.dataset = DatasetDict({name: part(rows) for name, rows in parts.items()})
    task.data_loaded = True
    predictions: list[list[int]] = []
    iterations: list[int] = []

    class Evaluator(task.evaluator):  # type: ignore[name-defined, misc]
        def __call__(self, train, queries):
            found = super().__call__(train, queries)
            predictions.append(found.tolist())
            iterations.append(int(self.evaluator_model.n_iter_.max()))
            return found

    task.evaluator = Evaluator
    scores = task.evaluate(Stub(), split, encode_kwargs={"batch_size": 64})["default"]
    return {"scores": scores, "support": drawn, "predicted": predictions, "iterations": iterations}


def main() -> None:
    """Write the fixture."""
    import warnings

    import mteb
    import sklearn

    warnings.simplefilter("ignore")
    found: dict[str, Any] = {"made_with": {"mteb": mteb.__version__, "scikit-learn": sklearn.__version__}}
    for name in SIZES:
        labels, embeddings = small_dataset(name)
        for form, test in (("splits", is_test(labels)), ("folds", None)):
            found[f"{name}-{form}"] = run_mteb(labels, embeddings, test)
    with tempfile.NamedTemporaryFile("w", dir=FIXTURE.parent, delete=False) as file:
        json.dump(found, file)
    Path(file.name).replace(FIXTURE)


if __name__ == "__main__":
    main()
