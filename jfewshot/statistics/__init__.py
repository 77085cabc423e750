"""Intervals, paired comparisons, ranks, correlations: pure functions of arrays, NumPy and SciPy only.

| file | question |
|---|---|
| `intervals` | how uncertain is a mean accuracy? |
| `pool` | how much would accuracy move on other clips, or other classes? |
| `unbalanced` | what are accuracy, balanced accuracy and macro F1 if classes have different numbers of queries? |
| `calibration` | how far can probabilities be trusted? |
| `abstention` | how many answers are wrong if only the most confident ones are given? |
| `open_set` | are queries of unknown classes recognised? |
| `classification` | what are the metrics of mteb's classification tasks? |
| `domains` | what changes when supports are of another speaker or site than the queries? |
| `paired` | is A better than B, on a dataset or on average? |
| `multiple` | which of many tests remain significant together? (Holm) |
| `ranks` | which system is best over many datasets, and is the difference significant? |
| `signed_ranks` | is A better than B over many cells, each of which counts the same? (Wilcoxon) |
| `correlation` | does few-shot accuracy correlate with other scores? |
| `best` | how likely is each system the best? |
| `crossovers` | where do two systems change their order along a curve, and is it significant? |
| `agreement` | does a ranking from few labels agree with one from many? |
| `needed` | how many labels per class does an accuracy need? |
| `law` | which accuracy is to be expected beyond the last evaluated number of shots? |
| `expected` | how accurate will a fitted classifier be on m new clips? |
| `pareto` | which systems are on the Pareto front of accuracy and cost? |
| `selection` | which C, layer, pooling, classifier, chosen on validation? |
"""

from jfewshot.statistics.agreement import Agreement, rank_agreement
from jfewshot.statistics.best import best_probability
from jfewshot.statistics.correlation import Correlations, correlations, line_with_band, logit
from jfewshot.statistics.crossovers import Crossover, crossovers
from jfewshot.statistics.expected import Outcomes, expected_interval, outcomes_of
from jfewshot.statistics.intervals import (
    AccuracyInterval,
    correct_from_predicted,
    episode_interval,
    pool_half_widths,
    pool_interval,
)
from jfewshot.statistics.law import Prediction, predict_curve
from jfewshot.statistics.multiple import holm, holm_of_pairs
from jfewshot.statistics.needed import FARTHEST, Needed, labels_beyond, labels_needed
from jfewshot.statistics.paired import (
    Differences,
    class_pseudo_values,
    class_scores,
    compare,
    difference_variance,
    permutation_p_value,
    wins_ties_losses,
)
from jfewshot.statistics.pool import Pool, PoolCovariance, SidesOfClips, make_pool, pool_covariance
from jfewshot.statistics.ranks import (
    DatasetBootstrap,
    RankTest,
    as_read,
    average_ranks,
    bootstrap_over_datasets,
    indistinguishable_groups,
    rank_test,
    rank_within_columns,
)
from jfewshot.statistics.selection import Choice, choose_on_validation
from jfewshot.statistics.signed_ranks import fewest_differences, signed_rank_p

__all__ = [
    "FARTHEST",
    "AccuracyInterval",
    "Agreement",
    "Choice",
    "Correlations",
    "Crossover",
    "DatasetBootstrap",
    "Differences",
    "Needed",
    "Outcomes",
    "Pool",
    "PoolCovariance",
    "Prediction",
    "RankTest",
    "SidesOfClips",
    "as_read",
    "average_ranks",
    "best_probability",
    "bootstrap_over_datasets",
    "choose_on_validation",
    "class_pseudo_values",
    "class_scores",
    "compare",
    "correct_from_predicted",
    "correlations",
    "crossovers",
    "difference_variance",
    "episode_interval",
    "expected_interval",
    "fewest_differences",
    "holm",
    "holm_of_pairs",
    "indistinguishable_groups",
    "labels_beyond",
    "labels_needed",
    "line_with_band",
    "logit",
    "make_pool",
    "outcomes_of",
    "permutation_p_value",
    "pool_covariance",
    "pool_half_widths",
    "pool_interval",
    "predict_curve",
    "rank_agreement",
    "rank_test",
    "rank_within_columns",
    "signed_rank_p",
    "wins_ties_losses",
]
