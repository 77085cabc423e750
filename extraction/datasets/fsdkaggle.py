"""FSDKaggle2018: 41 kinds of sound from Freesound, 0.3 to 30 s (Fonseca et al., 2018).

ROOT/
  FSDKaggle2018.meta/train_post_competition.csv                fname, label, ..., freesound_id, ...
  FSDKaggle2018.meta/test_post_competition_scoring_clips.csv   with the same columns
  FSDKaggle2018.audio_train/*.wav
  FSDKaggle2018.audio_test/*.wav
"""

import dataclasses
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.layout import read_table, require_folder
from extraction.datasets.splits import class_splits

_TABLES = {
    "FSDKaggle2018.audio_train": "train_post_competition.csv",
    "FSDKaggle2018.audio_test": "test_post_competition_scoring_clips.csv",
}


@dataclasses.dataclass(frozen=True)
class FsdKaggle2018:
    """A clip's class is its label, and its group is the Freesound recording. The publisher's two parts are pooled."""

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """List all clips that the two tables name, in the order of clip ids."""
        require_folder(root, self.info, "FSDKaggle2018.meta", *_TABLES)
        splits = class_splits(self.info.class_list)
        found = []
        for folder, table in _TABLES.items():
            for row in read_table(root / "FSDKaggle2018.meta" / table, ("fname", "label", "freesound_id")):
                path = root / folder / row["fname"]
                found.append(
                    Recording(
                        clip_id=f"{folder}/{row['fname']}",
                        path=path,
                        label=row["label"],
                        group=row["freesound_id"],
                        split=splits.get(row["label"], ""),
                        left_out="" if path.is_file() else "file is missing",
                    )
                )
        return sorted(found, key=lambda recording: recording.clip_id)


def fsdkaggle18() -> FsdKaggle2018:
    """The 9,473 training clips and the 1,600 test clips."""
    return FsdKaggle2018(
        DatasetInfo(
            "fsdkaggle18",
            "FSDKaggle2018",
            "CC BY 4.0 (the clips: CC0 or CC BY, each its own)",
            "https://zenodo.org/record/2552860",
            "E. Fonseca et al. General-purpose Tagging of Freesound Audio with AudioSet Labels. DCASE, 2018.",
            n_clips=11_073,
            n_classes=41,
            class_list="FSDKaggle18",
            group_is="Freesound recording",
        )
    )
