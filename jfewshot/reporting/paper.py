"""The tables of the few-shot paper, recomputed, compared with what it prints, and with the user's own results beside them."""

import re
from collections.abc import Sequence

import numpy as np

from jfewshot.reporting import published
from jfewshot.reporting.claims import claims, thresholds
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.leaderboard import Leaderboard, best_and_second
from jfewshot.reporting.outside import dataset_title, published_cells
from jfewshot.reporting.published import OTHER_SOUNDS, SPEECH
from jfewshot.statistics import Correlations, average_ranks
from jfewshot.statistics.correlation import Method

_NEAR = 0.02e6  # parameters; the precision of two decimals of a million


def notes(method: Method = "spearman", with_logit: bool = False) -> list[str]:
    """Notes that a reader of the paper's comparison needs in addition to the numbers.

    Args:
      method: of the coefficients in figures and tables.
      with_logit: whether they are of logits.
    """
    named = [
        f"{row['title']}: {row['superb_checkpoint_note'].rstrip('.')}."
        for row in published.read_data_csv("upstreams.csv")
        if row["superb_checkpoint_note"]
    ]
    chosen = coefficient_name(method, with_logit)
    return [
        f"Coefficients in figures and tables are {chosen}, those of the claims Spearman's unless another is named. The paper "
        "says Pearson on logits in its text and Spearman under its figures, and only Spearman reproduces its numbers.",
        "Some upstreams were scored by SUPERB with another checkpoint or layer than the few-shot paper used, which "
        "weakens every correlation: " + " ".join(named),
        "With 13 related upstreams, bootstrap intervals of a coefficient are about 0.8 to 1.2 wide.",
    ]


def coefficient_name(method: Method, with_logit: bool) -> str:
    """A coefficient as sentences name it: "Spearman's", "Pearson's of the logits".

    Args:
      method: `spearman` or `pearson`.
      with_logit: whether logits were taken first.
    """
    return f"{method.title()}'s{' of the logits' if with_logit else ''}"


def table_1() -> Grid:
    """The 13 upstreams: the package's numbers next to those that the paper and SUPERB print."""
    superb = {row["model"]: float(row["superb_params"]) for row in published.read_data_csv("superb.csv")}
    printed = {row["approach"]: row for row in published.read_data_csv("table1.csv")}
    rows, contradictions = [], []
    for row in published.read_data_csv("upstreams.csv"):
        title, theirs = row["title"], printed[row["title"]]
        counted, in_paper = float(row["n_parameters"]), 1e6 * float(theirs["n_parameters_millions"])
        rows.append(
            [
                *(title, row["objective"], theirs["objectives"], row["network"], theirs["network"]),
                *(row["input"], theirs["input"], *(f"{n / 1e6:.2f} M" for n in (counted, in_paper, superb[title]))),
            ]
        )
        said = []
        if abs(counted - in_paper) > _NEAR:
            said.append(f"{in_paper / 1e6:.2f} M parameters are printed, the checkpoint has {counted / 1e6:.2f} M")
        if _layers(theirs["network"]) != _layers(row["network"]):
            said.append(
                f"a network of {theirs['network']} is printed at {in_paper / 1e6:.2f} M parameters, and the checkpoint of "
                f"{counted / 1e6:.2f} M has {row['network']}"
            )
        if (theirs["input"] == "Raw") != (row["input"] == "waveform"):
            said.append(f"input {theirs['input']} is printed, the network takes a {row['input']}")
        if said:
            contradictions.append(f"{title}: {'; '.join(said)}.")
    other = [
        f"{row['title']} {float(row['n_parameters']) / 1e6:.2f} M here, {superb[row['title']] / 1e6:.2f} M there"
        for row in published.read_data_csv("upstreams.csv")
        if abs(float(row["n_parameters"]) - superb[row["title"]]) > _NEAR
    ]
    notes = [
        "Parameters are counted in the checkpoints; two decimals of the printed numbers agree unless said otherwise. What the "
        "paper prints and its own checkpoints contradict: " + " ".join(contradictions),
        "SUPERB prints other numbers of parameters for: " + "; ".join(other) + ".",
    ]
    headings = [
        *("Upstream", "Objective", "as printed", "Network", "as printed", "Input", "as printed"),
        *("Parameters", "as printed", "by SUPERB"),
    ]
    return grid("Table 1. Upstreams", headings, rows, notes, n_labels=7)


def _layers(network: str) -> int:
    """How many transformer layers a description such as "7-Conv, 12-Trans" names."""
    found = re.search(r"(\d+)-Trans", network)
    return int(found[1]) if found else 0


def table_2() -> Grid:
    """The ten datasets: the package's numbers next to those that the paper prints."""
    printed = {dataset_title(row["name"]): row for row in published.read_data_csv("table2.csv")}
    rows, differ = [], []
    for row in published.read_data_csv("datasets.csv"):
        theirs = printed[row["title"]]
        rows.append(
            [
                *(
                    row["title"],
                    row["class_is"],
                    theirs["setting"],
                    row["classes_test"],
                    row["classes"],
                    theirs["n_classes"],
                ),
                *(f"{int(row['clips']):,}", f"{int(theirs['n_samples']):,}", row["clip_length"], theirs["length_s"]),
            ]
        )
        pairs = (("classes", row["classes"], theirs["n_classes"]), ("clips", row["clips"], theirs["n_samples"]))
        differ += [
            f"{row['title']} has {ours} {what}, {other} are printed" for what, ours, other in pairs if ours != other
        ]
    remarks = " ".join(f"{row['title']}: {row['note']}." for row in published.read_data_csv("datasets.csv"))
    agreement = f"{'; '.join(differ)}." if differ else "All numbers of classes and clips are as printed."
    headings = [
        *("Dataset", "A class is", "as printed", "Classes at test", "of", "as printed"),
        *("Clips", "as printed", "Clip length", "as printed, s"),
    ]
    return grid("Table 2. Datasets", headings, rows, [agreement, remarks], n_labels=3)


def table_3(own: Sequence[Leaderboard] = ()) -> Grid:
    """Table 3 with Avg and Avg Rank computed from its cells.

    Args:
      own: the user's leaderboards; their rows follow the same rows of Table 3, and change neither its ranks nor its
          marks.
    """
    table = published.table3()
    average, rank = table.accuracy.mean(axis=1), average_ranks(table.accuracy, "min")
    marks = [best_and_second(column) for column in table.accuracy.T] + [best_and_second(average)]
    marks.append(best_and_second(rank, largest=False))
    rows: list[list[str | TableEntry]] = []
    for i, model in enumerate(table.models):
        pairs = zip(table.accuracy[i], table.ci95[i], strict=True)
        texts = [*(f"{100 * m:.2f} ± {100 * c:.2f}" for m, c in pairs), f"{100 * average[i]:.2f}", f"{rank[i]:.1f}"]
        rows.append([model, *(TableEntry(text, mark[i]) for text, mark in zip(texts, marks, strict=True))])
    notes = [
        "Accuracy in percent, mean ± 95% interval over 10,000 episodes, 5-way 1-shot, one query per class, as "
        "published (arXiv 2402.01274). Avg and Avg Rank are computed here; of equal accuracies both have the better "
        "rank, as in print."
    ]
    for number, board in enumerate(own, 1):
        means: dict[int, np.ndarray] = {}
        texts_of: dict[int, list[str]] = {}
        for cell in published_cells(board):
            values = means.setdefault(cell.row, np.full(len(table.datasets), np.nan))
            values[cell.dataset] = cell.mean
            texts = texts_of.setdefault(cell.row, [MISSING] * len(table.datasets))
            texts[cell.dataset] = f"{100 * cell.mean:.2f} ± {100 * cell.half_width:.2f}"
        for row, texts in texts_of.items():
            whole = not np.isnan(means[row]).any()
            last = f"{100 * means[row].mean():.2f}" if whole else MISSING
            rows.append([f"{board.upstreams[row]} (here {number})", *texts, last, MISSING])
        notes.append(f"Here {number}: {board.title}.")
    return grid("Table 3. Published few-shot accuracy", ["Upstream", *table.datasets, "Avg", "Avg Rank"], rows, notes)


def claims_grid() -> Grid:
    """The claims as a table."""
    rows = [["holds" if claim.holds else "does not hold", claim.text, claim.found] for claim in claims()]
    return grid(
        "Claims of the paper, checked against its published numbers",
        ["", "Claim", "Numbers"],
        rows,
        thresholds(),
        n_labels=3,
    )


def correlation_grid(found: Correlations, tasks: tuple[str, ...], metrics: tuple[str, ...], title: str) -> Grid:
    """Tabulate coefficients with their intervals; those that are significant after Holm's correction are marked.

    Args:
      found: the coefficients.
      tasks: names of the rows.
      metrics: names of the columns.
      title: title of the table.

    Returns:
      the table.
    """
    rows: list[list[str | TableEntry]] = []
    for t, task in enumerate(tasks):
        row: list[str | TableEntry] = [task]
        for m in range(len(metrics)):
            value = found.coefficient[t, m]
            text = MISSING if np.isnan(value) else f"{value:.2f} [{found.low[t, m]:.2f}, {found.high[t, m]:.2f}]"
            row.append(f"{text}*" if found.p_holm[t, m] < 0.05 else text)
        rows.append(row)
    notes = [
        f"95% bootstrap intervals over {int(found.n.max())} upstreams. "
        "*: permutation p below 0.05 after Holm over the whole table."
    ]
    return grid(title, ["", *metrics], rows, notes)


def figure_order() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Datasets of Figure 1's two rows: speech on top, the others below."""
    return SPEECH, OTHER_SOUNDS
