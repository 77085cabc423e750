"""IEMOCAP: dyadic acted dialogues in five sessions of two speakers (Busso et al., 2008).

ROOT/
  Session1/
    dialog/EmoEvaluation/Ses01F_impro01.txt           [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
    sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav
  ...
  Session5/

The usual four classes, with excited counted as happy, have 5,531 utterances.
"""

import re
from pathlib import Path

from jfewshot.downstream.emotion.datasets.base import EmotionData, Utterance, check_counts
from jfewshot.errors import UserError

CLASSES = {"ang": "angry", "hap": "happy", "exc": "happy", "neu": "neutral", "sad": "sad"}
COUNTS = {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084}
# How many of these utterances are in improvised scenes.
IMPROVISED_COUNTS = {"angry": 289, "happy": 947, "neutral": 1099, "sad": 608}
_LINE = re.compile(r"\[[\d.]+ - [\d.]+\]\t(Ses0(\d)[FM]_(impro|script)\w*_([FM])\d+)\t(\w+)\t\[")


def read_iemocap(root: Path, improvised_only: bool = False, counts_checked: bool = True) -> EmotionData:
    """Read the utterances of the four classes, labelled by the majority of the evaluators.

    Args:
      root: the folder IEMOCAP_full_release.
      improvised_only: leave out scripted scenes, because the words of a script reveal the emotion.
      counts_checked: refuse a copy whose numbers of utterances differ from the published numbers.

    Returns:
      the utterances, grouped by session.

    Raises:
      UserError: sessions or audio are missing, or there are other numbers of utterances than published.
    """
    utterances = []
    for number in range(1, 6):
        session = root / f"Session{number}"
        # The release contains hidden macOS copies of some files.
        files = sorted(path for path in session.glob("dialog/EmoEvaluation/*.txt") if not path.name.startswith("."))
        if not files:
            raise UserError(
                f"{session / 'dialog' / 'EmoEvaluation'} holds no labels; --root should be IEMOCAP_full_release, "
                "with Session1 to Session5"
            )
        for file in files:
            for name, of, kind, gender, code in _LINE.findall(file.read_text(encoding="utf-8", errors="replace")):
                if code in CLASSES and (kind == "impro" or not improvised_only):
                    path = session / "sentences" / "wav" / name.rsplit("_", 1)[0] / f"{name}.wav"
                    utterances.append(
                        Utterance(
                            path.relative_to(root).as_posix(), path, CLASSES[code], f"Session{of}", f"Ses0{of}{gender}"
                        )
                    )
    missing = next((each.name for each in utterances if not each.path.exists()), None)
    if missing:
        raise UserError(f"{root} lacks {missing}, which its labels name: unpack all of sentences/wav")
    if counts_checked:
        check_counts("IEMOCAP", utterances, IMPROVISED_COUNTS if improvised_only else COUNTS)
    return EmotionData(
        "iemocap_improvised" if improvised_only else "iemocap",
        "IEMOCAP, improvised" if improvised_only else "IEMOCAP",
        tuple(sorted(utterances, key=lambda each: each.name)),
        groups_are="session",
    )
