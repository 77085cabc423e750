"""Every table of numbers is compared with a file, or is named here with the reason why not."""

import re

from benchmarks.numbers.pages import ROOT, table_lines
from benchmarks.numbers.printed import TABLES

# (page, start of the headings): what another test compares.
ELSEWHERE = {
    ("README.md", "| `logistic`, 15 queries, two CPU cores"): "tests/benchmarks/numbers/test_numbers.py",
    ("docs/benchmarks.md", "| `logistic`, 15 queries | jfewshot, whole calls"): "tests/benchmarks/test_gpu.py",
    ("docs/extraction.md", "|  | segments/s | esc50"): "derived from a rate, by the command above the table",
    ("docs/extraction.md", "| dataset | segments of 5 s"): "derived, by the command above the table",
    ("docs/pretraining.md", "| machine | peak"): "estimated, by the command above the table",
    ("docs/statistics.md", "| new in each pool | interval"): "simulated: tests/statistics/test_unbalanced.py",
    ("docs/statistics.md", "| pool | episodes | new in each pool"): "simulated: tests/statistics/coverage.py",
}
# Measured, and in no file. This list only becomes shorter.
NOT_COMPARED = {
    ("docs/benchmarks.md", "| `logistic`, C = 1, 15 queries per class"),
    ("docs/benchmarks.md", "| way | ms"),
    ("docs/classifiers.md", "| | `ridge`, 1 | `ridge:alpha=auto`"),
    ("docs/classifiers.md", "| | `sgd:epochs=20`"),
    ("docs/emotion.md", "| frozen features, light head"),
    ("docs/emotion.md", "| pretrained without"),
    ("docs/mteb.md", "| | Arabic words | ESC-10"),
    ("docs/pretraining.md", "| one shot / five shots"),
    ("docs/samples.md", "| | same speaker"),
    ("docs/samples.md", "| labels per class"),
    ("docs/samples.md", "| | Arabic words | ESC-10 | FSDD, digits"),
    ("docs/suite.md", "| encoder | score"),
    ("docs/try.md", "| | Arabic words, 1 s"),
    ("docs/upstreams.md", "| encoder | bf16"),
}
# Definitions, settings, sizes of what others publish, estimates.
NO_MEASUREMENTS = {
    ("docs/asr.md", "| `--dataset`"),
    ("docs/asr.md", "| `--model`"),
    ("docs/asr.md", "| paper | with"),
    ("docs/benchmarks.md", "| clips | float16 store"),
    ("docs/classifiers.md", "| name | what it is | equals"),
    ("docs/classifiers.md", "| | grid"),
    ("docs/classifiers.md", "| name | what it is | settings"),
    ("docs/diagnostics.md", "| measure | definition"),
    ("docs/emotion.md", "| `--dataset`"),
    ("docs/emotion.md", "| `--head`"),
    ("docs/emotion.md", "| paper | needs"),
    ("docs/migration.md", "| what | 0.1"),
    ("docs/phones.md", "| features | first middle"),
    ("docs/pretraining.md", "| task | kind"),
    ("docs/protocol.md", "| | default"),
    ("docs/report.md", "| path | what"),
    ("docs/report.md", "| holds | claim"),
    ("docs/report.md", "| holds | conclusion"),
    ("docs/results.md", "| field | meaning"),
    ("docs/samples.md", "| encoder | a frame"),
    ("docs/speech_simclr_choices.md", "| choice | flag"),
    ("docs/try.md", "| part | what"),
    ("docs/upstreams.md", "| name | paper's name"),
    ("docs/upstreams.md", "| encoder | where"),
    ("docs/which_number.md", "| question | answer"),
}
FEW = 8  # numbers: a table with fewer is not looked at


def tables() -> dict[tuple[str, str], str]:
    """Page and headings of each table with many numbers, and its first row."""
    found = {}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for table in re.findall(r"(?:^\|.*\n)+", path.read_text(encoding="utf-8"), re.M):
            headings, _, *rows = table.splitlines()
            if len(re.findall(r"(?<![\w.,-])\d[\d,.]*", " ".join(rows))) >= FEW:
                found[str(path.relative_to(ROOT)), headings] = rows[0]
    return found


def test_every_table_of_numbers_is_compared_or_named():
    compared = {(table.page, *table_lines(table.page, table.below)[:2]) for table in TABLES}
    named = [*ELSEWHERE, *NOT_COMPARED, *NO_MEASUREMENTS]
    seen = set()
    for (page, headings), first in tables().items():
        listed = [(of, start) for of, start in named if of == page and headings.startswith(start)]
        seen.update(listed)
        is_compared = (page, headings, first) in compared
        assert is_compared or listed, (
            f"{page}: compare {headings!r} with a file (benchmarks/numbers/printed), or name it here"
        )
        assert not (is_compared and any(one in NOT_COMPARED for one in listed)), f"{page}: {headings!r} is compared now"
    assert set(named) - seen == set(), "no table has these headings any more"
