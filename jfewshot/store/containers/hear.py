"""Read a folder of one task's embeddings that heareval, the kit of HEAR 2021, wrote: `embeddings/ENCODER/TASK`.

    task_metadata.json                        scene or timestamp embeddings, one label or several, the splits
    train.json, test.json, fold00.json ...    the recordings of each split
    train/dawn.wav.embedding.npy              dim (a scene), or timestamps x dim
    train/dawn.wav.target-labels.json         labels of the scene, or of each timestamp
    train/dawn.wav.timestamps.json            in milliseconds, for timestamp embeddings

A scene is a clip, a timestamp a window that lasts until the next one. The split is a column of the store.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.json_values import decode_json
from jfewshot.store.containers.file_vectors import FileVectors
from jfewshot.store.containers.taking import Taking
from jfewshot.store.containers.windows import Database, Windows

METADATA = "task_metadata.json"
_FIX = "name the folder of one task below embeddings/ENCODER that heareval wrote"
# Names of splits, and the names that jfewshot uses for them.
_SPLITS = {"valid": "validation"}


def read_hear(folder: Path, taking: Taking, columns: Sequence[str] = ()) -> Database:
    """Read the recordings and labels of a task; embeddings are read when they are needed.

    Args:
      folder: the folder of the task.
      taking: not used; the labels that count are chosen later.
      columns: further columns; heareval has none.

    Returns:
      a window per scene or per timestamp, and its labels.

    Raises:
      UserError: if the folder is not of heareval, or a file is missing or damaged.
    """
    if columns:
        raise UserError(
            f"{folder} has no column '{columns[0]}', which --columns names: heareval keeps no further columns"
        )
    facts = _read(folder / METADATA)
    splits, kind = (facts.get(key) if isinstance(facts, dict) else None for key in ("splits", "embedding_type"))
    if not isinstance(splits, list) or kind not in ("scene", "event"):
        raise UserError(
            f"{folder / METADATA} does not say which splits there are and which embeddings (scene, event); {_FIX}"
        )
    files = [(str(split), name) for split in splits for name in _files(folder / f"{split}.json")]
    names = [name for _, name in files]
    twice = len(set(names)) < len(names)
    stems = [folder / split / name for split, name in files]
    labels = [_read(stem.with_name(f"{stem.name}.target-labels.json")) for stem in stems]
    if kind == "scene":
        length_s = facts.get("sample_duration")
        length_s = length_s if isinstance(length_s, int | float) and length_s > 0 else 1.0
        times = [np.array([[0.0, length_s]]) for _ in stems]
        labels = [[one] for one in labels]
    else:
        times = [_times(stem.with_name(f"{stem.name}.timestamps.json")) for stem in stems]
    counts = []
    for stem, of_file, listed in zip(stems, times, labels, strict=True):
        if not isinstance(listed, list) or len(listed) != len(of_file) or not all(map(_is_list_of_texts, listed)):
            raise UserError(
                f"{stem}.target-labels.json must hold a list of labels for each embedding of its file; {_FIX}"
            )
        counts.append(len(of_file))
    numbers = np.repeat(np.arange(len(files)), counts).astype(np.int64)
    every = np.concatenate([*times, np.empty((0, 2))])
    windows = Windows(
        [f"{split}/{name}" if twice else name for split, name in files],
        {},
        numbers,
        every[:, 0],
        every[:, 1],
        np.arange(len(numbers), dtype=np.int64),
        splits=[_SPLITS.get(split, split) for split, _ in files],
        are_recordings=kind == "scene",
    )
    flat = [of_window for listed in labels for of_window in listed]
    found = {
        number: dict.fromkeys(map(str, of_window), float(every[number, 1] - every[number, 0]))
        for number, of_window in enumerate(flat)
        if of_window
    }
    vectors = FileVectors(
        [stem.with_name(f"{stem.name}.embedding.npy") for stem in stems],
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )
    name = facts.get("task_name")
    return Database(
        windows,
        found,
        vectors,
        {"upstream": {"name": folder.resolve().parent.name}},
        name if isinstance(name, str) else "",
    )


def _files(path: Path) -> list[str]:
    """Names of a split's recordings."""
    found = _read(path)
    if not isinstance(found, dict):
        raise UserError(f"{path} names no recordings; {_FIX}")
    return list(found)


def _times(path: Path) -> np.ndarray:
    """Start and end in seconds of the windows of a recording, timestamps x 2; each ends where the next one begins."""
    found = _read(path)
    if not isinstance(found, list) or not found or not all(isinstance(one, int | float) for one in found):
        raise UserError(f"{path} must hold a list of times in milliseconds; {_FIX}")
    start_s = np.array(found, np.float64) / 1000
    last_s = start_s[-1] - start_s[-2] if len(start_s) > 1 else 1.0
    return np.stack([start_s, np.append(start_s[1:], start_s[-1] + last_s)], axis=1)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str | int) for one in value)


def _read(path: Path) -> Any:
    try:
        return decode_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; {_FIX}") from error
    except (OSError, UserError) as error:
        raise UserError(f"{path} cannot be read ({error}); {_FIX}") from error
