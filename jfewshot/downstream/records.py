"""One record for each finished run (features, fold and seed). A run that has a record is not run again."""

import dataclasses
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import jax
import msgspec

from jfewshot._version import made_with
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.sources import Source
from jfewshot.errors import UserError
from jfewshot.files import atomic_write, sha256_of_json
from jfewshot.files.json_values import decode_json

FORMAT_VERSION = 1


class _Fold(msgspec.Struct):
    number: int


class _Record(msgspec.Struct):
    """The fields of a record that all tasks read; further fields are ignored here."""

    features: str
    seed: int
    fold: _Fold


@dataclasses.dataclass(frozen=True)
class RecordFolder:
    """`OUT/records/<key>.json`.

    Attributes:
      path: the folder of the records.
      format: format of the records, which names the task: `jfewshot-emotion`, `jfewshot-asr`.
      numerics: version of the computation. A task raises it when the same settings and audio would give other predictions.
    """

    path: Path
    format: str
    numerics: int

    def key(self, identity: dict[str, Any]) -> str:
        """The key of a run: a digest of everything that can change its predictions."""
        return sha256_of_json({**identity, "numerics": self.numerics})[:20]

    def has(self, key: str) -> bool:
        """Whether the run with this key has finished."""
        return (self.path / f"{key}.json").exists()

    def write(self, key: str, record: dict[str, Any]) -> None:
        """Write the record of a finished run."""
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path / f"{key}.json", "w") as file:
            json.dump({"format": self.format, "format_version": FORMAT_VERSION, "key": key, **record}, file, indent=1)
            file.write("\n")

    def read(self) -> list[dict[str, Any]]:
        """Read all records, ordered by features, fold and seed; each has `features`, `seed` and `fold.number`.

        Raises:
          UserError: if a record is damaged; the message names its file.
        """
        records = []
        for path in sorted(self.path.glob("*.json")):
            try:
                record = decode_json(path.read_bytes())
                if not isinstance(record, dict):
                    raise UserError("it holds no JSON object")
                if record.get("format") == self.format and record.get("format_version") == FORMAT_VERSION:
                    msgspec.convert(record, _Record)
                    records.append(record)
            except OSError as error:
                raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
            except (UserError, msgspec.ValidationError, OverflowError) as error:
                raise UserError(f"{path} is damaged ({error}): remove it and run the same command again") from error
        return sorted(records, key=lambda each: (each["features"], each["fold"]["number"], each["seed"]))


def refuse_other_features(
    out: Path,
    records: Sequence[dict[str, Any]],
    sources: Sequence[Sequence[Source]],
    title: Callable[[Source], str],
    identity: Callable[[Source, int], dict[str, Any]] = Source.identity,
) -> None:
    """Refuse features that have the name of finished features and another origin, since a report would average the two.

    Args:
      out: folder of the experiment, for the message.
      records: finished runs; each has `features`, `seed` and `identity.features`.
      sources: for each kind of features that is to be run, a source for every seed.
      title: the name of a source's features in a record, which says whether the encoder is trained too.
      identity: everything that the features of a source and a seed depend on, as a record has it.

    Raises:
      UserError: naming the first features that differ.
    """
    there = {(record["features"], record["seed"]): record["identity"]["features"] for record in records}
    for by_seed in sources:
        for seed, source in enumerate(by_seed):
            name = title(source)
            known = there.get((name, seed))
            if known is not None and known != identity(source, seed):
                raise UserError(
                    f"{out} holds runs of another '{name}' (seed {seed}): export this one under another --name, or give "
                    "another --out"
                )


def described_fold(fold: Fold, number: int, of: int) -> dict[str, Any]:
    """The part `fold` of a record.

    Args:
      fold: the fold.
      number: number of the fold, from 0.
      of: number of all folds.

    Returns:
      number, all folds, tested groups, and utterances in each part.
    """
    return {"number": number, "of": of, "tests": fold.name, **fold.sizes()}


def described_choice(steps: Sequence[int], scores: Sequence[float], choose_by: str) -> list[dict[str, Any]]:
    """The part `chosen` of a record.

    Args:
      steps: steps of the checkpoints that were chosen, best first.
      scores: development score of each of these checkpoints.
      choose_by: name of the score.

    Returns:
      step and score of each checkpoint.
    """
    return [{"step": step, choose_by: score} for step, score in zip(steps, scores, strict=True)]


def made_here() -> dict[str, str]:
    """The part `made_with` of a record: versions of the software, and the kind of device."""
    return made_with("jax") | {"device": jax.default_backend()}


def whole_seeds(
    records: Sequence[dict[str, Any]], name: str, folds: Collection[int]
) -> tuple[list[dict[str, Any]], list[int], list[str]]:
    """Select the seeds that have run all folds.

    Args:
      records: records of one kind of features, one for each seed and fold that has run.
      name: name of the features, for the sentence.
      folds: numbers of all folds.

    Returns:
      the records of the seeds that have all folds; these seeds, ascending; and a sentence if seeds are left out.
    """
    run: dict[int, list[int]] = {}
    for record in records:
        run.setdefault(record["seed"], []).append(record["fold"]["number"])
    whole = [seed for seed in sorted(run) if sorted(run[seed]) == sorted(folds)]
    left_out = len(run) - len(whole)
    problems = [f"{name}: {left_out} of {len(run)} seeds have not run all folds yet"] if left_out else []
    return [record for record in records if record["seed"] in whole], whole, problems
