"""Does mteb's ranking of encoders on the sample stores stay the same with a converged classifier and more experiments?

    python -m studies.mteb_ranking --json benchmarks/measured/mteb_ranking.json

Each of the 32 sample cells is evaluated in three ways: as mteb does (five folds, scikit-learn's 100 iterations), with a converged
classifier on mteb's draws, and with a converged classifier in 1,000 independent experiments (200 divisions into five folds). The
study takes about five minutes on two cores.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.tools.measuring import write_json
from benchmarks.tools.samples import opened_samples
from jfewshot._version import made_with
from jfewshot.cells.computing import evaluate_cells
from jfewshot.cells.mteb import mteb_classifier
from jfewshot.cells.planning import plan_cells
from jfewshot.episodes.protocol import MTEB_FOLDS, Protocol
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.statistics.unbalanced import right_of_slots


def evaluated(evaluator: Evaluator, n_episodes: int | None, faithful: bool) -> list[dict[str, Any]]:
    """Each sample cell's record, with the accuracy of each experiment.

    Args:
      evaluator: the evaluator, which all cells share.
      n_episodes: number of independent experiments; None for mteb's own draws.
      faithful: whether scikit-learn is called as mteb calls it.

    Returns:
      one entry per cell.
    """
    protocol = Protocol.of_mteb(n_episodes, 42, None, None, None)
    found = []
    for store in opened_samples():
        (cell,) = plan_cells([store], [protocol], [mteb_classifier(faithful)], preprocessing="none")
        ((record, _),) = evaluate_cells([cell], evaluator, None)
        count = evaluator.draw(cell.clips, cell.protocol, cell.store.dataset).query_count
        assert count is not None
        each = right_of_slots(record["predicted"], count).sum(axis=1) / count.sum(axis=1)
        accuracy, names = record["accuracy"], {"dataset": cell.store.dataset, "upstream": cell.store.upstream}
        found.append(names | {"accuracy": accuracy, "each": each, "mteb": record["mteb"]})
    return found


def summary(faithful: list, own: list, many: list) -> dict[str, Any]:
    """The numbers of the cells, and how far rankings agree.

    Args:
      faithful: result of `evaluated` as mteb does.
      own: result of `evaluated` with a converged classifier on mteb's draws.
      many: result of `evaluated` with a converged classifier in independent experiments.

    Returns:
      the numbers of docs/mteb.md.
    """
    cells = []
    for as_mteb, converged, honest in zip(faithful, own, many, strict=True):
        repeats = honest["each"].reshape(-1, MTEB_FOLDS).mean(axis=1)
        cells.append(
            {
                "dataset": as_mteb["dataset"],
                "upstream": as_mteb["upstream"],
                "mteb": as_mteb["accuracy"]["mean"],
                "stopped": as_mteb["mteb"]["stopped"],
                "equal_predictions": as_mteb["mteb"]["equal_predictions"],
                "converged": converged["accuracy"]["mean"],
                "mean": honest["accuracy"]["mean"],
                "ci95": honest["accuracy"]["ci95"],
                "pool_ci95_classes_fixed": honest["accuracy"]["pool_ci95_classes_fixed"],
                "std_of_five_folds": float(repeats.std(ddof=1)),
            }
        )
    upstreams = sorted({cell["upstream"] for cell in cells})
    datasets = sorted({cell["dataset"] for cell in cells})
    repeats = np.array(
        [
            [
                next(c["each"] for c in many if (c["dataset"], c["upstream"]) == (dataset, upstream))
                .reshape(-1, MTEB_FOLDS)
                .mean(axis=1)
                for upstream in upstreams
            ]
            for dataset in datasets
        ]
    )  # datasets, upstreams, repeats
    rankings = []
    for name, at in [*((dataset, [i]) for i, dataset in enumerate(datasets)), ("average", list(range(len(datasets))))]:
        chosen = [c for c in cells if c["dataset"] in [datasets[i] for i in at]]
        by = {
            key: np.array([np.mean([c[key] for c in chosen if c["upstream"] == upstream]) for upstream in upstreams])
            for key in ("mteb", "converged", "mean")
        }
        of_repeats = repeats[at].mean(axis=0)
        pairs = list(itertools.combinations(range(len(upstreams)), 2))
        order = np.sign([by["mean"][a] - by["mean"][b] for a, b in pairs])
        swapped = {
            key: int((np.sign([by[key][a] - by[key][b] for a, b in pairs]) != order).sum())
            for key in ("mteb", "converged")
        }
        luck = np.array([(np.sign([one[a] - one[b] for a, b in pairs]) != order).sum() for one in of_repeats.T])
        rankings.append(
            {
                "on": name,
                "pairs": len(pairs),
                "swapped_by_mteb": swapped["mteb"],
                "swapped_by_mtebs_draws_converged": swapped["converged"],
                "spearman_of_mteb": float(stats.spearmanr(by["mteb"], by["mean"])[0]),
                "swapped_in_five_folds_mean": float(luck.mean()),
                "same_order_in_five_folds": float((luck == 0).mean()),
                "same_best_in_five_folds": float((of_repeats.argmax(axis=0) == by["mean"].argmax()).mean()),
                "order": [upstreams[i] for i in np.argsort(-by["mean"])],
                "order_of_mteb": [upstreams[i] for i in np.argsort(-by["mteb"])],
            }
        )
    return {"cells": cells, "rankings": rankings}


def tables(found: dict[str, Any]) -> str:
    """The tables of docs/mteb.md.

    Args:
      found: the result of `summary`.
    """
    heads = (
        *("dataset", "encoder", "mteb", "stopped early", "equal predictions", "converged", "1,000 experiments"),
        *("other clips", "sd of five folds"),
    )
    lines = [_row(heads), "|---" * len(heads) + "|"]
    for cell in found["cells"]:
        percent = {name: f"{100 * value:.1f}" for name, value in cell.items() if isinstance(value, float)}
        lines.append(
            _row(
                (
                    *(cell["dataset"], cell["upstream"], percent["mteb"], f"{cell['stopped']} of 5"),
                    *(
                        f"{percent['equal_predictions']}%",
                        percent["converged"],
                        f"{percent['mean']} ± {percent['ci95']}",
                    ),
                    *(f"± {percent['pool_ci95_classes_fixed']}", percent["std_of_five_folds"]),
                )
            )
        )
    of_rankings = (
        *("ranking on", "pairs in another order: mteb", "mteb's draws, converged", "five folds drawn again"),
        *("order stays", "best stays"),
    )
    lines += ["", _row(of_rankings), "|---" * len(of_rankings) + "|"]
    for one in found["rankings"]:
        stays = (f"{100 * one[name]:.0f}%" for name in ("same_order_in_five_folds", "same_best_in_five_folds"))
        swapped = f"{one['swapped_by_mteb']} of {one['pairs']}", str(one["swapped_by_mtebs_draws_converged"])
        lines.append(_row((one["on"], *swapped, f"{one['swapped_in_five_folds_mean']:.1f}", *stays)))
    return "\n".join(lines)


def _row(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


def main() -> None:
    """Measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--experiments", type=int, default=1000)
    options = parser.parse_args()
    evaluator = Evaluator()
    found = summary(
        evaluated(evaluator, None, True),
        evaluated(evaluator, None, False),
        evaluated(evaluator, options.experiments, False),
    )
    found |= {"experiments": options.experiments, "made_with": made_with("numpy", "scikit-learn")}
    write_json(options.json, found)
    print(tables(found))


if __name__ == "__main__":
    main()
