"""The change of accuracy when supports come from another domain (speaker, site) than the queries, over several
domains."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

_LEAST_DOMAINS = 3


class Shift(NamedTuple):
    """Mean accuracies over the domains of the queries, and their differences.

    Attributes:
      mean: mean accuracy of each condition.
      half_width: half-widths of the 95% intervals of these means; None with fewer than three domains.
      difference: difference of each condition from the first one, on the same queries.
      difference_half_width: half-widths of the 95% intervals of these differences; None with fewer than three domains.
    """

    mean: Float[np.ndarray, " n_conditions"]
    half_width: Float[np.ndarray, " n_conditions"] | None
    difference: Float[np.ndarray, " n_conditions"]
    difference_half_width: Float[np.ndarray, " n_conditions"] | None


def shift_over_domains(accuracy: Float[np.ndarray, "n_conditions n_query n_support"]) -> Shift:
    """Average over domains, with intervals for other domains like these.

    Every domain's queries count equally, and so does every domain that their supports come from. The intervals are
    delete-one jackknives over domains: a domain is left out both as a domain of queries and as a domain of supports.
    The intervals use Student's t with one degree of freedom fewer than there are domains.

    Args:
      accuracy: accuracy with queries of a domain (second axis) and supports of another (third axis), NaN if there is
          none. A condition whose supports come from several domains is on the diagonal.

    Returns:
      means, differences and intervals.
    """
    n = accuracy.shape[1]
    mean = _means(accuracy, np.ones(n, bool))
    if n < _LEAST_DOMAINS:
        return Shift(mean, None, mean - mean[0], None)
    without = np.stack([_means(accuracy, np.arange(n) != domain) for domain in range(n)])
    differences = without - without[:, :1]
    quantile = special.stdtrit(n - 1, 0.975)
    widths = [quantile * np.sqrt((n - 1) / n * ((some - some.mean(0)) ** 2).sum(0)) for some in (without, differences)]
    return Shift(mean, widths[0], mean - mean[0], widths[1])


def _means(accuracy: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The mean over queries' domains of the mean over supports' domains, of each condition."""
    some = accuracy[:, kept][:, :, kept]
    known = ~np.isnan(some)
    count = known.sum(2)
    of_query = np.where(known, some, 0.0).sum(2) / np.maximum(count, 1)
    has = count > 0
    return np.where(has, of_query, 0.0).sum(1) / np.maximum(has.sum(1), 1)
