"""A dataset of one's own, without a line of code: a folder of class folders.

--datasets folder:NAME      ROOT/<class>/**/*.wav
"""

import collections
import dataclasses
import logging
from pathlib import Path

from extraction.datasets.base import Columns, DatasetInfo, Recording
from extraction.datasets.layout import clip_id_below, subfolders
from jfewshot.audio import AUDIO_SUFFIXES, sound_below
from jfewshot.errors import UserError
from jfewshot.files import files_below

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ClassFolders:
    """Class: the folder right below the root. Group: the next folder, where there is one."""

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """Every audio file below a class folder, in the order of clip ids."""
        if not root.is_dir():
            raise UserError(f"{root} is not a folder; it should hold one folder per class")
        found, without = [], {}
        for folder in subfolders(root):
            files = sound_below(folder)
            found += [Recording(clip_id_below(root, path), path, folder.name, _group(folder, path)) for path in files]
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
                "%s: %d folders hold no audio and make no class: %s. Audio is what ends in %s",
                root,
                len(without),
                "; ".join(items[:10]) + (f"; and {len(items) - 10} more" if len(items) > 10 else ""),
                ", ".join(AUDIO_SUFFIXES),
            )
        return sorted(found, key=lambda recording: recording.clip_id)


def class_folders(name: str, columns: Columns) -> ClassFolders:
    """A folder of class folders, under a name of the user's choice; it has no columns."""
    if not name:
        raise UserError("a folder of class folders needs a name: folder:birds, say")
    return ClassFolders(DatasetInfo(name, name, "", "", ""))


def _group(folder: Path, path: Path) -> str:
    below = path.relative_to(folder).parts
    return below[0] if len(below) > 1 else ""
