"""A dataset of the user's own that needs no code: a folder of class folders, or a table of paths and labels.

    --datasets folder:NAME      ROOT/<class>/**/*.wav
    --datasets table:PATH       a CSV, TSV or Parquet file with the columns below (or others, named with --column.label
                                and so on); audio paths are relative to ROOT

| column | |
|---|---|
| `path` (or `file_name`) | the audio file; required |
| `label` (or `class`) | the class; required, but a row with an empty label is left out |
| `group`, `split`, `clip_id` | optional; without `clip_id`, the clip id is the path |
| `start_s`, `end_s` | optional; with these columns a clip is a stretch of a recording, in seconds |

A stretch's clip id is path, start and end (`dawn.wav:12.5-14`), and its group is the recording, unless the table has a column
`group`. Stretches that overlap with a stretch of another class are left out (`--overlaps keep` keeps them).

A table in the layout of Hugging Face's `audiofolder` (`metadata.csv` with `file_name` and `label`) can be used as it is.
"""

import collections
import dataclasses
import logging
import math
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from extraction.datasets.base import Columns, DatasetInfo, Recording
from extraction.datasets.layout import clip_id_below, read_table, require_folder, subfolders
from jfewshot.audio import AUDIO_SUFFIXES, MIN_DURATION_S, sound_below
from jfewshot.errors import UserError
from jfewshot.files import files_below

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ClassFolders:
    """A clip's class is the folder directly below the root; its group is the next subfolder, if there is one."""

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """List all audio files in class folders, in the order of clip ids."""
        if not root.is_dir():
            raise UserError(f"{root} is not a folder; it should hold one folder per class")
        found, without = [], {}
        for folder in subfolders(root):
            files = sound_below(folder)
            found += [_clip(root, folder, path) for path in files]
            if not files:
                without[folder.name] = collections.Counter(path.suffix or "no ending" for path in files_below(folder))
        if not found:
            raise UserError(f"{root} holds no audio files in folders; it should look like {root}/<class>/<clip>.wav")
        if without:
            endings = {
                name: ", ".join(f"{n} {ending}" for ending, n in seen.most_common(3)) for name, seen in without.items()
            }
            items = [f"{name} ({seen or 'empty'})" for name, seen in endings.items()]
            logger.warning(
                "%s: %d folders hold no audio and are not used as classes: %s. Audio files are those that end in %s",
                root,
                len(without),
                "; ".join(items[:10]) + (f"; and {len(items) - 10} more" if len(items) > 10 else ""),
                ", ".join(AUDIO_SUFFIXES),
            )
        return sorted(found, key=lambda recording: recording.clip_id)


@dataclasses.dataclass(frozen=True)
class Table:
    """Clips, labels and groups from a table.

    Attributes:
      info: facts about the dataset, which is named after the file.
      path: the table: CSV (`.csv`), tab-separated (`.tsv`) or Parquet (`.parquet`).
      columns: names of columns that are not the usual ones.
    """

    info: DatasetInfo
    path: Path
    columns: Columns

    def recordings(self, root: Path) -> list[Recording]:
        """List all rows in the order of clip ids; a row without a label or without a file is marked as left out.

        Raises:
          UserError: if the table lacks a column, if no file exists, or if several rows name the same clip.
        """
        require_folder(root, self.info)
        rows = _rows(self.path)
        if not rows:
            raise UserError(f"{self.path} has no rows")
        named = self.columns
        path_column = _column(self.path, rows[0], "audio", named.audio, ("path", "file_name"))
        label_column = _column(self.path, rows[0], "label", named.label, ("label", "class"))
        group_column = _column(self.path, rows[0], "group", named.group, ("group",)) if named.group else "group"
        split_column = _column(self.path, rows[0], "split", named.split, ("split",)) if named.split else "split"
        ends = _stretch_columns(self.path, rows[0], named)
        further = [(name, _column(self.path, rows[0], "further", name, ())) for name in named.further]
        found = []
        for number, row in enumerate(rows, 2):
            number = getattr(row, "line", number)  # rows of Parquet have no line, only their number
            path, name, label = root / row[path_column], Path(row[path_column]).as_posix(), row[label_column]
            if ends is None:
                clip = Recording(name, path, label, left_out="" if path.is_file() else "file is missing")
            else:
                start_s, end_s = (seconds_of(row[column], f"{self.path}, line {number}, {column}") for column in ends)
                clip = stretch(path=path, name=name, start_s=start_s, end_s=end_s, label=label)
            found.append(
                dataclasses.replace(
                    clip,
                    left_out=clip.left_out or ("" if label and label.strip() else "no label"),
                    clip_id=row.get("clip_id") or clip.clip_id,
                    group=(row[group_column] or "") if group_column in row else clip.group,
                    split=row.get(split_column) or "",
                    further=tuple((name, row[column] or "") for name, column in further),
                )
            )
        _require_files(self.path, root, found)
        if ends is None:
            _require_whole_files(self.path, rows[0], found)
        return sorted(found, key=lambda recording: recording.clip_id)


def class_folders(name: str, columns: Columns) -> ClassFolders:
    """A folder of class folders, as a dataset with a name that the user chooses. `columns` is not used."""
    if not name:
        raise UserError("a folder of class folders needs a name, for instance folder:birds")
    return ClassFolders(DatasetInfo(name, name, "", "", ""))


def table(path: str, columns: Columns) -> Table:
    """The clips of a table; the store is named after the file."""
    return Table(DatasetInfo(Path(path).stem, Path(path).stem, "", "", "", group_is="group"), Path(path), columns)


def _clip(root: Path, folder: Path, path: Path) -> Recording:
    clip_id, group = clip_id_below(root, path), _group(folder, path)
    # A name that is not UTF-8, as in old archives, cannot be written to a table, and libsndfile cannot open the file.
    readable = [text.encode(errors="surrogateescape").decode(errors="backslashreplace") for text in (clip_id, group)]
    if readable[0] == clip_id:
        return Recording(clip_id, path, folder.name, group)
    label = readable[0].partition("/")[0]
    return Recording(readable[0], path, label, readable[1], left_out="its name is not UTF-8 text; rename it")


def _require_files(table: Path, root: Path, found: Sequence[Recording]) -> None:
    """Refuse a table if none of its files exists: its paths are relative to another folder, or of another operating system."""
    if any(one.path.is_file() for one in found):
        return
    first = found[0].path
    written = str(first.relative_to(root)) if first.is_relative_to(root) else str(first)
    ending = next((suffix for suffix in AUDIO_SUFFIXES if first.with_name(first.name + suffix).is_file()), None)
    if ending is not None:
        fix = f"Add the ending {ending} to its paths"
    elif "\\" in written and (root / written.replace("\\", "/")).is_file():
        fix = "Write / instead of \\ in its paths"
    else:
        fix = "Give the folder to which its paths are relative as --root"
    raise UserError(f"{table}: none of its {len(found)} clips is in {root} (the first: '{written}'). {fix}")


def _require_whole_files(table: Path, row: dict[str, str], found: Sequence[Recording]) -> None:
    """Refuse several rows with the same clip id. They may be stretches whose times are in columns with unusual names."""
    clip_id, times = collections.Counter(one.clip_id for one in found).most_common(1)[0]
    if times == 1:
        return
    start, end = (
        next((name for name in row if name.lower().startswith(words)), word)
        for word, words in (("START", ("start", "begin", "onset")), ("END", ("end", "stop", "offset")))
    )
    raise UserError(
        f"{table}: {times} rows name '{clip_id}', but each row must be a different clip. If rows are stretches of recordings, "
        f"name the columns of their seconds: --column.start {shlex.quote(start)} --column.end {shlex.quote(end)}; if not, keep "
        "one row for each file"
    )


def _group(folder: Path, path: Path) -> str:
    below = path.relative_to(folder).parts
    return below[0] if len(below) > 1 else ""


def _rows(path: Path) -> Sequence[dict[str, str]]:
    if path.suffix == ".parquet":
        try:
            import pyarrow
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise UserError(
                f"reading {path} needs the Python package pyarrow: pip install pyarrow, or give a CSV"
            ) from error
        if not path.is_file():
            raise UserError(f"{path} does not exist")
        try:
            rows = parquet.read_table(path).to_pylist()
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{path} cannot be read as a Parquet file: {reason}; write it again, or give a CSV"
            ) from error
        return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    return read_table(path, (), "\t" if path.suffix == ".tsv" else ",")


def _stretch_columns(path: Path, row: dict[str, str], named: Columns) -> tuple[str, str] | None:
    """The columns with the beginning and the end of a clip; None if clips are whole files."""
    asked = {"start": named.start, "end": named.end}
    columns = {word: _column(path, row, word, name, ()) if name else f"{word}_s" for word, name in asked.items()}
    there = [column in row for column in columns.values()]
    if any(there) and not all(there):
        lacking = next(column for column in columns.values() if column not in row)
        raise UserError(
            f"{path} says where clips {'end' if there[1] else 'begin'} and has no column {lacking}: a stretch needs both. "
            f"Name the right column, for instance --column.{'start' if there[1] else 'end'} NAME"
        )
    return (columns["start"], columns["end"]) if all(there) else None


def seconds_of(text: str, where: str) -> float:
    """Read a time from a table.

    Args:
      text: a number of seconds, 0 or more.
      where: file and line of the text, for the message.

    Raises:
      UserError: if the text is not such a number.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"{where}: '{text}' is no number of seconds; give 0 or more, with a point, for instance 12.5")
    return seconds


def stretch(*, path: Path, name: str, start_s: float, end_s: float, label: str) -> Recording:
    """Make a clip of a stretch of a recording; it is marked as left out if it is unusable.

    Args:
      path: the recording.
      name: name of the recording, which becomes the clip's group.
      start_s: beginning of the clip in seconds.
      end_s: end of the clip in seconds.
      label: class of the clip.

    Returns:
      the clip; its id consists of name, start and end.
    """
    left_out = ""
    if not path.is_file():
        left_out = "file is missing"
    elif end_s < start_s:
        left_out = f"ends at {end_s:g} s, before it begins at {start_s:g} s"
    elif end_s - start_s < MIN_DURATION_S:
        left_out = f"too short: {1000 * (end_s - start_s):.0f} ms, less than {1000 * MIN_DURATION_S:.0f} ms"
    clip_id = f"{name}:{start_s:.10g}-{end_s:.10g}"
    return Recording(clip_id, path, label, group=name, left_out=left_out, start_s=start_s, end_s=end_s)


def without_doubles(clips: Iterable[Recording]) -> list[Recording]:
    """Remove repeated stretches. If a stretch has several labels, each label makes a clip.

    Args:
      clips: clips whose ids consist of recording, start and end.

    Returns:
      the clips in the order of their ids. All have the same further columns.
      the clips in the order of their ids, all with the same further columns.
    """
    found: dict[str, Recording] = {}
    further: dict[str, None] = {}
    for clip in clips:
        further |= dict.fromkeys(name for name, _ in clip.further)
        if found.setdefault(clip.clip_id, clip).label != clip.label:
            clip = dataclasses.replace(clip, clip_id=f"{clip.clip_id}:{clip.label}")
            found[clip.clip_id] = clip
    complete = [
        dataclasses.replace(one, further=tuple((name, dict(one.further).get(name, "")) for name in further))
        for one in found.values()
    ]
    return sorted(complete, key=lambda recording: recording.clip_id)


def _column(path: Path, row: dict[str, str], what: str, named: str | None, usual: Sequence[str]) -> str:
    names = [named] if named else usual
    for name in names:
        if name in row:
            return name
    raise UserError(
        f"{path} has no column {' or '.join(names)}; it has {', '.join(row)}. Name the right one with --column.{what}"
    )
