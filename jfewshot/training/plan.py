"""Which items make up step n: a pure function of seed and step."""

from collections.abc import Callable, Sequence

import numpy as np

from jfewshot.errors import UserError
from jfewshot.training.groups import EqualGroups


class LengthBuckets:
    """Divides items into batches of similar length, epoch by epoch.

    In each epoch, items are shuffled, sorted into buckets by padded size, and cut into full batches. Items that do not fill a
    batch move up into the next larger bucket; items that remain in the largest bucket are not used in this epoch. Then the
    batches are shuffled. The number of batches depends only on the lengths, so step n of a run is batch n mod n_batches of
    epoch n div n_batches.

    Args:
      lengths: lengths of the items, in a fixed order.
      batch: items per step.
      longest: largest padded size; longer items count as this length.
      buckets: largest number of padded sizes.
      round_up: from a length to a padded size.
      seed: seed of the order.
      what: name of the items in messages.
      by_groups: cuts a bucket into batches with a fixed number of groups (speakers); None for batches of any items.

    Raises:
      UserError: if there are fewer items than a batch.
    """

    def __init__(
        self,
        lengths: Sequence[float] | np.ndarray,
        batch: int,
        longest: int,
        buckets: int,
        round_up: Callable[[float], int],
        seed: int,
        what: str = "utterances",
        by_groups: EqualGroups | None = None,
    ):
        if len(lengths) < batch:
            raise UserError(f"{len(lengths)} {what} do not fill a batch of {batch}: lower --batch, or give more speech")
        self.batch, self.seed, self.n_items = batch, seed, len(lengths)
        self.by_groups = by_groups
        lengths = np.minimum(np.ceil(lengths), longest)
        # Each bucket gets about the same number of items.
        edges = np.quantile(lengths, np.arange(1, buckets + 1) / buckets)
        self.sizes = sorted({min(round_up(edge), longest) for edge in edges})
        self.bucket = np.searchsorted(self.sizes, lengths)
        self._latest: tuple[int, list] = (-1, [])
        self.n_batches = self._count_batches()

    def _count_batches(self) -> int:
        if self.by_groups is None:
            return sum(self._full_batches(np.bincount(self.bucket, minlength=len(self.sizes))))
        total, carried = 0, np.zeros(self.by_groups.n_groups, int)
        for bucket in range(len(self.sizes)):
            carried = carried + self.by_groups.counts(np.flatnonzero(self.bucket == bucket))
            total += self.by_groups.runs(carried)[0]
            carried = self.by_groups.left(carried)
        return total

    def _full_batches(self, counts: np.ndarray) -> list[int]:
        full, carried = [], 0
        for count in counts:
            full.append(int(count + carried) // self.batch)
            carried = int(count + carried) % self.batch
        return full

    def epoch(self, number: int) -> list[tuple[int, np.ndarray]]:
        """All batches of an epoch: (padded size, indices of items)."""
        rng = np.random.default_rng([self.seed, 2, number])
        order = rng.permutation(self.n_items)
        batches, carried = [], np.zeros(0, int)
        for bucket, size in enumerate(self.sizes):
            # Items from the smaller bucket come first, so that no item remains over twice in an epoch.
            members = np.concatenate([carried, order[self.bucket[order] == bucket]])
            if self.by_groups is None:
                n_full = len(members) // self.batch
                full = members[: n_full * self.batch].reshape(n_full, self.batch)
                carried = members[n_full * self.batch :]
            else:
                full, carried = self.by_groups.cut(members, rng)
            batches += [(size, part) for part in full]
        return [batches[place] for place in rng.permutation(len(batches))]

    def step(self, number: int) -> tuple[int, np.ndarray]:
        """Batch of step `number`, counted from 0."""
        epoch, place = divmod(number, self.n_batches)
        latest, batches = self._latest
        if latest != epoch:
            batches = self.epoch(epoch)
            self._latest = (epoch, batches)
        return batches[place]
