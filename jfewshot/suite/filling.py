"""Digests that were unknown when a suite was frozen: two contributions with equal digests fill them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.json_values import decode_json
from jfewshot.suite.contribution import Contribution
from jfewshot.suite.definition import DIGESTS, Digest, Suite, check_format

FORMAT = "jfewshot-suite-digests"
FORMAT_VERSION = 1
_NEEDED = 2  # contributions of different encoders


class Filled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A digest and the encoders whose contributions agree on it; no encoder where the suite's file has it."""

    digest: Digest
    by: list[str]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    format_version: int
    definition: str
    digests: dict[str, dict[str, Filled]]


class Known(NamedTuple):
    """What is known of the digests of a suite.

    Attributes:
      digests: by task and kind (`clip_table`, `classes`, `draws`).
      contested: by task and kind, the encoders of each value where contributions disagree and nothing is known.
    """

    digests: dict[tuple[str, str], Filled]
    contested: dict[tuple[str, str], dict[str, list[str]]]


def known_digests(
    suite: Suite, contributions: Iterable[Contribution], earlier: Mapping[tuple[str, str], Filled] | None = None
) -> Known:
    """Collect the digests that the suite's file has and those that two contributions agree on.

    Args:
      suite: with the digests that were known when it was frozen.
      contributions: to this suite; one for each encoder.
      earlier: what earlier contributions filled, which later ones cannot change; None for nothing.

    Returns:
      the digests, and where contributions disagree.
    """
    found = {
        (task, kind): Filled(value, [])
        for task, digests in suite.digests.items()
        for kind in DIGESTS
        if (value := getattr(digests, kind))
    }
    for place, filled in (earlier or {}).items():
        found.setdefault(place, filled)
    contested = {}
    contributions = list(contributions)
    for task in suite.digests:
        for kind in DIGESTS:
            if (task, kind) in found:
                continue
            seen: dict[str, list[str]] = {}
            for one in contributions:
                if task in one.tasks:
                    seen.setdefault(getattr(one.tasks[task], kind), []).append(one.encoder.name)
            agreed = [value for value, names in seen.items() if len(set(names)) >= _NEEDED]
            if len(agreed) == 1:
                found[task, kind] = Filled(agreed[0], sorted(set(seen[agreed[0]])))
            elif len(seen) > 1:
                contested[task, kind] = seen
    return Known(found, contested)


def read_filled(path: Path, suite: Suite) -> dict[tuple[str, str], Filled]:
    """Read what the contributions of a leaderboard filled.

    Args:
      path: of `digests.json`; nothing is filled where there is none.
      suite: whose digests they are.

    Returns:
      by task and kind.

    Raises:
      UserError: if the file is damaged or of another suite.
    """
    if not path.exists():
        return {}
    again = "delete it, and `jfewshot suite build` writes it again from the contributions"
    try:
        value = decode_json(path.read_bytes())
        check_format(value, FORMAT, FORMAT_VERSION, str(path), "list of digests")
        file = msgspec.convert(value, _File)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    except (msgspec.ValidationError, UserError) as error:
        raise UserError(f"{path} is damaged ({error}); {again}") from error
    if file.definition != suite.definition:
        raise UserError(f"{path} is of another suite than '{suite.name}', version {suite.version}; {again}")
    return {(task, kind): filled for task, kinds in file.digests.items() for kind, filled in kinds.items()}


def filled_text(suite: Suite, known: Known) -> str:
    """What contributions filled, as the text of `digests.json`.

    Args:
      suite: whose digests they are.
      known: from `known_digests`.

    Returns:
      JSON.
    """
    digests: dict[str, dict[str, Any]] = {}
    for (task, kind), filled in sorted(known.digests.items()):
        if filled.by:
            digests.setdefault(task, {})[kind] = filled
    file = _File(FORMAT, FORMAT_VERSION, suite.definition, digests)
    return msgspec.json.format(msgspec.json.encode(file), indent=1).decode() + "\n"


def write_filled(path: Path, suite: Suite, known: Known) -> None:
    """Write `digests.json`.

    Args:
      path: of the file.
      suite: whose digests they are.
      known: from `known_digests`.
    """
    with atomic_write(path, "w") as file:
        file.write(filled_text(suite, known))
