"""What every dataset of a downstream task has: a name, a title and named utterances."""

import dataclasses
from collections.abc import Collection
from typing import Any, TypeVar

D = TypeVar("D", bound="Dataset")


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Named utterances; each task adds what its utterances are labelled with and how they are divided.

    Attributes:
      name: name of the dataset, for records.
      title: title of the dataset, for messages and tables.
      utterances: the utterances, in the order of their names. Each has a `name`.
    """

    name: str
    title: str
    utterances: tuple[Any, ...]

    def without(self: D, names: Collection[str]) -> D:
        """The dataset without the utterances of these names."""
        kept = tuple(each for each in self.utterances if each.name not in names)
        return dataclasses.replace(self, utterances=kept)
