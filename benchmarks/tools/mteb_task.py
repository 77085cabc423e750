"""Runs mteb's own classification task on stored embeddings, and records its draws, its predictions and their time.

The module needs mteb 2.26 (`pip install "mteb==2.26.*"`). No other part of this project needs mteb.
"""

import time
from typing import Any

import numpy as np


def run_mteb(labels: np.ndarray, embeddings: np.ndarray, test: np.ndarray | None) -> dict[str, Any]:
    """Evaluate embeddings by mteb's `AbsTaskClassification`.

    Args:
      labels: class number of each clip, in the dataset's order.
      embeddings: clips x dim, float32.
      test: which clips are in the test split; None for folds of all clips.

    Returns:
      `scores` are mteb's own scores. For each experiment: `support` (places in the training part, in mteb's order), `predicted`,
      the `iterations` after which scikit-learn stopped, and the `seconds` and `cpu_seconds` of fit and predictions. `total_s` and
      `total_cpu_s` are the times of mteb's whole evaluation.
    """
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.task_metadata import TaskMetadata

    split = "train" if test is None else "test"
    found: dict[str, Any] = {"support": [], "predicted": [], "iterations": [], "seconds": [], "cpu_seconds": []}
    evaluator: Any = AbsTaskClassification.evaluator

    class Recording(evaluator):  # type: ignore[misc]
        """mteb's evaluator, which also records the predictions of each experiment."""

        def __call__(self, train_embeddings: Any, test_embeddings: Any) -> Any:
            started = time.perf_counter(), time.process_time()
            predicted = super().__call__(train_embeddings, test_embeddings)
            found["seconds"].append(time.perf_counter() - started[0])
            found["cpu_seconds"].append(time.process_time() - started[1])
            found["predicted"].append(predicted.tolist())
            found["iterations"].append(int(self.evaluator_model.n_iter_.max()))
            return predicted

    class StoredEmbeddings(AbsTaskClassification):
        """mteb's task on clips whose content is their number as a text."""

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

        def _undersample_data(self, dataset: Any, experiment_num: int, idxs: Any = None) -> Any:
            drawn = super()._undersample_data(dataset, experiment_num, idxs)
            found["support"].append(drawn[2])
            return drawn

    class Stub:
        """A model that returns the stored embedding of a clip's number."""

        mteb_model_meta = None

        def encode(self, inputs: Any, **_: Any) -> np.ndarray:
            return embeddings[[int(text) for batch in inputs for text in batch["text"]]]

        def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
            raise NotImplementedError

        def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
            raise NotImplementedError

    def part(rows: np.ndarray) -> Any:
        return Dataset.from_dict({"text": [str(row) for row in rows], "label": labels[rows].tolist()})

    every = np.arange(len(labels))
    parts = {"train": every} if test is None else {"train": every[~test], "test": every[test]}
    task: Any = StoredEmbeddings()
    task.evaluator = Recording
    task.dataset = DatasetDict({name: part(rows) for name, rows in parts.items()})
    task.data_loaded = True
    started = time.perf_counter(), time.process_time()
    scores = task.evaluate(Stub(), split, encode_kwargs={"batch_size": 256})["default"]
    total = {"total_s": time.perf_counter() - started[0], "total_cpu_s": time.process_time() - started[1]}
    return found | {"scores": scores} | total
