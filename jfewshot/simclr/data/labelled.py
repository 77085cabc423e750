"""Reads labelled recordings, on which an encoder is measured while it trains."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jfewshot.audio import sound_below
from jfewshot.errors import UserError
from jfewshot.files.tables import read_table, refuse_nested, require_columns

_FIX = "give a folder with a folder per class, or a CSV or JSON lines with the columns path and class"


@dataclass(frozen=True)
class Labelled:
    """A recording and its label.

    Args:
      path: the audio file.
      class_name: its class.
      group: the speaker or site; empty if unknown.
    """

    path: Path
    class_name: str
    group: str


def read_labelled(source: Path, least: int) -> list[Labelled]:
    """Read the labelled recordings of a folder or manifest, sorted by path.

    Args:
      source: a folder with a folder of recordings per class; or a `.csv` or `.jsonl` with `path` (relative to the manifest's
        folder, or absolute) and `class` (or `label`), and if known `group` (or `speaker`).
      least: number of recordings that every class needs.

    Returns:
      the recordings.

    Raises:
      UserError: if there are no recordings, the manifest lacks these columns, there are fewer than two classes, or a class is too
        small.
    """
    if source.suffix in (".csv", ".jsonl"):
        found = sorted(_manifest_rows(source), key=lambda each: str(each.path))
    elif source.is_dir():
        inside = ((path, path.relative_to(source).parts) for path in sound_below(source))
        found = [Labelled(path, parts[0], "") for path, parts in inside if len(parts) > 1]
    else:
        raise UserError(f"{source} is neither a folder nor a manifest (.csv, .jsonl); {_FIX}")
    counts = Counter(each.class_name for each in found)
    if len(counts) < 2:
        raise UserError(f"{source} has recordings of {len(counts)} classes, and few-shot accuracy needs two; {_FIX}")
    small = min(counts, key=lambda name: (counts[name], name))
    if counts[small] < least:
        raise UserError(
            f"{source}: class '{small}' has {counts[small]} recordings, and --monitor.shots with --monitor.n-query needs "
            f"{least}; lower them, or remove the class"
        )
    return found


def _manifest_rows(manifest: Path) -> Iterator[Labelled]:
    rows = read_table(manifest, ("path",), _FIX)
    label = "class" if rows and "class" in rows[0] else "label"
    require_columns(manifest, list(rows[0]) if rows else [], (label,), _FIX)
    for row in rows:
        for column in ("path", label, "group", "speaker"):
            refuse_nested(manifest, row, column)
        path = manifest.parent / row["path"]
        if not row["path"] or not path.exists():
            raise UserError(f"{manifest}: line {row.line} names no file that exists ({row['path']}); mend or remove it")
        if not row[label]:
            raise UserError(f"{manifest}: line {row.line} has no {label}; name the class, or remove the line")
        yield Labelled(path, str(row[label]), str(row.get("group") or row.get("speaker") or ""))
