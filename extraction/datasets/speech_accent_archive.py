"""Speech Accent Archive: one English paragraph read by speakers of many languages (Weinberger, George Mason
University).

ROOT/
  recordings/{language}{number}.mp3      (or recordings/recordings/, as the copy on Kaggle unpacks)
"""

import dataclasses
import re
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.filters import leave_out_small_classes
from extraction.datasets.layout import clip_id_below, require_folder
from jfewshot.audio import sound_below
from jfewshot.errors import UserError

_NAME = re.compile(r"(\D+)\d+")
# One recording for the support and one for the query. The paper does not state this number; with it, we get its 122 classes.
MIN_CLIPS = 2


@dataclasses.dataclass(frozen=True)
class SpeechAccentArchive:
    """A clip's class is the speaker's first language; its group is the speaker, who has one recording."""

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """List all recordings in the order of clip ids; those of languages with a single recording are marked as left out."""
        require_folder(root, self.info, "recordings")
        found = []
        for path in sound_below(root / "recordings"):
            match = _NAME.fullmatch(path.stem)
            if match is None:
                raise UserError(f"{path} is not named after a language and a number (afrikaans1.mp3); remove it")
            found.append(Recording(clip_id_below(root, path), path, match[1], group=path.stem, split="test"))
        return leave_out_small_classes(found, MIN_CLIPS)


def saa() -> SpeechAccentArchive:
    """All languages with at least two recordings."""
    return SpeechAccentArchive(
        DatasetInfo(
            "saa",
            "Speech Accent Archive",
            "CC BY-NC-SA 2.0",
            "https://www.kaggle.com/datasets/rtatman/speech-accent-archive (https://accent.gmu.edu)",
            "S. Weinberger. Speech Accent Archive. George Mason University, 2015.",
            n_clips=2_060,
            n_classes=122,
            class_list="Speech Accent Archive",
            group_is="speaker",
        )
    )
