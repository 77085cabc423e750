"""A number as a page prints it, and as it was measured now."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """An accuracy in percent. The episodes are the same, so the measured one must agree to the last printed digit.

    Attributes:
      what: which number it is.
      page: where it is printed.
      claimed: as printed, in percent.
      measured: in percent.
    """

    what: str
    page: str
    claimed: str
    measured: float

    @property
    def agrees(self) -> bool:
        """Whether it is printed in the same way; half a unit of the last digit may be rounded either way."""
        digits = len(self.claimed.partition(".")[2])
        return abs(float(self.claimed) - self.measured) <= 0.5 * 10.0**-digits + 1e-9

    @property
    def printed(self) -> tuple[str, str, str]:
        """Claimed, measured, and their ratio."""
        digits = len(self.claimed.partition(".")[2])
        return self.claimed, f"{self.measured:.{digits}f}", f"{self.measured / float(self.claimed):.4f}"


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How many times as fast one thing is as another. It varies, so it must lie within the range of the rounds on record.

    Attributes:
      what: which ratio it is.
      page: where it is printed.
      on_record: median, smallest and largest of the rounds on record.
      measured: the median of the rounds now.
    """

    what: str
    page: str
    on_record: tuple[float, float, float]
    measured: float

    @property
    def agrees(self) -> bool:
        """Whether the ratio measured now lies within the range on record."""
        _, smallest, largest = self.on_record
        return smallest <= self.measured <= largest

    @property
    def printed(self) -> tuple[str, str, str]:
        """Claimed with its range, measured, and their ratio."""
        median, smallest, largest = self.on_record
        return (
            f"{median:.3g} ({smallest:.3g} to {largest:.3g})",
            f"{self.measured:.3g}",
            f"{self.measured / median:.2f}",
        )


Compared = Accuracy | Ratio
