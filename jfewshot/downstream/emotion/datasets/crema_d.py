"""CREMA-D: six acted emotions by 91 actors (Cao et al., 2014).

ROOT/
  AudioWAV/{actor}_{sentence}_{emotion}_{level}.wav      1001_DFA_ANG_XX.wav
"""

from pathlib import Path

from jfewshot.audio import audio_below
from jfewshot.downstream.emotion.datasets.base import EmotionData, Utterance
from jfewshot.errors import UserError

EMOTIONS = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}


def read_crema_d(root: Path) -> EmotionData:
    """Read all clips of CREMA-D; the group is the actor."""
    utterances = []
    for path in audio_below(root / "AudioWAV"):
        parts = path.stem.split("_")
        if len(parts) != 4 or parts[2] not in EMOTIONS:
            raise UserError(
                f"{path} is not named as CREMA-D's clips are (1001_DFA_ANG_XX.wav, emotions {', '.join(EMOTIONS)}); "
                "remove it or name another folder"
            )
        name = path.relative_to(root).as_posix()
        utterances.append(Utterance(name, path, EMOTIONS[parts[2]], parts[0], parts[0]))
    if not utterances:
        raise UserError(f"{root} holds no AudioWAV/*.wav; --root should be CREMA-D as published")
    return EmotionData("crema_d", "CREMA-D", tuple(utterances), n_folds=5)
