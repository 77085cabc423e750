"""CREMA-D: six acted emotions by 91 actors (Cao et al., 2014).

ROOT/
  AudioWAV/{actor}_{sentence}_{emotion}_{level}.wav      1001_DFA_ANG_XX.wav
"""

import dataclasses
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.layout import clip_id_below, require_folder
from jfewshot.audio import sound_below
from jfewshot.errors import UserError

EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")


@dataclasses.dataclass(frozen=True)
class CremaD:
    """A clip's class is the emotion, and its group is the actor."""

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """List all clips in the order of clip ids."""
        require_folder(root, self.info, "AudioWAV")
        found = []
        for path in sound_below(root / "AudioWAV"):
            parts = path.stem.split("_")
            if len(parts) != 4 or parts[2] not in EMOTIONS:
                raise UserError(
                    f"{path} is not named as CREMA-D's clips are (1001_DFA_ANG_XX.wav, emotions {', '.join(EMOTIONS)}); "
                    "remove it or name another folder"
                )
            found.append(Recording(clip_id_below(root, path), path, parts[2], group=parts[0], split="test"))
        return found


def crema_d() -> CremaD:
    """All clips; the paper uses all emotions for testing."""
    return CremaD(
        DatasetInfo(
            "crema_d",
            "CREMA-D",
            "ODbL 1.0",
            "https://github.com/CheyneyComputerScience/CREMA-D",
            "H. Cao et al. CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset. "
            "IEEE Transactions on Affective Computing 5(4), 2014.",
            n_clips=7_442,
            n_classes=6,
            class_list="Crema-D",
            group_is="actor",
        )
    )
