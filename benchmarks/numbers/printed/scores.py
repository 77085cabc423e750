"""Tables and sentences about probabilities and scores, expected accuracies, long recordings, and mteb's protocol."""

from statistics import mean
from typing import Any

from benchmarks.numbers.comparing import Rows, Sentence, Table, Values
from benchmarks.numbers.printed.names import dataset, ends, head, upstream


def calibration(found: Any, rows: Rows) -> Values:
    """Errors of the probabilities."""
    values = []
    for row in rows:
        means = found["means"][f"{head(row[0])}, {row[1]} shots"]
        errors = [[100 * (1 - means["accuracy"])], [100 * means["risk_at_half"]]]
        both = [means["nll_uncalibrated"], means["nll"], 100 * means["ece_uncalibrated"], 100 * means["ece"]]
        values.append([*([value] for value in both), *errors])
    return values


def unknown_classes(found: Any, rows: Rows) -> Values:
    """How well each score separates known from unknown classes."""
    values = []
    for row in rows:
        scores = found["means"]["unknown classes"][f"{head(row[0])}, {row[1]} shots"]
        values.append(
            [
                [100 * scores[name][field] for field in ("auroc", "fpr95")]
                for name in ("probability", "score", "energy", "margin")
            ]
        )
    return values


def expected_accuracy(found: Any, rows: Rows) -> Values:
    """How often the intervals held the accuracy."""
    return [
        [
            [100 * found["summary"][row[0]][m]["covered"], found["summary"][row[0]][m]["median width, binomial 1"]]
            for m in ("30", "60", "all")
        ]
        for row in rows
    ]


def long_recordings(found: Any, rows: Rows) -> Values:
    """Shares of correct answers of heads on a long recording."""
    values = []
    for row in rows:
        (head_of,) = [
            one
            for one in found["heads"]
            if one["upstream"] == upstream(row[0]) and one["background class"] == (row[1] == "yes")
        ]
        shares = ("expected", "clips: nearest class right", "clips: label right", "noise: unknown", "noise: background")
        merged = ("merged: begin within half a hop", "merged: end within half a hop")
        last = [head_of["merged: clips found"], *(100 * head_of[field] for field in merged)]
        values.append([*([100 * head_of[field]] for field in shares), last])
    return values


def mteb_rankings(found: Any, rows: Rows) -> Values:
    """How many pairs of encoders change their order."""
    by = {one["on"]: one for one in found["rankings"]}
    counts = ("swapped_by_mteb", "swapped_by_mtebs_draws_converged", "swapped_in_five_folds_mean")
    shares = ("same_order_in_five_folds", "same_best_in_five_folds")
    rankings = [by["average" if row[0].startswith("average") else dataset(row[0])] for row in rows]
    return [
        [*([ranking[field]] for field in counts), *([100 * ranking[field]] for field in shares)] for ranking in rankings
    ]


def mteb_cells(found: Any, rows: Rows) -> Values:
    """Each cell as mteb evaluates it and in 1,000 experiments."""
    cells = {(cell["dataset"], cell["upstream"]): cell for cell in found["cells"]}
    values = []
    for row in rows:
        cell = cells[dataset(row[0]), upstream(row[1])]
        values.append(
            [
                [100 * cell["mteb"]],
                [cell["stopped"], 5],
                [100 * cell["equal_predictions"]],
                [100 * cell["converged"]],
                [100 * cell["mean"], 100 * cell["ci95"]],
                [100 * cell["pool_ci95_classes_fixed"]],
                [100 * cell["std_of_five_folds"]],
            ]
        )
    return values


TABLES = [
    Table("docs/scores.md", "(images/calibration.png)", "calibration", calibration, labels=2),
    Table("docs/scores.md", "of known against unknown classes:", "calibration", unknown_classes, labels=2),
    Table("docs/heads_in_use.md", "### The expected accuracy", "expected_accuracy", expected_accuracy),
    Table("docs/heads_in_use.md", "## Measured on a long recording", "long_recordings", long_recordings, labels=2),
    Table("docs/mteb.md", "## Does mteb's ranking", "mteb_ranking", mteb_rankings),
    Table("docs/mteb.md", "The cells, in percent", "mteb_ranking", mteb_cells, labels=2),
]


def temperature(found: Any) -> list[float]:
    """The fixed temperature at one shot, the best temperatures of single cells, and the loss with each of them."""
    tried = found["means"]["one shot by temperature"]
    quartiles = [tried[name]["quartiles_of_best"] for name in tried]
    of = tried["logistic"]
    lowest, highest = min(each[0] for each in quartiles), max(each[2] for each in quartiles)
    return [of["best"], lowest, highest, of["nll_best_of_each_cell"], of["nll"]]


SENTENCES = [
    Sentence(
        "docs/scores.md",
        "{} is the best value on average, and the best value of a single cell is between {} and {} in half of the cells. With "
        "the best value of each cell the negative log-likelihood would be {} instead of {}.",
        "calibration",
        temperature,
    ),
    Sentence(
        "docs/scores.md",
        "own probabilities in {} of 32 cells, and worse in {}, by up to {} (FBANK on digits,",
        "calibration",
        lambda found: [
            found["means"]["logistic, 1 shots"]["cells_with_less_nll"],
            32 - found["means"]["logistic, 1 shots"]["cells_with_less_nll"],
            -found["means"]["logistic, 1 shots"]["least_gain"][2],
        ],
    ),
    Sentence(
        "docs/scores.md",
        "in {} of 32 cells of `ridge` and {} of `centroid`. The largest losses are on ESC-10 with "
        "speech_embedding ({} and {} nats)",
        "calibration",
        lambda found: [
            *(32 - found["means"][f"{name}, 5 shots"]["cells_with_less_nll"] for name in ("ridge", "centroid")),
            *(-found["means"][f"{name}, 5 shots"]["least_gain"][2] for name in ("ridge", "centroid")),
        ],
    ),
    Sentence(
        "docs/scores.md",
        "the best score of `centroid` in {} of 32 cells at five shots and in {} at one",
        "calibration",
        lambda found: [
            found["means"]["unknown classes"][f"centroid, {shots} shots"]["energy"]["best_in"] for shots in (5, 1)
        ],
    ),
    Sentence(
        "docs/mteb.md",
        "a standard deviation of {} points on average over the cells ({} to {})",
        "mteb_ranking",
        lambda found: [
            100 * mean(cell["std_of_five_folds"] for cell in found["cells"]),
            *ends(100 * cell["std_of_five_folds"] for cell in found["cells"]),
        ],
    ),
    Sentence(
        "docs/mteb.md",
        "by more than 1 point on {} of {} cells, and by up to {} points (speech_embedding on speakers)",
        "mteb_ranking",
        lambda found: [
            sum(abs(cell["mteb"] - cell["mean"]) > 0.01 for cell in found["cells"]),
            len(found["cells"]),
            100 * max(abs(cell["mteb"] - cell["mean"]) for cell in found["cells"]),
        ],
    ),
    Sentence(
        "docs/mteb.md",
        "stopped before it converged in {} of {} cells, in {} of them in all five folds",
        "mteb_ranking",
        lambda found: [
            sum(cell["stopped"] > 0 for cell in found["cells"]),
            len(found["cells"]),
            sum(cell["stopped"] == 5 for cell in found["cells"]),
        ],
    ),
    Sentence(
        "docs/mteb.md",
        "the interval is ± {} points on average",
        "mteb_ranking",
        lambda found: [100 * mean(cell["pool_ci95_classes_fixed"] for cell in found["cells"])],
    ),
    Sentence(
        "docs/heads_in_use.md",
        "only {} to {}% of the windows of noise",
        "long_recordings",
        lambda found: [
            100 * end for end in ends(one["noise: unknown"] for one in found["heads"] if not one["background class"])
        ],
    ),
]
