"""The report of the few-shot paper's published numbers."""

from pathlib import Path

from jfewshot.reporting import paper, published
from jfewshot.reporting.charts import regression_chart
from jfewshot.reporting.document import Block, Document, Prose, Section, TableBlock
from jfewshot.reporting.figures import correlation
from jfewshot.reporting.page import html_page
from jfewshot.reporting.writer import Writer


def build_paper_report(folder: Path, formats: tuple[str, ...]) -> list[paper.Claim]:
    """Write Tables 1 to 3, Figures 1 and 2, and the checked claims; hand back the claims."""
    writer = Writer(folder, formats)
    both, table = paper.matched(), published.table3()
    score, tasks = paper.score_correlations(), paper.superb_correlations()
    panels = correlation.regression_panels(
        both.score, both.accuracy, table.datasets, score.coefficient[:, 0], paper.figure_order(), "SUPERB score"
    )
    writer.figure("figure-1", panels, "Figure 1: few-shot accuracy over SUPERB's overall score, per dataset")
    groups = {name: list(metrics.values()) for name, metrics in published.SUPERB_GROUPS.items()}
    heat = correlation.correlation_heat_map(tasks, table.datasets, both.superb.labels, groups, rule_before=5)
    caption = (
        "Figure 2. Spearman correlation of few-shot tasks (rows) with SUPERB's tasks (columns, error rates negated). Bold: p "
        "below 0.05 after Holm over all 110 pairs."
    )
    picture = writer.figure("figure-2", heat, "Figure 2: heat map of rank correlations", caption)
    claims = writer.table("claims", paper.claims_grid())
    against_score = writer.table(
        "figure-1-correlations",
        paper.correlation_grid(
            score, table.datasets, ("SUPERB score",), "Figure 1. Spearman correlation with SUPERB's score"
        ),
    )
    against_tasks = writer.table(
        "figure-2-correlations",
        paper.correlation_grid(
            tasks, table.datasets, both.superb.labels, "Figure 2. Spearman correlation with SUPERB's tasks"
        ),
    )
    squashed = writer.table(
        "figure-2-pearson-logit",
        paper.correlation_grid(
            paper.superb_correlations("pearson", with_logit=True),
            table.datasets,
            both.superb.labels,
            "Pearson correlation of the logits",
        ),
    )
    chart = regression_chart(both.score, both.accuracy, both.models, table.datasets, score, "SUPERB score")
    correlations: list[Block] = [
        chart,
        TableBlock(against_score),
        picture,
        TableBlock(against_tasks),
        TableBlock(squashed),
    ]
    sections = (
        Section("claims", "Claims", (TableBlock(claims), Prose(tuple(paper.notes())))),
        Section("table-3", "Table 3", (TableBlock(writer.table("table-3", paper.table_3()), sortable=True),)),
        Section("figures", "Figures 1 and 2", tuple(correlations)),
        Section("table-1", "Table 1", (TableBlock(writer.table("table-1", paper.table_1()), sortable=True),)),
        Section("table-2", "Table 2", (TableBlock(writer.table("table-2", paper.table_2()), sortable=True),)),
    )
    lead = (
        "The tables, figures and claims of Heggan et al., arXiv 2402.01274, from its published Table 3 and SUPERB's published "
        "scores alone."
    )
    title = "On the Transferability of Large-Scale Self-Supervision to Few-Shot Audio Classification, recomputed"
    writer.text("index.html", html_page(Document(title, lead, sections)))
    return paper.claims()
