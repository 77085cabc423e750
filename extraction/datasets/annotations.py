"""Labelled stretches of long recordings, from the files of annotation programs.

    --datasets raven:FOLDER       selection tables of Raven (and of BirdNET), in FOLDER and its subfolders
    --datasets audacity:FOLDER    label tracks that Audacity exported, in FOLDER and its subfolders
    --datasets textgrid:FOLDER    Praat's TextGrids
    --datasets elan:FOLDER        ELAN's files
    --datasets csv:FOLDER         CSV files with columns for label, begin and end

ROOT is the folder of the recordings. A file of annotations belongs to the recording with whose name its own name begins:
`dawn.Table.1.selections.txt` and `dawn.txt` belong to `dawn.wav`. A selection table with a column `Begin File` (or `Begin Path`)
and a CSV file with a column of paths may have rows about several recordings, and an ELAN file names its recording.

Each selection is a clip, and its group is the recording. Raven writes each selection once for each view (waveform, spectrogram);
it makes only one clip. The label is in the column named with `--column.label`. Without this option, it is in the first of the
columns `annotation_files.LABELS` that the table has. Frequency bounds are kept in the columns `low_hz` and `high_hz` of the clip
table. A recording whose file of annotations is empty is listed among the clips that are left out.
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
      info: facts about the dataset, which is named after the folder of annotations.
      folder: folder of the annotations.
      read: function from a file of annotations and the user's columns to the selections in the file.
      columns: names of columns that are not the usual ones.
      ending: ending of the names of annotation files, in lower case.
    """

    info: DatasetInfo
    folder: Path
    read: Callable[[Path, Columns], Iterator[Selection]]
    columns: Columns
    ending: str = ".txt"

    @property
    def annotation_folder(self) -> Path:
        """The folder of the annotations, which may have no recordings."""
        return self.folder

    def recordings(self, root: Path) -> list[Recording]:
        """List all selections in the order of clip ids; unusable ones are marked as left out."""
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
        """Make a clip of a selection; it is marked as left out if it is unusable."""
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
    """Raven's selection tables in a folder and its subfolders.

    Args:
      folder: folder of the tables.
      columns: name of the column for the label, if it is not one of `LABELS`.
    """
    return _annotations(folder, columns, read_raven)


def audacity(folder: str, columns: Columns) -> Annotations:
    """Audacity's label tracks in a folder and its subfolders.

    Args:
      folder: folder of the label tracks.
      columns: not used, since label tracks have no columns.
    """
    return _annotations(folder, columns, read_audacity)


def textgrid(folder: str, columns: Columns) -> Annotations:
    """Praat's TextGrids in a folder and its subfolders.

    Args:
      folder: folder of the TextGrids.
      columns: name of the tier with the labels, if there are several tiers.
    """
    return _annotations(folder, columns, read_textgrid, ".textgrid")


def elan(folder: str, columns: Columns) -> Annotations:
    """ELAN's files in a folder and its subfolders.

    Args:
      folder: folder of the files.
      columns: name of the tier with the labels, if several tiers have annotations.
    """
    return _annotations(folder, columns, read_elan, ".eaf")


def csv(folder: str, columns: Columns) -> Annotations:
    """CSV files of annotations in a folder and its subfolders.

    Args:
      folder: folder of the files.
      columns: names of the columns for label, begin, end, recording and group, if they are not the usual ones.
    """
    return _annotations(folder, columns, read_csv, ".csv")


def _annotations(
    folder: str, columns: Columns, read: Callable[[Path, Columns], Iterator[Selection]], ending: str = ".txt"
) -> Annotations:
    path = Path(folder)
    if not path.is_dir():
        raise UserError(
            f"{path} is not a folder; give the folder of the annotations, and the folder of the audio as --root"
        )
    name = path.resolve().name
    return Annotations(DatasetInfo(name, name, "", "", "", group_is="recording"), path, read, columns, ending)


class Names:
    """Finds recordings by their names, with or without the ending.

    Args:
      recordings: paths of the recordings.
      root: the folder that contains the recordings, for messages; None if it is not known.
    """

    def __init__(self, recordings: Iterable[Path], root: Path | None):
        self._root = root
        self._named: dict[str, list[Path]] = {}
        for path in recordings:
            for name in {path.name, path.stem}:
                self._named.setdefault(name, []).append(path)

    def find(self, name: str, annotations: Path) -> Path | None:
        """Find the recording with whose name a text begins.

        Args:
          name: name of a recording, or of a file of annotations.
          annotations: the file of annotations, for messages. If several recordings have the name, the one in a folder with the
              same name as this file's folder is taken.

        Returns:
          the recording; None if there is none.

        Raises:
          UserError: if several recordings fit.
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
                    "them different names, or put annotations into folders with the same names as those of the recordings"
                )
            if found:
                return found[0]
        return None
