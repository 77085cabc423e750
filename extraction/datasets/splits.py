"""The few-shot paper's random 7/1/2 split of classes into training, validation and test, from a file of this package."""

import functools
import importlib.resources
import json

SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}


@functools.cache
def _all_splits() -> dict[str, dict[str, list[str]]]:
    text = importlib.resources.files("jfewshot").joinpath("data", "class_splits.json").read_text("utf-8")
    return json.loads(text)


def class_splits(dataset: str) -> dict[str, str]:
    """The split of each class.

    Args:
      dataset: key of the dataset in `jfewshot/data/class_splits.json`.

    Returns:
      `train`, `validation` or `test` by class name.
    """
    return {
        name: SPLIT_NAMES[split]
        for split, classes in _all_splits()[dataset].items()
        if split in SPLIT_NAMES
        for name in classes
    }
