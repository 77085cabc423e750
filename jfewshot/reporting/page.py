"""A report as one HTML file that needs no network: tables by DataTables, charts by Plotly, both inlined."""

import importlib.resources
import json
import math
from collections.abc import Mapping
from typing import Any

import jinja2
import markupsafe
import numpy as np

from jfewshot._version import __version__
from jfewshot.reporting.document import Block, BoardBlock, Chart, Document, Picture, Points, Prose, TableBlock
from jfewshot.reporting.grid import MISSING, Grid
from jfewshot.reporting.leaderboard import INTERVALS, Leaderboard
from jfewshot.reporting.series import chance_of
from jfewshot.reporting.tables import leaderboard_grid
from jfewshot.statistics import as_read

# In a report with more cells than this, the numbers of its tables are not buttons (except on the pages of an upstream
# or a dataset), and digests are cut to the digits that distinguish them, so that the file stays below 3 MB;
# exports/cells.csv has everything.
MOST_BUTTONS = 2000
_FIELDS = ("key", "embeddings", "view", "store digest", "predictions", "upstream revision")
_FEW_FIELDS = _FIELDS[:2]
_SHORT_DIGEST = 10


def html_page(document: Document) -> str:
    """The whole page, from the template `jfewshot/data/page/page.html`.

    Args:
      document: what to show.

    Returns:
      HTML with everything inlined. Its content-security policy forbids loading anything else.
    """
    page = _Page(document)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    sections = [
        {
            "anchor": section.anchor,
            "title": section.title,
            "folded": section.folded,
            "blocks": [page.block(block) for block in section.blocks],
        }
        for section in document.sections
    ]
    return environment.from_string(_asset("page/page.html")).render(
        title=document.title,
        lead=document.lead,
        sections=sections,
        version=__version__,
        data=markupsafe.Markup(page.data()),
        styles={
            "tables": markupsafe.Markup(_asset("vendor/dataTables.min.css")),
            "page": markupsafe.Markup(_asset("page/page.css")),
        },
        scripts={
            "plotly": _script("vendor/plotly-basic.min.js"),
            "tables": _script("vendor/dataTables.min.js"),
            "page": _script("page/page.js"),
        },
    )


class _Page:
    """Converts blocks to values for the template, and collects their data for the script."""

    def __init__(self, document: Document):
        self.boards: list[Leaderboard] = []
        self.charts: list[dict[str, Any]] = []
        blocks = [block for section in document.sections for block in section.blocks]
        n_cells = sum(len(block.board.cells) for block in blocks if isinstance(block, BoardBlock))
        self.buttons = n_cells <= MOST_BUTTONS

    def block(self, block: Block) -> dict[str, Any]:
        """The values that the template's macro `block` needs to show a block."""
        match block:
            case Prose(paragraphs, warning):
                return {"what": "prose", "paragraphs": paragraphs, "warning": warning}
            case Points(heading, sentences, warning):
                return {"what": "points", "heading": heading, "sentences": sentences, "warning": warning}
            case TableBlock(table, sortable):
                return _table(table, sortable)
            case BoardBlock(board):
                return self.leaderboard(board)
            case Chart(data, layout, alt, narrow):
                self.charts.append({"data": data, "layout": layout, **({"narrow": narrow} if narrow else {})})
                height = layout.get("height", 320)
                return {"what": "chart", "number": len(self.charts) - 1, "height": height, "alt": alt}
            case Picture(svg, alt, caption):
                return {"what": "picture", "svg": svg, "alt": alt, "caption": caption}

    def leaderboard(self, board: Leaderboard) -> dict[str, Any]:
        number = len(self.boards)
        self.boards.append(board)
        text = leaderboard_grid(board, "published" if self.buttons else "dense")
        order = np.column_stack([board.mean, board.average, -board.average_rank])
        rows = []
        for row, entries in enumerate(text.rows):
            cells = []
            for column, entry in enumerate(entries[1:]):
                value, _, width = entry.text.partition(" ± ") if self.buttons else (entry.text, "", "")
                place = float(order[row, column])
                leads = self.buttons and (row, column) in board.cells
                cells.append(
                    {
                        "value": value,
                        "width": width,
                        "mark": entry.mark,
                        "order": -1 if math.isnan(place) else round(place, 6),
                        "at": f"{number},{row},{column}" if leads else "",
                    }
                )
            rows.append({"name": entries[0].text, "cells": cells})
        return {
            "what": "board",
            "number": number,
            "title": board.title,
            "columns": text.columns,
            "rows": rows,
            "notes": " ".join(text.notes),
            "buttons": self.buttons,
            "datasets": board.datasets,
            "average": bool(board.complete.any()) and len(board.datasets) > 1,
            "intervals": [(name, INTERVALS[name]) for name in board.intervals],
            "height": 90 + 22 * len(board.upstreams),
        }

    def data(self) -> str:
        """The JSON for the script.

        Every "<" is written as an escape: "</script" would end the script element, and "<!--<script" would keep it open.
        """
        shared: dict[str, int] = {}
        boards = [self._board_data(board, shared) for board in self.boards]
        whole = {
            "boards": boards,
            "charts": self.charts,
            "fields": _FIELDS if self.buttons else _FEW_FIELDS,
            "shared": [json.loads(one) for one in shared],
        }
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")

    def _board_data(self, board: Leaderboard, shared: dict[str, int]) -> dict[str, Any]:
        half = {name: _numbers(width) for name, width in board.half_widths.items()}
        rows, columns = board.mean.shape
        origin: list[list[Any]] = []
        for row in range(rows):
            line = [self._provenance(board.cells.get((row, column)), shared) for column in range(columns)]
            origin.append(line)
        return {
            "title": board.title,
            "upstreams": board.upstreams,
            "datasets": board.datasets,
            # Rounded as printed, so that the script's ranks and numbers equal those of the tables.
            "mean": _numbers(as_read(100 * board.mean) / 100),
            "half": half,
            "average": _numbers(as_read(100 * board.average) / 100),
            "average_half": {name: _numbers(width) for name, width in board.average_half_width.items()},
            "n_episodes": board.condition["protocol"]["n_episodes"],
            "chance": round(chance_of(board), 6),
            "provenance": origin,
        }

    def _provenance(self, record: Mapping[str, Any] | None, shared: dict[str, int]) -> list[Any] | None:
        if record is None:
            return None
        common = {
            "clip table": record["identity"]["clip_table"],
            "draws": record.get("draws"),
            "counts": {k: v for k, v in (record.get("counts") or {}).items() if v},
            "made with": record.get("made_with"),
        }
        place = shared.setdefault(json.dumps(common, sort_keys=True, ensure_ascii=False), len(shared))
        if not self.buttons:
            return [record["key"], record["identity"]["embeddings"][:_SHORT_DIGEST], place]
        return [
            record["key"],
            record["identity"]["embeddings"],
            record["view"]["name"],
            (record.get("store") or {}).get("digest"),
            (record.get("predictions") or {}).get("sha256"),
            record["upstream"].get("revision"),
            place,
        ]


def _table(table: Grid, sortable: bool) -> dict[str, Any]:
    rows = []
    for row in table.rows:
        line = []
        for column, entry in enumerate(row):
            label = column < table.n_labels
            kinds = [*(["label"] if label else []), *([entry.mark] if entry.mark else [])]
            attributes = f' class="{" ".join(kinds)}"' if kinds else ""
            line.append(
                {
                    "text": entry.text,
                    "link": entry.link,
                    "attributes": markupsafe.Markup(attributes + _order(entry.text, label)),
                }
            )
        rows.append(line)
    long_text = any(len(entry.text) > 60 for row in table.rows for entry in row)
    return {
        "what": "table",
        "kind": " ".join([*(["sortable"] if sortable else []), *(["wide-text"] if long_text else [])]),
        "title": table.title,
        "columns": table.columns,
        "n_labels": table.n_labels,
        "rows": rows,
        "notes": " ".join(table.notes),
    }


def _order(text: str, label: bool) -> str:
    """The number that a cell such as `+1.20 ± 0.40` is sorted by."""
    if label:
        return ""
    first = text.replace("−", "-").replace(",", "").split(" ")[0]
    try:
        return f' data-order="{float(first)}"'
    except ValueError:
        return ' data-order="-1e9"' if text == MISSING else ""


def _numbers(values: np.ndarray) -> list[Any]:
    if values.ndim > 1:
        return [_numbers(row) for row in values]
    return [None if math.isnan(value) else round(float(value), 6) for value in values]


def _asset(name: str) -> str:
    return importlib.resources.files("jfewshot").joinpath("data", name).read_text(encoding="utf-8")


def _script(name: str) -> markupsafe.Markup:
    return markupsafe.Markup(_asset(name).replace("</script", "<\\/script"))
