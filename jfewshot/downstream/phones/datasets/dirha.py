"""The WSJ part of DIRHA-English (Ravanelli et al., 2015; LDC2018S01): sentences read in a flat, recorded by distant microphones.

ROOT/data/DIRHA_English_wsj/
  Real/<sequence>/Livingroom/Circular_Array/Beam_Circular_Array.wav      about a minute, several sentences
  Real/<sequence>/Livingroom/Circular_Array/Beam_Circular_Array.xml      a SOURCE for each: name, spk_id, gender, begin_sample,
                                                                         end_sample (both counted from 1), txt
  Sim/ ...

The layout is that of the publisher's own tool (SHINE-FBK/DIRHA_English_wsj, Tools/Data_Contamination.m), which cuts out the same
sentences. **The corpus has words and the times of sentences, but no phones.** Labels must come from an aligner, one file for each
sentence, LABELS/<spk_id>/<name>.phn, with times from the beginning of the sentence.
"""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Literal

from jfewshot.audio import Stretch
from jfewshot.downstream.phones.datasets.base import Utterance
from jfewshot.downstream.phones.phone_sets import PhoneSet
from jfewshot.downstream.phones.segments import RATE, read_segments
from jfewshot.errors import UserError

Kind = Literal["real", "sim"]
_FIELDS = ("name", "spk_id", "begin_sample", "end_sample")


def read_dirha(root: Path, labels: Path | None, microphone: str, kind: Kind, phones: PhoneSet) -> tuple[Utterance, ...]:
    """Read the sentences of one microphone, with phones from a separate folder.

    Args:
      root: the folder of the corpus, or DIRHA_English_wsj in it.
      labels: folder of the labels, LABELS/<spk_id>/<name>.phn.
      microphone: file name of the recordings, without its ending.
      kind: `real` for real recordings, `sim` for clean speech with impulse responses of the rooms.
      phones: classes of the training data; every label must be a phone of these classes.

    Returns:
      a stretch of a recording for each sentence, in the order of their names; the part is `DIRHA <kind>, <microphone>`.

    Raises:
      UserError: if the layout differs, labels are missing, or the classes lack a phone.
    """
    base = _base(root, kind)
    files = sorted(base.glob(f"*/*/*/{microphone}.xml"))
    if not files:
        known = sorted({path.stem for path in base.glob("*/*/*/*.xml")})
        raise UserError(
            f"{base} has no recordings of the microphone '{microphone}'; it has {', '.join(known[:20]) or 'none'}"
        )
    if labels is None:
        raise UserError(
            "--dirha needs --dirha-labels FOLDER: DIRHA's English WSJ part gives words and the times of sentences, but no "
            "phones, so frames cannot be scored without labels from an aligner (FOLDER/<speaker>/<sentence>.phn)"
        )
    there = {
        path.relative_to(labels).with_suffix("").as_posix().lower(): path for path in labels.rglob("*.[pP][hH][nN]")
    }
    found = []
    for file in files:
        for name, speaker, begin, end in sentences_of(file):
            path = there.get(f"{speaker}/{name}".lower())
            if path is None:
                raise UserError(f"{labels} has no {speaker}/{name}.phn for the sentence {name} of {file}")
            segments = read_segments(path)
            unknown = phones.unknown(segments.phones)
            if unknown:
                raise UserError(
                    f"{path} has {unknown[0][:40]!r}, which is no phone of the training data; rename it there"
                )
            audio = file.with_suffix(".wav")
            title = f"{audio.relative_to(base.parent).as_posix()}:{name}"
            stretch = Stretch(audio, (begin - 1) / RATE, end / RATE)
            found.append(Utterance(title, stretch, speaker, dirha_part(kind, microphone), segments))
    return tuple(sorted(found, key=lambda each: each.name))


def dirha_part(kind: Kind, microphone: str) -> str:
    """The name of this test set in tables."""
    return f"DIRHA {kind}, {microphone}"


def _base(root: Path, kind: Kind) -> Path:
    wanted = kind.capitalize()
    for folder in (root / "data" / "DIRHA_English_wsj", root / "DIRHA_English_wsj", root):
        if (folder / wanted).is_dir():
            return folder / wanted
    raise UserError(f"{root} holds no data/DIRHA_English_wsj/{wanted}; --dirha should be the corpus as published")


def sentences_of(path: Path) -> list[tuple[str, str, int, int]]:
    """Read name, speaker, first and last sample (both counted from 1) of the sentences of a recording.

    Raises:
      UserError: if the file is no XML, or a sentence lacks one of these.
    """
    try:
        tree = ElementTree.parse(path)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{path} is no XML ({error}); copy it again") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    found = []
    for source in tree.iter("SOURCE"):
        name, speaker, begin, end = ((source.findtext(field) or "").strip() for field in _FIELDS)
        whole = (
            begin.isascii() and begin.isdigit() and end.isascii() and end.isdigit() and max(len(begin), len(end)) < 16
        )
        if not (name and speaker and whole and 1 <= int(begin) < int(end)):
            raise UserError(
                f"{path}: a SOURCE should have name, spk_id, begin_sample and a later end_sample; copy the file again"
            )
        found.append((name, speaker, int(begin), int(end)))
    return found
