"""EmoDB, the Berlin database: seven emotions by ten German actors (Burkhardt et al., 2005).

ROOT/
  wav/{speaker:2}{text:3}{emotion:1}{version}.wav      03a01Fa.wav
"""

import re
from pathlib import Path

from jfewshot.audio import audio_below
from jfewshot.downstream.emotion.datasets.base import EmotionData, Utterance
from jfewshot.errors import UserError

# First letters of the German words Wut, Langeweile, Ekel, Angst, Freude, Trauer; N is neutral.
EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral",
}  # fmt: skip
_NAME = re.compile(r"(\d\d)([a-z]\d\d)([WLEAFTN])([a-z])")


def read_emodb(root: Path) -> EmotionData:
    """Read all clips of EmoDB; the group is the speaker."""
    utterances = []
    for path in audio_below(root / "wav"):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise UserError(
                f"{path} is not named as EmoDB's clips are (03a01Fa.wav, emotions {', '.join(EMOTIONS)}); "
                "remove it or name another folder"
            )
        name = path.relative_to(root).as_posix()
        utterances.append(Utterance(name, path, EMOTIONS[match[3]], match[1], match[1]))
    if not utterances:
        raise UserError(f"{root} holds no wav/*.wav; --root should be EmoDB as published")
    return EmotionData("emodb", "EmoDB", tuple(utterances))
