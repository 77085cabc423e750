"""Labelled stretches of long recordings, as annotation programs write them.

    --datasets raven:FOLDER       selection tables of Raven (and of BirdNET), in FOLDER and below
    --datasets audacity:FOLDER    label tracks that Audacity exported, in FOLDER and below
    --datasets textgrid:FOLDER    Praat's TextGrids
    --datasets elan:FOLDER        ELAN's files
    --datasets csv:FOLDER         CSV files with columns of label, begin and end

ROOT is the folder of the recordings. A file of annotations belongs to the recording whose name it begins with:
`dawn.Table.1.selections.txt` and `dawn.txt` belong to `dawn.wav`. A selection table with a column `Begin File` (or `Begin Path`)
and a CSV file with a column of paths may speak of several recordings, and an ELAN file names its own.

A clip is one selection, its group the recording. Raven writes each selection once for each view (waveform, spectrogram); it is
taken once. The label is in the column named with `--column.label`, or else in the first there is of `annotation_files.LABELS`.
Frequency bounds are kept in the columns `low_hz` and `high_hz` of the clip table. A file of annotations that holds none is listed
among what is left out.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from extraction.datasets.annotation_files import Selection, read_audacity, read_raven
from extraction.datasets.annotation_tables import read_csv
from extraction.datasets.base import Columns, DatasetInfo, Recording
from extraction.datasets.layout import require_folder
from extraction.datasets.own import stretch, without_doubles
from extraction.datasets.tiers import read_elan, read_textgrid
from jfewshot.audio import sound_below
from jfewshot.errors import UserError
from jfewshot.files import files_below


@dataclasses.dataclass(frozen=True)
class Annotations:
    """A folder of annotations, and a folder of recordings.

    Attributes:
      info: named after the folder of annotations.
      folder: of the annotations.
      read: from a file of annotations and the user's columns to its selections.
      columns: which hold what, where they are not called as usual.
      ending: of a file of annotations, in lower case.
    """

    info: DatasetInfo
    folder: Path
    read: Callable[[Path, Columns], Iterator[Selection]]
    columns: Columns
    ending: str = ".txt"

    @property
    def annotation_folder(self) -> Path:
        """The folder of the annotations, which need not hold recordings."""
        return self.folder

    def recordings(self, root: Path) -> list[Recording]:
        """Every selection, in the order of clip ids; one that cannot be used is marked."""
        require_folder(root, self.info)
        tables = [path for path in files_below(self.folder) if path.suffix.lower() == self.ending]
        if not tables:
            raise UserError(
                f"{self.folder} holds no file that ends in {self.ending}; give the folder of the annotations"
            )
        names = Names(sound_below(root), root)
        clips: list[Recording] = []
        for path in tables:
            selections = [self._clip(root, path, selection, names) for selection in self.read(path, self.columns)]
            clips += selections
            if not selections and (audio := names.find(path.name, path)) is not None:
                name = audio.relative_to(root).as_posix()
                clips.append(Recording(name, audio, "", left_out=f"holds no annotation ({path.name})"))
        if all(one.start_s is None for one in clips):
            raise UserError(f"{self.folder}: its {len(tables)} files hold no selection")
        return without_doubles(clips)

    def _clip(self, root: Path, path: Path, selection: Selection, names: "Names") -> Recording:
        """A selection as a clip, marked where it cannot be one."""
        audio = names.find(selection.file or path.name, path)
        clip = stretch(
            path=audio if audio is not None else root / (selection.file or path.stem),
            name=audio.relative_to(root).as_posix() if audio is not None else selection.file or path.stem,
            start_s=selection.start_s,
            end_s=selection.end_s,
            label=selection.label,
        )
        left_out = clip.left_out
        if not selection.label:
            left_out = f"has no label ({path.name}, line {selection.line})"
        elif audio is None:
            left_out = f"no recording of this name below {root} ({path.name})"
        group = clip.group if selection.group is None else selection.group
        return dataclasses.replace(clip, left_out=left_out, group=group, further=selection.further)


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


def textgrid(folder: str, columns: Columns) -> Annotations:
    """Praat's TextGrids below a folder.

    Args:
      folder: of the TextGrids.
      columns: the tier of the labels, where there are several.
    """
    return _annotations(folder, columns, read_textgrid, ".textgrid")


def elan(folder: str, columns: Columns) -> Annotations:
    """ELAN's files below a folder.

    Args:
      folder: of the files.
      columns: the tier of the labels, where several hold annotations.
    """
    return _annotations(folder, columns, read_elan, ".eaf")


def csv(folder: str, columns: Columns) -> Annotations:
    """CSV files of annotations below a folder.

    Args:
      folder: of the files.
      columns: of label, begin, end, recording and group, where they are not called as usual.
    """
    return _annotations(folder, columns, read_csv, ".csv")


def _annotations(
    folder: str, columns: Columns, read: Callable[[Path, Columns], Iterator[Selection]], ending: str = ".txt"
) -> Annotations:
    path = Path(folder)
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; give the folder of the annotations, and that of the audio as --root")
    name = path.resolve().name
    return Annotations(DatasetInfo(name, name, "", "", "", group_is="recording"), path, read, columns, ending)


class Names:
    """Recordings by their names, with and without the ending.

    Args:
      recordings: their paths.
      root: the folder that they lie below, for messages; None where it is not known.
    """

    def __init__(self, recordings: Iterable[Path], root: Path | None):
        self._root = root
        self._named: dict[str, list[Path]] = {}
        for path in recordings:
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
                where = "" if self._root is None else f" below {self._root}"
                one, other = (path if self._root is None else path.relative_to(self._root) for path in found[:2])
                raise UserError(
                    f"{annotations}: {len(found)} recordings{where} are called {'.'.join(parts[:end])} ({one}, {other}); give "
                    "them different names, or put annotations into folders that are called as those of the recordings"
                )
            if found:
                return found[0]
        return None
