"""Reads a result folder for reports."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from jfewshot.errors import UserError
from jfewshot.results.appending import PREDICTIONS, RECORDS
from jfewshot.results.draws import check_draws, read_draws, read_npz
from jfewshot.results.folder import DRAWS, right_of_slot
from jfewshot.results.indexing import LONGEST_LINE, lines_of, record_files
from jfewshot.results.keys import FORMAT_VERSION
from jfewshot.results.lines import LineReader, key_of_line
from jfewshot.results.packing import unpack, unpack_labels
from jfewshot.results.scores import QueryScores, unpack_scores
from jfewshot.results.single_files import read_single_file, single_files

_AGAIN = "run the same command again, and the record is computed again"


@dataclasses.dataclass(frozen=True)
class Results:
    """The contents of a result folder; make it with `read_results`.

    Attributes:
      path: the folder.
      records: the records, sorted by key. Equal parts of several records are one object: do not change them.
      problems: a sentence for each record that could not be used.
    """

    path: Path
    records: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]

    def keeps_predictions(self, record: Mapping[str, Any]) -> bool:
        """Whether a cell's predictions were kept, and not only counts.

        Args:
          record: of the cell.
        """
        return record["predictions"].get("kept", "predictions") == "predictions"

    def predictions(self, record: Mapping[str, Any]) -> Integer[np.ndarray, "episodes queries"]:
        """The predicted slot of every query of a cell.

        Args:
          record: of the cell.

        Returns:
          int8 array up to 127 ways, int16 above.

        Raises:
          UserError: if predictions were not kept, or if their block is missing or differs from the record's
              description.
        """
        if not self.keeps_predictions(record):
            raise UserError(
                f"record {record['key']} keeps counts only; run the same command with --keep predictions to keep predictions"
            )
        shape = _shape(record)
        n_way = record["identity"]["protocol"]["n_way"]
        path, data = self._block(record, "predictions")
        if path.suffix == ".npz":  # format version 1
            predicted = read_npz(path).get("predicted", np.zeros(0))
            right_kind = predicted.dtype.kind in "iu" and predicted.shape == shape
            if not right_kind or predicted.min() < 0 or predicted.max() >= n_way:
                raise UserError(f"{path} does not hold the predictions of its record; delete it and {_AGAIN}")
            return predicted
        try:
            return unpack_labels(data, shape, n_way)
        except ValueError as error:
            raise UserError(f"{path}: the block of record {record['key']} is damaged ({error}); {_AGAIN}") from error

    def right_of_slot(self, record: Mapping[str, Any]) -> Integer[np.ndarray, "episodes n_way"]:
        """How many queries of each class of an episode were classified correctly, from predictions or from counts.

        Args:
          record: of the cell.

        Raises:
          UserError: if the block is missing or is not the one that the record describes.
        """
        protocol = record["identity"]["protocol"]
        if self.keeps_predictions(record):
            return right_of_slot(self.predictions(record), protocol["n_way"])
        path, data = self._block(record, "predictions")
        shape = protocol["n_episodes"], protocol["n_way"]
        try:
            counts = unpack(data, shape[0] * shape[1], protocol["n_query"] + 1)
        except ValueError as error:
            raise UserError(f"{path}: the block of record {record['key']} is damaged ({error}); {_AGAIN}") from error
        return counts.reshape(shape).astype(np.int64)

    def scores(self, record: Mapping[str, Any]) -> QueryScores:
        """The log-probabilities of every query of a cell, in half precision.

        Args:
          record: of the cell.

        Raises:
          UserError: if scores were not kept, or their block is missing or is not the one that the record describes.
        """
        if not record.get("scores"):
            raise UserError(
                f"record {record['key']} has no scores; run the same command with --keep scores to keep scores"
            )
        n_episodes, n_queries = _shape(record)
        protocol = record["identity"]["protocol"]
        n_queries += protocol.get("unknown_ways", 0) * protocol["n_query"]
        path, data = self._block(record, "scores")
        try:
            return unpack_scores(data, (n_episodes, n_queries, protocol["n_way"]))
        except ValueError as error:
            raise UserError(f"{path}: the scores of record {record['key']} are damaged ({error}); {_AGAIN}") from error

    def _block(self, record: Mapping[str, Any], which: str) -> tuple[Path, bytes]:
        """The file of a cell's predictions, or scores, and their bytes there."""
        block = record[which]
        path = self.path / PREDICTIONS / block["file"]
        try:
            with open(path, "rb") as file:
                size, offset = os.fstat(file.fileno()).st_size, block.get("offset", 0)
                length = block.get("bytes", size)
                # A damaged record may state a size that exceeds the memory, or a position behind the end of the file.
                if offset + length > size:
                    raise UserError(f"{path} ends before the bytes of record {record['key']}; {_AGAIN}")
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            raise UserError(f"{path} {what}; {_AGAIN}") from error
        if hashlib.sha256(data).hexdigest() != block["sha256"]:
            raise UserError(f"{path}: its bytes are not those that record {record['key']} describes; {_AGAIN}")
        return path, data

    def draws(self, record: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        """The drawn clips of a cell's episodes, and the table of clips to which they refer (docs/results.md).

        Args:
          record: of the cell.

        Raises:
          UserError: if the file is missing, is damaged or was edited, or holds other episodes than the record says.
        """
        protocol = record["identity"]["protocol"]
        names = ("n_episodes", "n_way", "k_shot", "n_query", "every_query", "mteb", "unknown_ways")
        sizes = *((name, protocol.get(name)) for name in names), ("query_balance", "query_balance" in protocol)
        return self._draws(record["draws"], sizes, record.get("draws_sha256"))

    @functools.cached_property
    def _draws(self):
        # Many cells share one file of draws; keep the last few.
        return functools.lru_cache(maxsize=4)(
            lambda name, sizes, sha256: read_draws(self.path / DRAWS / name, dict(sizes), sha256)
        )


def _shape(record: Mapping[str, Any]) -> tuple[int, int]:
    protocol = record["identity"]["protocol"]
    return protocol["n_episodes"], protocol["n_way"] * protocol["n_query"]


def read_results(path: Path | str) -> Results:
    """Read the records of a result folder.

    Of several records with one key, the newest counts. A damaged record is named in `problems`, unless the same cell was computed
    again later; all other records are returned. An edited file of drawn clips is named there too. Its records are
    returned, since their accuracies do not depend on the file; functions that need the drawn clips refuse them.

    Args:
      path: the result folder.

    Raises:
      UserError: if the folder does not exist or contains no records.
    """
    path = Path(path)
    packed, single = record_files(path), single_files(path)
    if not packed and not single:
        raise UserError(
            f"{path} holds no results (no {RECORDS}/*.jsonl); `python -m jfewshot.run --out {path}` makes some"
        )
    reader = LineReader()
    records: dict[str, dict[str, Any]] = {}
    problems: list[tuple[str | None, str]] = []
    for file in single:
        try:
            records[file.stem] = read_single_file(file, reader)
        except UserError as error:
            problems.append((file.stem, str(error)))
    for file in packed:
        try:
            for line in lines_of(file):
                try:
                    if line.too_long:
                        raise UserError(
                            f"it has {line.place.length:,} bytes, and a record has at most {LONGEST_LINE:,}"
                        )
                    if not line.whole:
                        raise UserError(
                            "its end is missing: a run was ended while it wrote this record, or writes it now"
                        )
                    record = reader.record(line.text, FORMAT_VERSION)
                    records[record["key"]] = record
                except UserError as error:
                    problem = f"{file}, line {line.number}: the record is left out, because {error}; {_AGAIN}"
                    problems.append((key_of_line(line.text), problem))
        except OSError as error:
            problems.append((None, f"{file} cannot be read ({error.strerror or error}); its records are left out"))
    return Results(
        path,
        tuple(records[key] for key in sorted(records)),
        (
            *(problem for key, problem in problems if key is None or key not in records),
            *_edited_draws(path, records.values()),
        ),
    )


def _edited_draws(path: Path, records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each file of drawn clips that differs from its records' description."""
    described = {(record["draws"], record["draws_sha256"]) for record in records if record.get("draws_sha256")}
    for name, sha256 in sorted(described):
        file = path / DRAWS / name
        try:
            if file.exists():  # functions that need a missing file will name it
                check_draws(file, read_npz(file), sha256)
        except UserError as error:
            yield str(error)
