"""TIMIT with its own segmentation: each recording has a .PHN file of first sample, end sample and phone, with 61 phones.

`jfewshot.downstream.timit` finds the sentences and divides them: no SA sentences, 462 speakers are trained on, 50 choose
checkpoints, and the 24 speakers of the core test set are tested. The other 94 speakers of TEST are not used.
"""

from pathlib import Path

from jfewshot.downstream.phones.datasets.base import PhoneData, Utterance
from jfewshot.downstream.phones.phone_sets import timit_phones
from jfewshot.downstream.phones.segments import read_segments
from jfewshot.downstream.timit import PARTS, check_counts, timit_recordings
from jfewshot.errors import UserError

_UNUSED = "rest of test"


def read_timit(root: Path, counts_checked: bool = True) -> PhoneData:
    """Read the SI and SX sentences of TIMIT with the times of their phones.

    Args:
      root: the folder with TRAIN and TEST, or the folder that contains it.
      counts_checked: refuse a copy whose numbers of utterances differ from the published numbers.

    Returns:
      the utterances of the three parts.

    Raises:
      UserError: audio without labels, a phone that is none of the 61, or other numbers of utterances than published.
    """
    recordings = timit_recordings(root)
    if counts_checked:
        check_counts(root, [each.part for each in recordings])
    phones, found = timit_phones(), []
    for each in recordings:
        if each.part == _UNUSED:
            continue
        path = each.labels(".phn")
        segments = read_segments(path)
        unknown = phones.unknown(segments.phones)
        if unknown:
            raise UserError(f"{path} has {unknown[0][:40]!r}, which is none of TIMIT's 61 phones; copy it again")
        found.append(Utterance(each.name, each.path, each.speaker, each.part, segments))
    return PhoneData("timit", "TIMIT", tuple(found), phones, PARTS)
