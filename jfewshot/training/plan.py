"""Which items make up step n: a pure function of seed and step."""

from collections.abc import Callable, Sequence

import numpy as np

from jfewshot.errors import UserError


class LengthBuckets:
    """Epochs of batches in length buckets.

    Within an epoch, items are shuffled, sorted into buckets by padded size, and cut into full batches; what does
    not fill a batch moves up into the next larger bucket, and what is left of the largest waits for another epoch.
    Then the batches are shuffled. How many there are depends on the lengths alone, so step n of a run is batch n
    mod n_batches of epoch n div n_batches.

    Args:
      lengths: of the items, in a fixed order.
      batch: items per step.
      longest: no length counts for more.
      buckets: padded sizes; at most so many.
      round_up: from a length to a padded size.
      seed: of the order.
      what: the items are called, in messages.
      groups: number of each item's group (its speaker); with `together`.
      together: items of one group that go into a batch together, where the group has as many left; 1: no heed of groups.

    Raises:
      UserError: fewer items than a batch.
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
        groups: Sequence[int] | np.ndarray | None = None,
        together: int = 1,
    ):
        if len(lengths) < batch:
            raise UserError(f"{len(lengths)} {what} do not fill a batch of {batch}: lower --batch, or give more speech")
        self.batch, self.seed, self.n_items = batch, seed, len(lengths)
        self.groups, self.together = None if groups is None else np.asarray(groups), together
        lengths = np.minimum(np.ceil(lengths), longest)
        # Sizes with about equally many items below each.
        edges = np.quantile(lengths, np.arange(1, buckets + 1) / buckets)
        self.sizes = sorted({min(round_up(edge), longest) for edge in edges})
        self.bucket = np.searchsorted(self.sizes, lengths)
        counts = np.bincount(self.bucket, minlength=len(self.sizes))
        self._latest: tuple[int, list] = (-1, [])
        self.n_batches = int(sum(self._full_batches(counts)))

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
            # Those carried up go first, so that nobody is left out twice in an epoch.
            members = np.concatenate([carried, self._in_runs(order[self.bucket[order] == bucket], rng)])
            n_full = len(members) // self.batch
            batches += [(size, part) for part in members[: n_full * self.batch].reshape(n_full, self.batch)]
            carried = members[n_full * self.batch :]
        return [batches[place] for place in rng.permutation(len(batches))]

    def _in_runs(self, members: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shuffled items, so that `together` of a group follow each other; what fills no run comes last."""
        if self.groups is None or self.together == 1:
            return members
        by_group = members[np.argsort(self.groups[members], kind="stable")]
        runs, rest = [], []
        for group in np.split(by_group, np.flatnonzero(np.diff(self.groups[by_group])) + 1):
            n_whole = len(group) // self.together * self.together
            runs += list(group[:n_whole].reshape(-1, self.together))
            rest.append(group[n_whole:])
        return np.concatenate(
            [*(runs[place] for place in rng.permutation(len(runs))), rng.permutation(np.concatenate(rest))]
        )

    def step(self, number: int) -> tuple[int, np.ndarray]:
        """Batch of step `number`, counted from 0."""
        epoch, place = divmod(number, self.n_batches)
        latest, batches = self._latest
        if latest != epoch:
            batches = self.epoch(epoch)
            self._latest = (epoch, batches)
        return batches[place]
