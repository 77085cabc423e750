"""The report of the few-shot paper's published numbers, with the user's own beside them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jfewshot.reporting import paper, published
from jfewshot.reporting.charts import regression_chart
from jfewshot.reporting.claims import Claim, claims, published_facts
from jfewshot.reporting.conditions import shots_of
from jfewshot.reporting.document import Block, Document, Prose, Section, TableBlock
from jfewshot.reporting.figures import correlation
from jfewshot.reporting.leaderboard import Leaderboard
from jfewshot.reporting.outside import beside_published, published_cells
from jfewshot.reporting.page import html_page
from jfewshot.reporting.writer import Writer
from jfewshot.statistics.correlation import Method


def build_paper_report(
    folder: Path,
    formats: tuple[str, ...],
    method: Method = "spearman",
    with_logit: bool = False,
    own: Sequence[Leaderboard] = (),
) -> list[Claim]:
    """Write Tables 1 to 3, Figures 1 and 2, and the checked claims.

    Args:
      folder: to write to.
      formats: of the figures: `png`, `svg`, `pdf`.
      method: of the coefficients in figures and tables.
      with_logit: take logits of accuracies, and of the metrics that are shares, before correlating.
      own: the user's leaderboards, which are shown next to published numbers of the same encoder and dataset.

    Returns:
      the claims.
    """
    writer, facts = Writer(folder, formats), published_facts()
    table, labels = facts.table, facts.superb.labels
    score, tasks = facts.with_score(method, with_logit), facts.with_tasks(method, with_logit)
    name = f"{method.title()} correlation{' of the logits' if with_logit else ''}"
    points = _own_points(own)
    panels = correlation.regression_panels(
        facts.superb_score,
        facts.matched,
        table.datasets,
        score.coefficient[:, 0],
        paper.figure_order(),
        "SUPERB score",
        symbol="ρ" if method == "spearman" else "r",
        own=points,
    )
    own_says = "; rings are your own results" if points is not None else ""
    alt = f"Figure 1: few-shot accuracy over SUPERB's overall score, per dataset{own_says}"
    with_own = writer.figure("figure-1", panels, alt, f"{alt}.")
    groups = {group: list(metrics.values()) for group, metrics in published.SUPERB_GROUPS.items()}
    symbol = paper.coefficient_name(method, with_logit)
    heat = correlation.correlation_heat_map(tasks, table.datasets, labels, groups, rule_before=5, symbol=symbol)
    caption = (
        f"Figure 2. {name} of few-shot tasks (rows) with SUPERB's tasks (columns, error rates negated). Bold: p "
        "below 0.05 after Holm over all 110 pairs."
    )
    picture = writer.figure("figure-2", heat, f"Figure 2: heat map of {method.title()} correlations", caption)
    against_score = paper.correlation_grid(
        score, table.datasets, ("SUPERB score",), f"Figure 1. {name} with SUPERB's score"
    )
    against_tasks = paper.correlation_grid(tasks, table.datasets, labels, f"Figure 2. {name} with SUPERB's tasks")
    correlations: list[Block] = [
        regression_chart(facts.superb_score, facts.matched, facts.superb.models, table.datasets, score, "SUPERB score"),
        TableBlock(writer.table("figure-1-correlations", against_score)),
        picture,
        TableBlock(writer.table("figure-2-correlations", against_tasks)),
    ]
    # The coefficient of the paper's section 4.3; its figures name Spearman's, which does not change with logits.
    if (method, with_logit) != ("pearson", True):
        squashed = facts.with_tasks("pearson", with_logit=True)
        grid = paper.correlation_grid(squashed, table.datasets, labels, "Pearson correlation of the logits")
        correlations.append(TableBlock(writer.table("figure-2-pearson-logit", grid)))
    if points is not None:
        correlations.insert(1, with_own)
    beside: list[Block] = []
    for number, board in enumerate(own, 1):
        cells = beside_published(board)
        assert cells is not None  # boards without a common cell are left out before
        beside += [Prose((f"Here {number}: {board.title}.",)), TableBlock(writer.table(f"here-{number}", cells), True)]
    sections = (
        Section(
            "claims",
            "Claims",
            (TableBlock(writer.table("claims", paper.claims_grid())), Prose(tuple(paper.notes(method, with_logit)))),
        ),
        *([Section("here", "Your results beside the published ones", tuple(beside))] if beside else []),
        Section("table-3", "Table 3", (TableBlock(writer.table("table-3", paper.table_3(own)), sortable=True),)),
        Section("figures", "Figures 1 and 2", tuple(correlations)),
        Section("table-1", "Table 1", (TableBlock(writer.table("table-1", paper.table_1()), sortable=True),)),
        Section("table-2", "Table 2", (TableBlock(writer.table("table-2", paper.table_2()), sortable=True),)),
    )
    lead = (
        "The tables, figures and claims of Heggan et al., arXiv 2402.01274, from its published Table 3 and SUPERB's published "
        "scores" + (", with your own results beside them." if own else " alone.")
    )
    title = "On the Transferability of Large-Scale Self-Supervision to Few-Shot Audio Classification, recomputed"
    writer.text("index.html", html_page(Document(title, lead, sections)))
    return claims()


def boards_beside_the_paper(boards: Sequence[Leaderboard]) -> list[Leaderboard]:
    """The leaderboards that have an encoder and a dataset of Table 3, in 5-way 1-shot episodes.

    Args:
      boards: leaderboards of any conditions.
    """

    def is_like_it(board: Leaderboard) -> bool:
        protocol = board.condition["protocol"]
        return (protocol["n_way"], shots_of(protocol)) == (5, 1) and bool(published_cells(board))

    return [board for board in boards if is_like_it(board)]


def _own_points(own: Sequence[Leaderboard]) -> tuple[np.ndarray, np.ndarray] | None:
    """SUPERB scores of the user's rows and their accuracies, rows x Table 3's datasets; None without any."""
    facts = published_facts()
    score_of = dict(zip(facts.superb.models, facts.superb_score, strict=True))
    scores, accuracy = [], []
    for board in own:
        rows: dict[int, np.ndarray] = {}
        for cell in published_cells(board):
            model = facts.table.models[cell.model]
            if model in score_of:
                if cell.row not in rows:
                    rows[cell.row] = np.full(len(facts.table.datasets), np.nan)
                    scores.append(score_of[model])
                    accuracy.append(rows[cell.row])
                rows[cell.row][cell.dataset] = cell.mean
    return (np.array(scores), np.stack(accuracy)) if scores else None
