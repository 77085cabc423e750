"""Find recordings that exist twice: identical ones, and copies in another format, at another level or sample rate."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from extraction.trying.examining import Facts

# Correlation of fingerprints above which recordings count as nearly identical. For 22 sample recordings, copies as OGG at a third
# of the level reach 0.991 to 0.9999, and copies at another rate 0.997 and more. Among 1,600 different recordings, the most
# similar pair has 0.995, and the next pair 0.988. The pair with 0.995 may be two recordings of one fire.
ALIKE = 0.99
_FLOOR_DB = 50.0  # bands that are weaker than the strongest one by more than this are changed by lossy codecs
_BLOCK = 1024
_MOST_CLIPS = 30_000


class Copies(NamedTuple):
    """Recordings that exist more than once.

    Attributes:
      identical: for each recording with copies, the clip ids with the same samples.
      alike: pairs of clip ids that are nearly identical.
    """

    identical: tuple[tuple[str, ...], ...]
    alike: tuple[tuple[str, str], ...]


def find_copies(facts: Sequence[Facts]) -> Copies:
    """Find identical and nearly identical recordings among those that can be read and are not silent.

    At most 30,000 recordings are compared for near identity.

    Args:
      facts: facts about the clips.
    """
    heard = [one for one in facts if not one.reason and not one.is_silent]
    same: dict[str, list[str]] = {}
    for one in heard:
        same.setdefault(one.sha256, []).append(one.clip_id)
    identical = tuple(tuple(ids) for ids in same.values() if len(ids) > 1)
    first = list({one.sha256: one for one in reversed(heard)}.values())[::-1][:_MOST_CLIPS]
    if len(first) < 2:
        return Copies(identical, ())
    prints = np.stack([one.fingerprint for one in first if one.fingerprint is not None]).astype(np.float64)
    prints = prints.reshape(len(first), -1)
    prints = np.maximum(prints, prints.max(axis=1, keepdims=True) - _FLOOR_DB)
    prints -= prints.mean(axis=1, keepdims=True)
    prints /= np.maximum(np.linalg.norm(prints, axis=1, keepdims=True), 1e-9)
    durations = np.array([one.duration_s for one in first])
    pairs = []
    for start in range(0, len(first), _BLOCK):
        close = prints[start : start + _BLOCK] @ prints.T > ALIKE
        for row, column in np.argwhere(close):
            here = start + row
            longest = max(durations[here], durations[column])
            if here < column and abs(durations[here] - durations[column]) <= 0.02 * longest:
                pairs.append((first[here].clip_id, first[column].clip_id))
    return Copies(identical, tuple(pairs))
