"""Free Spoken Digit Dataset: ten English digits by six speakers, fifty takes each (Jackson et al.).

ROOT/
  recordings/{digit}_{speaker}_{take}.wav
"""

import dataclasses
import re
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.layout import clip_id_below, require_folder
from jfewshot.audio import sound_below
from jfewshot.errors import UserError

_NAME = re.compile(r"(\d)_([^_]+)_(\d+)")
_SOURCE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
_CITATION = "Z. Jackson et al. Free Spoken Digit Dataset. 2016-."
_LICENCE = "CC BY-SA 4.0"


@dataclasses.dataclass(frozen=True)
class Fsdd:
    """If the classes are the digits, a clip's group is the speaker; if the classes are the speakers, it is the digit.

    Attributes:
      info: facts about the dataset.
      by_speaker: whether the classes are the speakers.
      n_takes: number of takes of each digit and speaker to use, the first ones; None for all.
    """

    info: DatasetInfo
    by_speaker: bool
    n_takes: int | None = None

    def recordings(self, root: Path) -> list[Recording]:
        """List the takes to use, in the order of clip ids."""
        require_folder(root, self.info, "recordings")
        found = []
        for path in sound_below(root / "recordings"):
            match = _NAME.fullmatch(path.stem)
            if match is None:
                raise UserError(
                    f"{path} is not named after a digit, a speaker and a take (7_jackson_32.wav); remove it or name another "
                    "folder"
                )
            digit, speaker, take = match.groups()
            if self.n_takes is not None and int(take) >= self.n_takes:
                continue
            label, group = (speaker, digit) if self.by_speaker else (digit, speaker)
            found.append(Recording(clip_id_below(root, path), path, label, group))
        return found


def fsdd_digits(n_takes: int | None = None) -> Fsdd:
    """The dataset whose classes are the digits."""
    info = DatasetInfo(
        "fsdd_digits",
        "FSDD, digits",
        _LICENCE,
        _SOURCE,
        _CITATION,
        60 * (n_takes or 50),
        n_classes=10,
        group_is="speaker",
    )
    return Fsdd(info, by_speaker=False, n_takes=n_takes)


def fsdd_speakers(n_takes: int | None = None) -> Fsdd:
    """The dataset whose classes are the speakers."""
    info = DatasetInfo(
        "fsdd_speakers",
        "FSDD, speakers",
        _LICENCE,
        _SOURCE,
        _CITATION,
        60 * (n_takes or 50),
        n_classes=6,
        group_is="digit",
    )
    return Fsdd(info, by_speaker=True, n_takes=n_takes)
