"""Finds recordings with the same bytes as other recordings, which are left out of training.

In a batch, two copies of one recording would be contrasted like different recordings.
"""

import concurrent.futures
import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.files import atomic_write, sha256_of_file
from jfewshot.simclr.data.manifest import Utterance

log = logging.getLogger(__name__)

RECORD = "copies.json"
_NAMED = 10
_READERS = 16


def find_copies(utterances: Sequence[Utterance]) -> dict[str, list[str]]:
    """Find recordings with the same bytes.

    Only files of equal size are read, since files of different sizes cannot be equal.

    Args:
      utterances: recordings in a fixed order.

    Returns:
      from the name of a recording that is kept, the first by name, to the names of its copies. Recordings without copies are not
      listed.
    """
    by_size: dict[int, dict[str, Utterance]] = defaultdict(dict)
    for each in utterances:
        if each.path.exists():
            by_size[each.path.stat().st_size].setdefault(each.name, each)
    candidates = [each for same in by_size.values() if len(same) > 1 for each in same.values()]
    with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
        digests = list(readers.map(_digest, candidates))
    by_content: dict[str, list[Utterance]] = defaultdict(list)
    for each, digest in zip(candidates, digests, strict=True):
        if digest is not None:
            by_content[digest].append(each)
    groups = [sorted(same, key=lambda each: each.name) for same in by_content.values() if len(same) > 1]
    return {
        first.name: [each.name for each in others] for first, *others in sorted(groups, key=lambda same: same[0].name)
    }


def without_copies(utterances: Sequence[Utterance], copies: Mapping[str, Sequence[str]]) -> list[Utterance]:
    """Leave out copies, and log their names.

    Args:
      utterances: recordings in a fixed order.
      copies: from `find_copies`.

    Returns:
      the recordings that are kept, in their order; a recording that is listed twice under one name is kept once.
    """
    kept_of = {copy: kept for kept, others in copies.items() for copy in others}
    first = {each.name: each for each in reversed(utterances)}
    stay = [each for each in first.values() if each.name not in kept_of][::-1]
    gone = [name for name in kept_of if name in first]
    for name in gone[:_NAMED]:
        kept = first.get(kept_of[name])
        speakers = (kept.speaker, first[name].speaker) if kept is not None else ("", "")
        other = f"; the speakers differ: {speakers[0]}, {speakers[1]}" if speakers[0] != speakers[1] else ""
        log.warning("left out: %s has the same bytes as %s%s", name, kept_of[name], other)
    twice = len(utterances) - len(first)
    if gone or twice:
        log.warning(
            "%d of %d recordings left out, because others have the same bytes; %s of the run lists them",
            len(gone) + twice,
            len(utterances),
            RECORD,
        )
    return stay


def keep_copies(folder: Path, copies: Mapping[str, Sequence[str]]) -> None:
    """Write the copies that a run leaves out.

    Args:
      folder: folder of the run.
      copies: from `find_copies`.
    """
    with atomic_write(folder / RECORD, "w") as file:
        json.dump(dict(copies), file, indent=2, ensure_ascii=False)


def known_copies(folder: Path) -> dict[str, list[str]]:
    """Read the copies that a run leaves out; none for a run that an older version began, which wrote no such file.

    Args:
      folder: folder of the run.

    Raises:
      UserError: if the list cannot be read.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {str(kept): [str(name) for name in others] for kept, others in record.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}); begin the run again in another --out") from error


def _digest(utterance: Utterance) -> str | None:
    """The SHA-256 of a file; None for a file that cannot be read, about which the loader will warn."""
    try:
        return sha256_of_file(utterance.path)
    except OSError:
        return None
