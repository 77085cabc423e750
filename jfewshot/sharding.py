"""Shares of a list of work, for runs on several machines that do not talk to each other."""

import dataclasses

from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True)
class Shard:
    """Share `index` (from 0) of `count` shares: every count-th piece of work, beginning with number `index`."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """A shard from `i/n`, as `--shard` takes it.

        Args:
          text: such as "3/8"; i is from 0 to n-1.

        Raises:
          UserError: if the text is anything else.
        """
        index, slash, count = text.partition("/")
        # isascii: "²" is a digit too, and no number.
        if not (slash and text.isascii() and index.isdigit() and count.isdigit() and int(index) < int(count)):
            raise UserError(f"--shard is '{text}'; write i/n with i from 0 to n-1, as in 3/8")
        return cls(int(index), int(count))

    def owns(self, number: int) -> bool:
        """Whether this share contains the piece of work with that number."""
        return number % self.count == self.index
