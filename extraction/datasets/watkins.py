"""Watkins Marine Mammal Sound Database, "best of" cuts: 32 species (Sayigh et al., 2016).

ROOT/
  Atlantic_Spotted_Dolphin/61025001.wav
  Beluga,_White_Whale/...
"""

import dataclasses
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.filters import leave_out_longer_than
from extraction.datasets.layout import clip_id_below, require_folder, subfolders
from extraction.datasets.splits import class_splits
from jfewshot.audio import sound_below
from jfewshot.errors import UserError

MAX_DURATION_S = 180.0
_TAPE_CHARACTERS = 5


@dataclasses.dataclass(frozen=True)
class Watkins:
    """A clip's class is the species. Its group is the tape, which the first five characters of its record number identify.

    We infer from the numbers that a record number consists of year (2 digits), tape (3) and cut (3).
    """

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """List all cuts in the order of clip ids; cuts over 3 minutes are marked as left out."""
        require_folder(root, self.info)
        folders = subfolders(root)
        if not folders:
            raise UserError(
                f"{root} has no folders of species; docs/datasets/{self.info.name}.md shows how it must look"
            )
        splits = class_splits(self.info.class_list)
        found = [
            Recording(
                clip_id_below(root, path),
                path,
                folder.name,
                group=path.stem[:_TAPE_CHARACTERS],
                split=splits.get(folder.name, ""),
            )
            for folder in folders
            for path in sound_below(folder)
        ]
        return leave_out_longer_than(found, MAX_DURATION_S)


def watkins() -> Watkins:
    """The "best of" cuts."""
    return Watkins(
        DatasetInfo(
            "watkins",
            "Watkins Marine Mammal Sound Database",
            "free for personal and academic use",
            "https://whoicf2.whoi.edu/science/B/whalesounds/",
            "L. Sayigh et al. The Watkins Marine Mammal Sound Database: an online, freely accessible resource. "
            "Proceedings of Meetings on Acoustics 27, 2016.",
            n_clips=1_698,
            n_classes=32,
            class_list="Watkins Marine Mammal",
            group_is="tape",
        )
    )
