"""The rows as Markdown: a table of rows with a competitor, and a table of rows of jfewshot alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.suite.rows import OURS, Question
from benchmarks.tools.measuring import markdown_table

_QUESTION = ("classifier", "n_way", "k_shot", "n_query", "dim", "segments", "n_episodes")


def render(results: Sequence[dict[str, Any]], machine: dict[str, Any]) -> str:
    """The machine, both tables, and the rows that could not be measured."""
    against = [row for row in results if "ratio" in row]
    alone = [row for row in results if row["competitor"] == OURS and "ours" in row]
    parts = [
        f"{machine['cores']} cores of {machine['processor']}, {machine['device']}, {machine['date']}; "
        f"load before: {machine['load_before']}"
    ]
    if against:
        headings = [
            "classifier",
            "episode",
            "store",
            "episodes per call",
            "competitor",
            "best setting",
            "theirs without drawing, episodes/s",
            "theirs, episodes/s",
            "ours, episodes/s",
            "ratio",
        ]
        headings += ["smallest–largest", "equal predictions", "their first call, s", "their memory, MB"]
        parts.append(markdown_table(headings, [_against(row) for row in against]))
    if alone:
        headings = [
            "classifier",
            "episode",
            "store",
            "episodes per call",
            "episodes/s",
            "smallest–largest",
            "first call, s",
            "second process, s",
        ]
        headings += [
            "peak memory, MB",
            "inner products",
            "plain + slow operations",
            "bytes",
            "limited by",
            "share of the limit",
        ]
        parts.append(markdown_table(headings, [_alone(row) for row in alone]))
    left_out = [_left_out(row) for row in results if "skipped" in row or "failed" in row]
    if left_out:
        parts.append("Not measured:\n\n" + "\n".join(dict.fromkeys(left_out)))
    return "\n\n".join(parts) + "\n"


def question_of(row: dict[str, Any]) -> Question:
    """The question that a result answers."""
    return Question(**{name: row[name] for name in _QUESTION})


def _left_out(row: dict[str, Any]) -> str:
    question = question_of(row)
    named = f"{question.classifier}, {question.episode}, {_store(question)}, {question.n_episodes:,} per call"
    return f"- {named}, {row['competitor']}: {row.get('skipped') or row['failed']}"


def _against(row: dict[str, Any]) -> list[str]:
    question, setting = question_of(row), row["setting"]
    threads = f"{setting['threads']} thread{'s' if setting['threads'] > 1 else ''}"
    return [
        f"`{question.classifier}`",
        question.episode,
        _store(question),
        f"{question.n_episodes:,}",
        row["competitor"],
        threads + (f", {setting['chunk']} episodes" if setting["chunk"] > 1 else ""),
        _rate(row["theirs_solving"]),
        _rate(row["theirs"]),
        _rate(row["ours"]),
        f"**{_number(row['ratio'])}**",
        f"{_number(row['ratio_smallest'])}–{_number(row['ratio_largest'])}",
        f"{row['agreement']:.1%}",
        f"{row['their_first_call_s']:.1f}",
        "–" if row["their_peak_over_start_bytes"] is None else f"{row['their_peak_over_start_bytes'] / 1e6:,.0f}",
    ]


def _alone(row: dict[str, Any]) -> list[str]:
    question, counted = question_of(row), row["operations"]
    second = row.get("second_process_first_call_s")
    memory = row["peak_bytes"]
    return [
        f"`{question.classifier}`",
        question.episode,
        _store(question),
        f"{question.n_episodes:,}",
        _rate(row["ours"]),
        f"{min(row['ours']):,.0f}–{max(row['ours']):,.0f}",
        f"{row['first_call_s']:.1f}",
        "–" if second is None else f"{second:.1f}",
        "–" if memory is None else f"{memory / 1e6:,.0f}",
        row["inner_products"],
        f"{counted['plain'] + counted['product']:,.0f} + {counted['slow']:,.0f}",
        f"{counted['bytes']:,.0f}",
        row["bound"],
        f"{row['share_of_limit']:.0%}",
    ]


def _store(question: Question) -> str:
    return f"{question.segments:,} x {question.dim}"


def _rate(rates: list[float]) -> str:
    return f"{float(np.median(rates)):,.0f}"


def _number(x: float) -> str:
    return f"{x:,.0f}" if x >= 10 else f"{x:.1f}"
