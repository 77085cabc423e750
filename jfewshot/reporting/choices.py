"""What a report shows, and how."""

import dataclasses

from jfewshot.reporting.outside import OutsideTable
from jfewshot.reporting.tables import Style
from jfewshot.statistics.correlation import Method
from jfewshot.statistics.paired import PoolKind


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a report shows, and how.

    Attributes:
      interval: the interval of every mean; `both` is `ci95` and `pool_ci95`.
      style: style of the tables.
      formats: formats of the figures.
      pool: the kind of new sample that the intervals of paired differences are for.
      permutation: p-values of average differences by sign flips.
      compare_at_most: this many of the best upstreams are compared in pairs.
      figures_at_most: figures are drawn for this many of the fullest leaderboards.
      published: compare with the published Table 3 and SUPERB, if the results have the same datasets and upstreams.
      outside: another table with which results are correlated.
      correlation: Spearman's or Pearson's coefficient.
      logit: correlate the logits of shares.
      hub_dataset: id of the dataset of the Hugging Face Hub that files for the Hub name; None to write none.
    """

    interval: str = "both"
    style: Style = "published"
    formats: tuple[str, ...] = ("png", "svg", "pdf")
    pool: PoolKind = "classes"
    permutation: bool = False
    compare_at_most: int = 12
    figures_at_most: int = 2
    published: bool = True
    outside: OutsideTable | None = None
    correlation: Method = "spearman"
    logit: bool = False
    hub_dataset: str | None = None
