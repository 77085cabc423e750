"""What the report shows of classifiers: a table for each setting, next to the answer."""

from jfewshot.reporting.classifier_rows import compare_classifiers
from jfewshot.reporting.classifier_tables import classifier_grid, classifiers_json
from jfewshot.reporting.classifier_wins import with_wins
from jfewshot.reporting.document import Block, Prose, TableBlock
from jfewshot.reporting.writer import Writer
from jfewshot.results import Results

_MOST_ON_PAGE = 4  # tables
_MOST_FILES = 20  # tables in every format
# Records of all tables together whose predictions are read to count wins. On a busy core, 96 records of 10,000 episodes took 5 s.
_MOST_READ = 1000


def classifier_blocks(writer: Writer, results: Results, problems: list[str]) -> list[Block]:
    """Tables with a row for each classifier: `answer-classifiers`, `answer-classifiers-2`, and so on.

    Args:
      writer: writes the tables, and the comparisons of all settings together as JSON.
      results: the result folder as it was read.
      problems: receives a sentence for each file that could not be used.

    Returns:
      the tables of the page; empty where no two classifiers have the same cells.
    """
    compared = compare_classifiers(results.records)
    if not compared:
        return []
    left = _MOST_READ
    for number, rows in enumerate(compared[:_MOST_FILES]):
        if rows.mean.size <= left:
            compared[number] = with_wins(rows, results, problems)
            left -= rows.mean.size
    writer.text("tables/answer-classifiers.json", classifiers_json(compared))
    tables = [
        writer.table(f"answer-classifiers{f'-{number + 1}' if number else ''}", classifier_grid(rows))
        for number, rows in enumerate(compared[:_MOST_FILES])
    ]
    blocks: list[Block] = [TableBlock(table, sortable=True) for table in tables[:_MOST_ON_PAGE]]
    if len(compared) > len(blocks):
        further = f"{len(compared) - len(blocks)} more comparisons of classifiers, under other settings"
        blocks.append(Prose((f"tables/answer-classifiers.json has {further}.",)))
    return blocks
