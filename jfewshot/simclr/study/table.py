"""The tables of a study: accuracies and paired differences, with intervals over episodes and over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from jfewshot.simclr.study.accuracy import Key
from jfewshot.statistics.intervals import episode_interval


def compared(
    accuracies: Mapping[Key, Float[np.ndarray, " episodes"]],
    rows: Mapping[str, Sequence[str]],
    references: Sequence[str],
) -> list[dict[str, Any]]:
    """Make one record for each test set, number of shots and row.

    Args:
      accuracies: accuracies of each episode; the same episodes for all upstreams.
      rows: the upstreams of each row, one per seed in a fixed order; a single one for a row without seeds.
      references: rows with which each row is compared.

    Returns:
      records with `dataset`, `shots`, `row`, `mean`, `ci_episodes`, `ci_seeds` (None for fewer than two seeds), and
      `differences`, which has the last three for each reference. `ci_episodes` is 1.96 standard errors of the mean over
      episodes, after averaging over seeds; it accounts for other episodes of these clips with these seeds. `ci_seeds` is
      Student's interval over the seeds' differences; it accounts for other seeds with these episodes. A row with seeds is
      compared seed by seed.
    """
    records = []
    for dataset, shots in sorted({key[:2] for key in accuracies}):
        matrix = {
            row: np.stack([accuracies[dataset, shots, name] for name in upstreams]) for row, upstreams in rows.items()
        }
        for row, own in matrix.items():
            differences = {
                reference: _summary(own - matrix[reference]) for reference in references if reference not in (row,)
            }
            records.append(
                {"dataset": dataset, "shots": shots, "row": row, **_summary(own), "differences": differences}
            )
    return records


def _summary(values: Float[np.ndarray, "seeds episodes"]) -> dict[str, Any]:
    by_seed = values.mean(axis=1)
    n = len(by_seed)
    over_seeds = float(stats.t.ppf(0.975, n - 1) * by_seed.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    mean, _, over_episodes = episode_interval(values.mean(axis=0))
    return {"mean": mean, "ci_episodes": over_episodes, "ci_seeds": over_seeds, "seeds": n}


def as_markdown(records: Sequence[Mapping[str, Any]], references: Sequence[str]) -> str:
    """Write tables for each number of shots: rows by test sets, in percent, ± over episodes / over seeds, then differences."""
    parts = []
    for shots in sorted({record["shots"] for record in records}):
        chosen = [record for record in records if record["shots"] == shots]
        datasets = list(dict.fromkeys(record["dataset"] for record in chosen))
        for title, pick in [("accuracy", None), *((f"minus {reference}", reference) for reference in references)]:
            parts += [f"| {shots}-shot, {title} | {' | '.join(datasets)} |", "|---" * (len(datasets) + 1) + "|"]
            for row in dict.fromkeys(record["row"] for record in chosen):
                of_row = {record["dataset"]: record for record in chosen if record["row"] == row}
                if pick is not None and pick == row:
                    continue
                cells = [_cell(of_row[name] if pick is None else of_row[name]["differences"][pick], pick is not None)
                         for name in datasets]  # fmt: skip
                parts.append(f"| {row} | {' | '.join(cells)} |")
            parts.append("")
    return "\n".join(parts)


def _cell(summary: Mapping[str, Any], signed: bool) -> str:
    mean = f"{100 * summary['mean']:{'+' if signed else ''}.1f}"
    over_seeds = "" if summary["ci_seeds"] is None else f" / {100 * summary['ci_seeds']:.1f}"
    return f"{mean} ± {100 * summary['ci_episodes']:.1f}{over_seeds}"
