"""The result folder: one record per cell, its predictions, and the drawn clips (docs/results.md).

Records are keyed by everything that can change a prediction and nothing else, and appear whole, last of their files: a
run that finds a record has nothing left to do for it, and a killed run leaves nothing that could be mistaken for one.
"""

import dataclasses
import functools
import json
import typing
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int8

from jfewshot.errors import UserError
from jfewshot.files import (
    atomic_write,
    canonical_json,
    remove_stale_partials,
    sha256_of_file,
    sha256_of_json,
    writable_folder,
)
from jfewshot.files.arrays import npz_bytes

FORMAT = "jfewshot-result"
FORMAT_VERSION = 1
_KEY_DIGITS = 20
_FOLDERS = ("cells", "predictions", "draws")


def key_of(identity: Mapping[str, Any]) -> str:
    """The key of a cell or of a set of draws: the first 20 hexadecimal digits of its canonical JSON's SHA-256."""
    return sha256_of_json(identity)[:_KEY_DIGITS]


@typing.runtime_checkable
class Records(typing.Protocol):
    """Where an evaluation looks records up and leaves them: a `ResultFolder`, or something that sends them to one."""

    def find(self, identity: Mapping[str, Any]) -> dict[str, Any] | None: ...

    def write_cell(self, record: dict[str, Any], predicted: Int8[np.ndarray, "episodes queries"]) -> dict[str, Any]: ...

    def write_draws(self, protocol: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str: ...


class ResultFolder:
    """A folder that runs write to; several runs may, at once.

    Args:
      path: made if it is not there.

    Raises:
      UserError: if it cannot be written to.
    """

    def __init__(self, path: Path | str):
        self.path = writable_folder(path, "results")
        for name in _FOLDERS:
            remove_stale_partials(writable_folder(self.path / name, "results"))

    def find(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """The record of a cell, or None if it is not there, or not whole, and has to be computed."""
        path = self.path / "cells" / f"{key_of(identity)}.json"
        try:
            record = _read_record(path)
        except (FileNotFoundError, UserError):
            return None
        predictions = self.path / "predictions" / record["predictions"]["file"]
        whole = predictions.exists() and sha256_of_file(predictions) == record["predictions"]["sha256"]
        return record if whole and (self.path / "draws" / record["draws"]).exists() else None

    def write_cell(self, record: dict[str, Any], predicted: Int8[np.ndarray, "episodes queries"]) -> dict[str, Any]:
        """Write a cell's predictions, then its record.

        Args:
          record: all fields of docs/results.md but `format`, `format_version`, `key` and `predictions`.
          predicted: the slot that each query was given to.

        Returns:
          The record as written.
        """
        key = key_of(record["identity"])
        name = f"{key}.npz"
        path = self.path / "predictions" / name
        _write_npz(path, {"predicted": predicted})
        record = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "key": key,
            **record,
            "predictions": {"file": name, "sha256": sha256_of_file(path)},
        }
        with atomic_write(self.path / "cells" / f"{key}.json", "w") as file:
            file.write(json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
        return record

    def write_draws(self, protocol: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
        """Write the drawn clips of a (clip table, protocol, seed), unless they are there; return the file's name."""
        name = f"{key_of(protocol)}.npz"
        path = self.path / "draws" / name
        if not path.exists():
            _write_npz(path, {**arrays, "protocol": np.array(canonical_json(protocol))})
        return name


@dataclasses.dataclass(frozen=True)
class Results:
    """What a result folder holds; make it with `read_results`.

    Attributes:
      path: the folder.
      records: the JSON records, sorted by key.
      problems: a sentence for each record that could not be used.
    """

    path: Path
    records: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]

    def predictions(self, record: Mapping[str, Any]) -> Int8[np.ndarray, "episodes queries"]:
        """The predicted slot of every query of a cell.

        Raises:
          UserError: if the file is missing or is not the one that the record describes.
        """
        path = self.path / "predictions" / record["predictions"]["file"]
        if not path.exists():
            raise UserError(f"{path} is missing; run the same command again and it is computed anew")
        if sha256_of_file(path) != record["predictions"]["sha256"]:
            raise UserError(f"{path} is not the file its record describes; delete it and run the same command again")
        return _read_npz(path)["predicted"]

    def draws(self, record: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        """The drawn clips of a cell's episodes and the table they point into (docs/results.md).

        Raises:
          UserError: if the file is missing or damaged.
        """
        return self._draws(record["draws"])

    @functools.cached_property
    def _draws(self):
        # Many cells share one file of draws; keep the last few.
        return functools.lru_cache(maxsize=4)(lambda name: _read_npz(self.path / "draws" / name))


def read_results(path: Path | str) -> Results:
    """Read the records of a result folder; a damaged one is named in `problems` and the rest are returned.

    Raises:
      UserError: if the folder is not there or holds no records at all.
    """
    path = Path(path)
    files = sorted((path / "cells").glob("*.json"))
    if not files:
        raise UserError(f"{path} holds no results (no cells/*.json); `python -m jfewshot.run --out {path}` makes some")
    records, problems = [], []
    for file in files:
        try:
            records.append(_read_record(file))
        except UserError as error:
            problems.append(str(error))
    return Results(path, tuple(records), tuple(problems))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and run the same command again") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise UserError(f"{path} is not a result record (its format is not '{FORMAT}')")
    if record.get("format_version") != FORMAT_VERSION:
        raise UserError(f"{path} is of format version {record.get('format_version')}; this reads {FORMAT_VERSION}")
    kinds = {"identity": dict, "accuracy": dict, "predictions": dict, "draws": str, "key": str}
    missing = [name for name, kind in kinds.items() if not isinstance(record.get(name), kind)]
    if missing or key_of(record["identity"]) != record["key"] or path.stem != record["key"]:
        what = f"it lacks '{missing[0]}'" if missing else "its key is not that of its identity"
        raise UserError(f"{path} is damaged ({what}); delete it and run the same command again")
    return record


def _write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    # Through memory, for zipfile wants to seek and a full disk should fail in one place.
    data = npz_bytes(arrays)
    with atomic_write(path) as file:
        file.write(data)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        # Opened here, for np.load leaves a damaged file open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run the same command again and it is computed anew") from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and run the same command again") from error
