"""BirdCLEF 2020, pruned: bird sounds from Xeno-canto (Kahl et al., 2020).

    ROOT/
      <Genus species_Common name>/*.mp3    (or .wav, .ogg, .flac)

The paper drops clips over 180 s, then classes with fewer than 50 clips.
"""

import dataclasses
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.filters import leave_out_longer_than, leave_out_small_classes
from extraction.datasets.layout import clip_id_below, require_folder, subfolders
from extraction.datasets.splits import class_splits
from jfewshot.audio import sound_below
from jfewshot.errors import UserError

MAX_DURATION_S = 180.0
MIN_CLIPS = 50


@dataclasses.dataclass(frozen=True)
class BirdClef:
    """A clip's class is the species, as `Genus species_Common name`. There are no groups: the folders do not name recordists."""

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """List all clips in the order of clip ids; clips that the paper drops are marked as left out."""
        require_folder(root, self.info)
        species = [folder for folder in subfolders(root) if "_" in folder.name]
        if not species:
            raise UserError(
                f"{root} has no folders named 'Genus species_Common name'; "
                f"docs/datasets/{self.info.name}.md shows how it must look"
            )
        splits = class_splits(self.info.class_list)
        found = [
            Recording(clip_id_below(root, path), path, folder.name, split=splits.get(folder.name, ""))
            for folder in species
            for path in sound_below(folder)
        ]
        return leave_out_small_classes(leave_out_longer_than(found, MAX_DURATION_S), MIN_CLIPS)


def birdclef2020() -> BirdClef:
    """The training recordings, pruned as the paper did."""
    return BirdClef(
        DatasetInfo(
            "birdclef2020",
            "BirdCLEF 2020 (pruned)",
            "CC BY-NC-SA 4.0 (each recording its own, mostly this)",
            "https://www.aicrowd.com/challenges/lifeclef-2020-bird-monophone",
            "S. Kahl et al. Overview of BirdCLEF 2020: Bird Sound Recognition in Complex Acoustic Environments. CLEF, 2020.",
            n_clips=63_364,
            n_classes=715,
            class_list="BirdCLEF 2020 (Pruned)",
        )
    )
