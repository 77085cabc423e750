"""A number that a page prints, compared with a new measurement."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """An accuracy in percent. The episodes are the same, so the measured accuracy must agree to the last printed digit.

    Attributes:
      what: which number it is.
      page: the page that prints it.
      claimed: the printed accuracy, in percent.
      measured: the measured accuracy, in percent.
    """

    what: str
    page: str
    claimed: str
    measured: float

    @property
    def agrees(self) -> bool:
        """Whether the measured accuracy, rounded, is the printed one. Half a unit of the last digit may be rounded up or down."""
        digits = len(self.claimed.partition(".")[2])
        return abs(float(self.claimed) - self.measured) <= 0.5 * 10.0**-digits + 1e-9

    @property
    def printed(self) -> tuple[str, str, str]:
        """The printed accuracy, the measured accuracy, and their ratio."""
        digits = len(self.claimed.partition(".")[2])
        return self.claimed, f"{self.measured:.{digits}f}", f"{self.measured / float(self.claimed):.4f}"


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How many times as fast one side is as another. It varies, so it must lie within the range of the recorded rounds.

    Attributes:
      what: which ratio it is.
      page: the page that prints it.
      on_record: median, smallest and largest ratio of the recorded rounds.
      measured: the median ratio of the new rounds.
    """

    what: str
    page: str
    on_record: tuple[float, float, float]
    measured: float

    @property
    def agrees(self) -> bool:
        """Whether the new ratio lies within the recorded range."""
        _, smallest, largest = self.on_record
        return smallest <= self.measured <= largest

    @property
    def printed(self) -> tuple[str, str, str]:
        """The printed ratio with its range, the measured ratio, and their quotient."""
        median, smallest, largest = self.on_record
        return (
            f"{median:.3g} ({smallest:.3g} to {largest:.3g})",
            f"{self.measured:.3g}",
            f"{self.measured / median:.2f}",
        )


Compared = Accuracy | Ratio
