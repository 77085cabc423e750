"""Labelled stretches of long recordings, as annotation programs write them.

    --datasets raven:FOLDER       selection tables of Raven (and of BirdNET), in FOLDER and below
    --datasets audacity:FOLDER    label tracks that Audacity exported, in FOLDER and below

ROOT is the folder of the recordings. A file of annotations belongs to the recording whose name it begins with:
`dawn.Table.1.selections.txt` and `dawn.txt` belong to `dawn.wav`. A selection table with a column `Begin File` (or `Begin Path`)
may speak of several recordings.

A clip is one selection, its group the recording. Raven writes each selection once for each view (waveform, spectrogram); it is
taken once. The label is in the column named with `--column.label`, or else in the first there is of `annotation_files.LABELS`.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from extraction.datasets.annotation_files import Selection, read_audacity, read_raven
from extraction.datasets.base import Columns, DatasetInfo, Recording
from extraction.datasets.layout import require_folder
from extraction.datasets.own import stretch
from jfewshot.audio import sound_below
from jfewshot.errors import UserError
from jfewshot.files import files_below

_ENDING = ".txt"


@dataclasses.dataclass(frozen=True)
class Annotations:
    """A folder of annotations, and a folder of recordings.

    Attributes:
      info: named after the folder of annotations.
      folder: of the annotations.
      read: from a file of annotations and the user's columns to its selections.
      columns: which hold what, where they are not called as usual.
    """

    info: DatasetInfo
    folder: Path
    read: Callable[[Path, Columns], Iterator[Selection]]
    columns: Columns

    @property
    def annotation_folder(self) -> Path:
        """The folder of the annotations, which need not hold recordings."""
        return self.folder

    def recordings(self, root: Path) -> list[Recording]:
        """Every selection, in the order of clip ids; one that cannot be used is marked."""
        require_folder(root, self.info)
        tables = [path for path in files_below(self.folder) if path.suffix.lower() == _ENDING]
        if not tables:
            raise UserError(f"{self.folder} holds no file that ends in {_ENDING}; give the folder of the annotations")
        names = _Names(root)
        found: dict[str, Recording] = {}
        for path in tables:
            for selection in self.read(path, self.columns):
                audio = names.find(selection.file or path.name, path)
                clip = stretch(
                    path=audio if audio is not None else root / (selection.file or path.stem),
                    name=audio.relative_to(root).as_posix() if audio is not None else selection.file or path.stem,
                    start_s=selection.start_s,
                    end_s=selection.end_s,
                    label=selection.label,
                )
                if not selection.label:
                    clip = dataclasses.replace(clip, left_out=f"has no label ({path.name}, line {selection.line})")
                elif audio is None:
                    clip = dataclasses.replace(clip, left_out=f"no recording of this name below {root} ({path.name})")
                # The same stretch twice under one label is one clip; under two labels, a clip of each.
                if found.setdefault(clip.clip_id, clip).label != clip.label:
                    clip = dataclasses.replace(clip, clip_id=f"{clip.clip_id}:{clip.label}")
                    found[clip.clip_id] = clip
        if not found:
            raise UserError(f"{self.folder}: its {len(tables)} files hold no selection")
        return sorted(found.values(), key=lambda recording: recording.clip_id)


def raven(folder: str, columns: Columns) -> Annotations:
    """Raven's selection tables below a folder.

    Args:
      folder: of the tables.
      columns: of the label, where it is not among `LABELS`.
    """
    return _annotations(folder, columns, read_raven)


def audacity(folder: str, columns: Columns) -> Annotations:
    """Audacity's label tracks below a folder.

    Args:
      folder: of the label tracks.
      columns: not used, since label tracks have no columns.
    """
    return _annotations(folder, columns, read_audacity)


def _annotations(folder: str, columns: Columns, read: Callable[[Path, Columns], Iterator[Selection]]) -> Annotations:
    path = Path(folder)
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; give the folder of the annotations, and that of the audio as --root")
    name = path.resolve().name
    return Annotations(DatasetInfo(name, name, "", "", "", group_is="recording"), path, read, columns)


class _Names:
    """Recordings by their names, with and without the ending.

    Args:
      root: their folder.
    """

    def __init__(self, root: Path):
        self._root = root
        self._named: dict[str, list[Path]] = {}
        for path in sound_below(root):
            for name in {path.name, path.stem}:
                self._named.setdefault(name, []).append(path)

    def find(self, name: str, annotations: Path) -> Path | None:
        """The recording that a name begins with; None for none.

        Args:
          name: of a recording, or of a file of annotations.
          annotations: the file that names it, for messages.

        Raises:
          UserError: if several recordings have it.
        """
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            found = self._named.get(".".join(parts[:end]), [])
            if len(found) > 1:
                beside = [path for path in found if path.parent.name == annotations.parent.name]
                found = beside if len(beside) == 1 else found
            if len(found) > 1:
                raise UserError(
                    f"{annotations}: {len(found)} recordings below {self._root} are called {'.'.join(parts[:end])} "
                    f"({found[0].relative_to(self._root)}, {found[1].relative_to(self._root)}); give them different names"
                )
            if found:
                return found[0]
        return None
