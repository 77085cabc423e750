"""Batches with a fixed number of groups (speakers), each with equally many items."""

import numpy as np
from jaxtyping import Int


class EqualGroups:
    """Cuts the items of a length bucket into batches of exactly `per_batch` groups.

    A batch takes `batch / per_batch` items of each of its groups. The number of batches depends only on the number of items in
    each group, not on random draws.

    Args:
      groups: number of each item's group, from 0.
      per_batch: number of groups in a batch.
      batch: number of items in a batch; a multiple of `per_batch`.
    """

    def __init__(self, groups: Int[np.ndarray, " items"], per_batch: int, batch: int):
        if batch % per_batch:
            raise ValueError(f"{batch} items do not divide among {per_batch} groups")
        self.groups, self.per_batch, self.share = groups, per_batch, batch // per_batch
        self.n_groups = int(groups.max()) + 1

    def counts(self, items: Int[np.ndarray, " some"]) -> Int[np.ndarray, " groups"]:
        """Number of these items in each group."""
        return np.bincount(self.groups[items], minlength=self.n_groups)

    def runs(self, counts: Int[np.ndarray, " groups"]) -> tuple[int, Int[np.ndarray, " groups"]]:
        """Compute the largest number of batches, and in how many of these each group takes part.

        With b batches, a group can take part in at most b, and in at most as many as it has whole shares for. If these numbers
        add up to at least `per_batch` * b, such batches exist (the condition of Gale and Ryser, for batches of equal size).

        Args:
          counts: items of each group.

        Returns:
          the number of batches, and for each group the number of batches with a share of it.
        """
        shares = counts // self.share
        low, high = 0, int(shares.sum()) // self.per_batch
        while (
            low < high
        ):  # the sum minus per_batch x b is concave in b and 0 at b = 0, so the possible values of b are an interval from 0
            middle = (low + high + 1) // 2
            if np.minimum(shares, middle).sum() >= self.per_batch * middle:
                low = middle
            else:
                high = middle - 1
        runs = np.minimum(shares, low)
        for _ in range(int(runs.sum()) - self.per_batch * low):  # fewer than per_batch times
            runs[np.argmax(runs)] -= 1
        return low, runs

    def left(self, counts: Int[np.ndarray, " groups"]) -> Int[np.ndarray, " groups"]:
        """Number of items of each group that are in no batch."""
        return counts - self.share * self.runs(counts)[1]

    def cut(
        self, items: Int[np.ndarray, " some"], rng: np.random.Generator
    ) -> tuple[Int[np.ndarray, "batches batch"], Int[np.ndarray, " rest"]]:
        """Cut shuffled items into batches.

        Each group in turn joins the batches that have most room, with ties broken at random. For any order of the groups this
        fills every batch (Gale's construction).

        Args:
          items: items in the order in which batches should use these.
          rng: decides which groups share a batch.

        Returns:
          the items of each batch, and the items that are in no batch.
        """
        n_batches, runs = self.runs(self.counts(items))
        room = np.full(n_batches, self.per_batch)
        batches = np.zeros((n_batches, self.per_batch, self.share), int)
        of_group = np.split(items[np.argsort(self.groups[items], kind="stable")], np.cumsum(self.counts(items))[:-1])
        rest = []
        for group in rng.permutation(self.n_groups):
            used = int(runs[group])
            chosen = np.lexsort((rng.random(n_batches), -room))[:used]
            batches[chosen, room[chosen] - 1] = of_group[group][: used * self.share].reshape(used, self.share)
            room[chosen] -= 1
            rest.append(of_group[group][used * self.share :])
        return batches.reshape(n_batches, -1), rng.permutation(np.concatenate(rest))
