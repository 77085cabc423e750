"""Keeps the list of utterances with which a run began, so that the run can continue even if files were lost.

The batches of every step follow from the list of utterances. So a continued run uses the list with which it began. When a batch
is loaded, `loader` replaces files that cannot be read any more.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.simclr.data.manifest import Utterance

log = logging.getLogger(__name__)

RECORD = "utterances.jsonl"
_NAMED = 10


class Known(NamedTuple):
    """Facts about a file from the time when it was read.

    Attributes:
      speaker: its speaker; empty if unknown.
      duration_s: its true length in seconds.
      size: its size in bytes.
      changed_ns: time of its last change, in nanoseconds.
    """

    speaker: str
    duration_s: float
    size: int
    changed_ns: int


def known_utterances(folder: Path) -> dict[str, Known]:
    """Read the utterances with which a run began, by name; empty if it has not begun, or an older version began it.

    Args:
      folder: folder of the run.

    Raises:
      UserError: if the list cannot be read.
    """
    path = folder / RECORD
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return {
            str(name): Known(str(speaker), float(seconds), int(size), int(changed))
            for name, speaker, seconds, size, changed in rows
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}); begin the run again in another --out") from error


def keep_utterances(folder: Path, utterances: Sequence[Utterance]) -> None:
    """Write the list of utterances of a new run.

    Args:
      folder: folder of the run.
      utterances: all utterances of the run, sorted by name.
    """
    with atomic_write(folder / RECORD, "w") as file:
        for each in utterances:
            status = each.path.stat() if each.path.exists() else None
            facts = (status.st_size, status.st_mtime_ns) if status else (0, 0)
            file.write(json.dumps([each.name, each.speaker, each.duration_s, *facts]) + "\n")


def as_begun(known: dict[str, Known], found: list[Utterance], base: Path) -> list[Utterance]:
    """Choose the utterances of a run: for a continued run those with which it began, even if files were lost since.

    Args:
      known: utterances with which the run began, from `known_utterances`; empty if the run begins now.
      found: utterances that exist now, sorted by name.
      base: folder to which the names are relative.

    Returns:
      the utterances with which the run began; `found` if it begins now, or if files are new or changed, which `settle_record`
      then refuses.
    """
    if not known:
        return found
    here = {each.name: each for each in found}
    lost = [name for name in known if name not in here]
    other = [
        each.name
        for each in found
        if each.name not in known
        or (each.speaker, round(each.duration_s, 3))
        != (known[each.name].speaker, round(known[each.name].duration_s, 3))
    ]
    if other:
        log.warning("%d of %d files are new or changed since the run began: %s", len(other), len(found), _some(other))
        return found
    if lost:
        log.warning(
            "the data lost %d of the %d files that the run began with: %s. The run continues; other files take their places",
            len(lost),
            len(known),
            _some(lost),
        )
    return [
        here[name] if name in here else Utterance(base / name, name, facts.speaker, facts.duration_s)
        for name, facts in known.items()
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
