"""TIMIT: phonetically balanced sentences of 630 Americans (Garofolo et al., 1993).

ROOT/
  TRAIN/DR1/FCJF0/SI1027.WAV   .PHN (samples and phone)   .WRD (samples and word)   .TXT (samples and sentence)
  TEST/DR1/FAKS0/ ...

Names may be in lower case. Audio may be NIST SPHERE, as published, or converted to WAV (`SI1027.WAV`, `SI1027.WAV.wav`).
The two SA sentences are left out, because all speakers read the same ones. The division is the usual one: 462 speakers are
trained on, the 24 speakers of the core test set are tested, and 50 of the other 144 speakers choose checkpoints.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jfewshot.downstream.folds import Parts
from jfewshot.errors import UserError

# The core test set, from TIMIT's own TESTSET.DOC.
_CORE_TEST = """
mdab0 mwbt0 felc0 mtas1 mwew0 fpas0 mjmp0 mlnt0 fpkt0 mlll0 mtls0 fjlm0 mbpm0 mklt0 fnlp0 mcmj0 mjdh0 fmgd0 mgrt0 mnjm0
fdhc0 mjln0 mpam0 fmld0
"""
# The development set of Halberstadt (1998), which Kaldi and most papers use.
_DEVELOPMENT = """
faks0 fdac1 fjem0 mgwt0 mjar0 mmdb1 mmdm2 mpdf0 fcmh0 fkms0 mbdg0 mbwm0 mcsh0 fadg0 fdms0 fedw0 mgjf0 mglb0 mrtk0 mtaa0
mtdt0 mthc0 mwjg0 fnmr0 frew0 fsem0 mbns0 mmjr0 mdls0 mdlf0 mdvc0 mers0 fmah0 fdrw0 mrcs0 mrjm4 fcal1 mmwh0 fjsj0 majc0
mjsw0 mreb0 fgjd0 fjmg0 mroa0 mteb0 mjfc0 mrjr0 fmml0 mrws1
"""
CORE_TEST, DEVELOPMENT = frozenset(_CORE_TEST.split()), frozenset(_DEVELOPMENT.split())
COUNTS = {"train": 3696, "dev": 400, "core test": 192, "rest of test": 752}
PARTS = Parts(("train",), ("dev",), ("core test",))
"""The usual division. The other 94 speakers of TEST, `rest of test`, take no part."""


class TimitRecording(NamedTuple):
    """One sentence of TIMIT.

    Attributes:
      name: its path below the folder with TRAIN and TEST, with forward slashes.
      path: the audio file.
      stem: the file's name in lower case, without its endings.
      speaker: name of the speaker, in lower case.
      part: `train`, `dev`, `core test` or `rest of test`.
      speaker_files: all files of the speaker, by their names in lower case.
    """

    name: str
    path: Path
    stem: str
    speaker: str
    part: str
    speaker_files: dict[str, Path]

    def labels(self, ending: str) -> Path:
        """The file of labels with this ending (`.phn`, `.wrd`).

        Raises:
          UserError: if there is no such file.
        """
        found = self.speaker_files.get(self.stem + ending)
        if found is None:
            raise UserError(f"{self.path} has no {ending.upper()} file in the same folder: copy TIMIT again")
        return found


def timit_recordings(root: Path) -> list[TimitRecording]:
    """Find the SI and SX sentences of TIMIT, in the order of their names.

    Raises:
      UserError: if neither `root` nor a folder in it has TRAIN and TEST with recordings.
    """
    found = []
    for folder in (root, *sorted(path for path in root.glob("*") if path.is_dir())):
        sides = {path.name.lower(): path for path in folder.glob("*") if path.is_dir()}
        if {"train", "test"} <= set(sides):
            for side in ("train", "test"):
                found += _side(sides[side], side, folder)
            break
    if not found:
        raise UserError(f"{root} holds no TRAIN and TEST with <dialect>/<speaker>/*.WAV; --root should be TIMIT")
    return sorted(found, key=lambda each: each.name)


def check_counts(root: Path, parts: Sequence[str]) -> None:
    """Refuse other numbers of utterances than published.

    Args:
      root: the folder, for the message.
      parts: the part of each utterance.

    Raises:
      UserError: if the number of a part differs; the message names the first such part.
    """
    for part, expected in COUNTS.items():
        count = sum(each == part for each in parts)
        if count != expected:
            raise UserError(
                f"{root} has {count:,} utterances of TIMIT's {part}, as published there are {expected:,}: "
                "copy it again, or list what you have in a CSV and give --dataset table:PATH"
            )


def _side(folder: Path, side: str, base: Path) -> list[TimitRecording]:
    found = []
    for speaker_folder in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        speaker = speaker_folder.name.lower()
        files = {path.name.lower(): path for path in speaker_folder.iterdir()}
        for name in sorted(name for name in files if name.endswith(".wav")):
            # SI1027.WAV.wav is a converted copy of SI1027.WAV.
            stem = name.removesuffix(".wav").removesuffix(".wav")
            if stem.startswith("sa") or f"{name}.wav" in files:
                continue
            part = side if side == "train" else _test_part(speaker)
            path = files[name]
            found.append(TimitRecording(path.relative_to(base).as_posix(), path, stem, speaker, part, files))
    return found


def _test_part(speaker: str) -> str:
    if speaker in CORE_TEST:
        return "core test"
    return "dev" if speaker in DEVELOPMENT else "rest of test"
