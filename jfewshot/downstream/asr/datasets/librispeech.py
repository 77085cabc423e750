"""LibriSpeech: read books (Panayotov et al., 2015).

ROOT/
  train-clean-100/{speaker}/{chapter}/{speaker}-{chapter}.trans.txt      103-1240-0000 CHAPTER ONE MISSUS RACHEL ...
  train-clean-100/{speaker}/{chapter}/{speaker}-{chapter}-0000.flac
  dev-clean/ ...
"""

from collections.abc import Sequence
from pathlib import Path

from jfewshot.downstream.asr.datasets.base import AsrData, Utterance
from jfewshot.downstream.folds import Parts
from jfewshot.errors import UserError

TRAINING, DEVELOPMENT, TEST = ("train-clean-100",), ("dev-clean",), ("test-clean",)


def read_librispeech(
    root: Path,
    training: Sequence[str] = TRAINING,
    development: Sequence[str] = DEVELOPMENT,
    test: Sequence[str] = TEST,
) -> AsrData:
    """Read some parts of LibriSpeech; the transcripts keep their capitals, spaces and apostrophes.

    Args:
      root: folder of LibriSpeech as published, or the folder that contains it.
      training: names of the parts to train on.
      development: names of the parts that choose checkpoints.
      test: names of the parts to test on.

    Returns:
      the utterances of these parts, in the order of their names.

    Raises:
      UserError: if a part is missing, a line has no text, a recording has no line, or a line has no recording.
    """
    base = root / "LibriSpeech" if (root / "LibriSpeech").is_dir() else root
    utterances = []
    for part in dict.fromkeys((*training, *development, *test)):
        files = sorted((base / part).glob("*/*/*.trans.txt"))
        if not files:
            raise UserError(
                f"{base / part} holds no <speaker>/<chapter>/*.trans.txt; --root should be LibriSpeech as published, "
                f"with {part} unpacked"
            )
        for file in files:
            utterances += _chapter(file, part, base)
    found = tuple(sorted(utterances, key=lambda each: each.name))
    return AsrData("librispeech", "LibriSpeech", found, Parts(tuple(training), tuple(development), tuple(test)))


def _chapter(file: Path, part: str, base: Path) -> list[Utterance]:
    speaker = file.parent.parent.name
    recordings = {path.stem: path for path in file.parent.glob("*.flac")}
    utterances = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        name, _, text = line.partition(" ")
        if not text.strip():
            raise UserError(f"{file}, line {number}: {name or 'an utterance'} has no transcript; copy the file again")
        if name not in recordings:
            raise UserError(f"{file}, line {number} names {name}, but there is no {name}.flac in the same folder")
        path = recordings.pop(name)
        utterances.append(Utterance(path.relative_to(base).as_posix(), path, text.strip(), speaker, part))
    if recordings:
        raise UserError(f"{file.parent / next(iter(recordings))}.flac has no transcript in {file.name}")
    return utterances
