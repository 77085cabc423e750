"""Classes that are trained and classes that are scored. Of TIMIT, 48 are trained and 39 scored (Lee and Hon, 1989)."""

import dataclasses
from collections.abc import Collection, Mapping
from functools import cached_property

import numpy as np
from jaxtyping import Int

from jfewshot.downstream.timit_phones import LEFT_OUT, TO_39, TO_48

NO_PHONE = "-"
"""Stands in files and records where there is no phone."""
SILENCE = frozenset({"sil", "sp", "h#"})
"""Scored classes that are not speech."""


@dataclasses.dataclass(frozen=True, eq=False)
class PhoneSet:
    """The classes of a dataset.

    Attributes:
      trained, scored: names of the classes, in the order of their numbers.
      to_trained: from a phone in the files to its trained class; other phones are neither trained nor scored.
      to_scored: from a trained class to the scored class.
      left_out: phones that are known but have no class.
    """

    trained: tuple[str, ...]
    scored: tuple[str, ...]
    to_trained: Mapping[str, str]
    to_scored: Mapping[str, str]
    left_out: frozenset[str] = frozenset()

    @cached_property
    def numbers(self) -> dict[str, int]:
        """From a phone in the files to the number of its trained class."""
        place = {name: number for number, name in enumerate(self.trained)}
        return {phone: place[name] for phone, name in self.to_trained.items()}

    @cached_property
    def folded(self) -> Int[np.ndarray, " n_trained"]:
        """From the number of a trained class to the number of its scored class."""
        place = {name: number for number, name in enumerate(self.scored)}
        return np.array([place[self.to_scored[name]] for name in self.trained])

    @property
    def silent(self) -> Int[np.ndarray, " n_silent"]:
        """Numbers of the scored classes that are not speech."""
        return np.array([number for number, name in enumerate(self.scored) if name in SILENCE], np.int64)

    def unknown(self, phones: Collection[str]) -> list[str]:
        """Phones that neither have a class nor are left out, sorted."""
        return sorted(set(phones) - set(self.to_trained) - self.left_out)


def timit_phones() -> PhoneSet:
    """TIMIT's 48 trained and 39 scored classes. Files may have the 61 transcribed phones or names of the 48 classes; glottal
    stops are left out."""
    trained, scored = tuple(sorted(set(TO_48.values()))), tuple(sorted(set(TO_39.values())))
    to_trained = {name: name for name in trained} | TO_48
    return PhoneSet(trained, scored, to_trained, TO_39, frozenset({LEFT_OUT, NO_PHONE}))


def own_phones(phones: Collection[str]) -> PhoneSet:
    """TIMIT's classes if all phones are TIMIT's; otherwise each phone except `-` is a class that is trained and scored."""
    timit = timit_phones()
    if not timit.unknown(phones):
        return timit
    names = tuple(sorted(set(phones) - {NO_PHONE}))
    itself = {name: name for name in names}
    return PhoneSet(names, names, itself, itself, frozenset({NO_PHONE}))
