"""Find clips with their classes and groups, and list the files that are left out, with reasons."""

import collections
import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

from extraction.datasets.base import Columns, Dataset, DatasetInfo, Recording
from extraction.datasets.filters import leave_out_overlaps, leave_out_unread
from extraction.datasets.own import class_folders, table
from extraction.trying.groups import parts_of
from jfewshot.audio import AUDIO_SUFFIXES, is_unread, sound_below
from jfewshot.errors import UserError
from jfewshot.files import files_below
from jfewshot.printable import counted

_TABLES = (".csv", ".tsv", ".parquet", ".jsonl", ".json")


@dataclasses.dataclass(frozen=True)
class Found:
    """The clips of a folder or table.

    Attributes:
      name: name of the dataset, which also names the folder of its stores.
      root: folder to which clip ids are relative.
      recordings: all recordings, in the order of clip ids; recordings with `left_out` are not used.
      not_taken: sentences about other files: files that are no audio, and audio that is not in a class folder.
    """

    name: str
    root: Path
    recordings: tuple[Recording, ...]
    not_taken: tuple[str, ...]

    @property
    def used(self) -> list[Recording]:
        """The clips that were not left out."""
        return [recording for recording in self.recordings if not recording.left_out]

    def dataset(self) -> Dataset:
        """These recordings as a dataset that can be extracted."""
        return _Ready(DatasetInfo(self.name, self.name, "", "", ""), self.recordings)

    def without(self, reasons: dict[str, str]) -> "Found":
        """Leave out more clips.

        Args:
          reasons: the reasons, by clip id.
        """
        recordings = tuple(
            dataclasses.replace(one, left_out=reasons[one.clip_id])
            if one.clip_id in reasons and not one.left_out
            else one
            for one in self.recordings
        )
        return dataclasses.replace(self, recordings=recordings)


@dataclasses.dataclass(frozen=True)
class _Ready:
    info: DatasetInfo
    _recordings: tuple[Recording, ...]

    def recordings(self, root: Path) -> list[Recording]:
        return list(self._recordings)


def find_clips(
    path: Path, root: Path | None, columns: Columns, group_from: str | None, also: Sequence[Path] = ()
) -> Found:
    """Find the clips in class folders, or the clips that a table names.

    Args:
      path: the folder with class folders, or the table.
      root: folder to which the paths of a table are relative; None: the table's folder.
      columns: names of the table's columns.
      group_from: rule that makes groups from file names; None: groups are the subfolders of class folders, or the values of the
        table's column.
      also: more folders of class folders. Clip ids then begin with the name of the folder.

    Returns:
      the clips, and sentences about files that are not clips.

    Raises:
      UserError: if the folder or table does not exist, has no clips, or if the rule for groups does not fit a clip.
    """
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"{path} does not exist; give a folder with one folder per class, or a CSV of paths and labels")
    if path.is_file():
        if path.suffix.lower() not in _TABLES:
            raise UserError(
                f"{path} is one file; give a folder with one folder per class, or a CSV of paths and labels"
            )
        if also:
            raise UserError("--also merges folders of class folders; add the rows to the table instead")
        root = (root or path.parent).resolve()
        found = table(str(path), columns).recordings(root)
        not_taken: list[str] = []
    else:
        if root is not None:
            raise UserError("--root is for a table; leave it out, or give a CSV instead of the folder")
        root = path.resolve()
        if also:
            return _with_groups_of(_merged([path, *also], columns), group_from)
        _require_class_folders(root)
        found = class_folders(_as_typed(path).name, columns).recordings(root)
        not_taken = _not_taken(root)
    clips = tuple(leave_out_overlaps(leave_out_unread(found)))
    return _with_groups_of(Found(_name_of(path), root, clips, tuple(not_taken)), group_from)


def _merged(folders: Sequence[Path], columns: Columns) -> Found:
    """Find the clips of several folders of class folders."""
    roots = [path.expanduser().resolve() for path in folders]
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is not a folder; --also takes folders with one folder per class")
        inside = next((other for other in roots if other != root and root.is_relative_to(other)), None)
        if inside is not None:
            raise UserError(f"{root} lies in {inside}, so its clips would be taken twice; leave one of them out")
    names = [_as_typed(path.expanduser()).name for path in folders]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"two folders are called '{twice}', and clips are named after their folders; rename one of them"
        )
    found: list[Recording] = []
    not_taken = []
    for root, name in zip(roots, names, strict=True):
        own = class_folders(name, columns).recordings(root)
        found += [dataclasses.replace(one, clip_id=f"{name}/{one.clip_id}") for one in own]
        not_taken += [f"{name}: {text}" for text in _not_taken(root)]
    if len({one.label for one in found}) < 2:
        raise UserError(f"{', '.join(map(str, roots))} have one class together; two are needed at least")
    found.sort(key=lambda one: one.clip_id)
    clips = tuple(leave_out_overlaps(leave_out_unread(found)))
    return Found(_name_of(folders[0].expanduser()), roots[0].parent, clips, tuple(not_taken))


def _with_groups_of(found: Found, group_from: str | None) -> Found:
    """Add groups from file names, if the user requests them."""
    if group_from is None:
        return found
    return dataclasses.replace(found, recordings=tuple(_with_groups(found.recordings, group_from)))


def _require_class_folders(root: Path) -> None:
    folders = [one for one in root.iterdir() if one.is_dir() and not one.name.startswith(".")]
    with_sound = [one for one in folders if sound_below(one)]
    if len(with_sound) >= 2:
        return
    flat = [one for one in root.iterdir() if one.is_file() and holds_sound(one)]
    if len(with_sound) == 1:
        inside = [one for one in with_sound[0].iterdir() if one.is_dir() and sound_below(one)]
        if len(inside) >= 2:
            raise UserError(
                f"{root} holds a single folder with audio, '{with_sound[0].name}'; did you mean {with_sound[0]}?"
            )
        raise UserError(
            f"{root} has audio in one folder only, '{with_sound[0].name}'; two classes are needed at least, each in a folder of "
            "its own"
        )
    if flat:
        raise UserError(
            f"{root} holds {counted(len(flat), 'audio file')} and no folder per class. Move the clips of each class into a "
            "folder named after it, or give a CSV with the columns path and label"
        )
    raise UserError(f"{root} holds no audio in folders; it should look like {root}/CLASS/CLIP.wav")


def holds_sound(path: Path) -> bool:
    """Whether the name of a file is that of audio, in any format."""
    return path.suffix.lower() in AUDIO_SUFFIXES or is_unread(path)


def _not_taken(root: Path) -> list[str]:
    others = collections.Counter(
        path.suffix.lower() or "no ending" for path in files_below(root) if not holds_sound(path)
    )
    flat = [path.name for path in sorted(root.iterdir()) if path.is_file() and holds_sound(path)]
    said = []
    if flat:
        more = f" and {len(flat) - 3} more" if len(flat) > 3 else ""
        one, several = "audio file lies in no class folder and was", "audio files lie in no class folder and were"
        said.append(f"{counted(len(flat), one, several)} not taken: {', '.join(flat[:3])}{more}.")
    if others:
        kinds = ", ".join(f"{count} {ending}" for ending, count in others.most_common(5))
        one, several = "file is no audio file by its name and was", "files are no audio files by their names and were"
        said.append(f"{counted(sum(others.values()), one, several)} not taken: {kinds}.")
    return said


def _with_groups(found: Sequence[Recording], group_from: str) -> list[Recording]:
    if group_from.isdecimal() and int(group_from) >= 1:
        number = int(group_from)

        def group(recording: Recording) -> str:
            parts = parts_of(recording.clip_id)
            return parts[number - 1] if len(parts) >= number else ""
    else:
        try:
            pattern = re.compile(group_from)
        except re.error as error:
            raise UserError(f"--group-from '{group_from}' is no regular expression ({error})") from error
        if pattern.groups != 1:
            raise UserError(
                f"--group-from '{group_from}' has {pattern.groups} pairs of parentheses; one is needed, around the group"
            )

        def group(recording: Recording) -> str:
            match = pattern.search(recording.clip_id)
            return (match[1] or "") if match else ""

    groups = [group(recording) for recording in found]
    without = [recording.clip_id for recording, own in zip(found, groups, strict=True) if not own]
    if without:
        raise UserError(
            f"--group-from {group_from} finds no group in {len(without)} of {len(found)} clips, for instance in {without[0]}; "
            "every clip needs one"
        )
    return [dataclasses.replace(recording, group=own) for recording, own in zip(found, groups, strict=True)]


def _as_typed(path: Path) -> Path:
    """The absolute path with the name that the user gave: a link is not replaced by its target."""
    return Path(os.path.abspath(path))


def _name_of(path: Path) -> str:
    """A name that is safe for folders: letters, digits, `_`, `-` and `.`."""
    name = _as_typed(path).stem if path.is_file() else _as_typed(path).name
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "clips"
