"""A report as one HTML file that needs no network: tables by DataTables, charts by Plotly, both inlined."""

import html
import importlib.resources
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jfewshot._version import __version__
from jfewshot.reporting.document import Block, BoardBlock, Chart, Document, Picture, Prose, TableBlock
from jfewshot.reporting.grid import MISSING, Grid
from jfewshot.reporting.leaderboard import INTERVALS, Leaderboard
from jfewshot.reporting.tables import leaderboard_grid

# Above this many cells in the report, the numbers of its tables are no buttons (those on the pages of an upstream or a dataset
# still are) and digests are cut to what tells them apart, so that the file stays below 3 MB; exports/cells.csv has all in full.
MOST_BUTTONS = 2000
_FIELDS = ("key", "embeddings", "view", "store digest", "predictions", "upstream revision")
_FEW_FIELDS = _FIELDS[:2]
_SHORT_DIGEST = 10


def html_page(document: Document) -> str:
    """The whole page.

    Args:
      document: what to show.

    Returns:
      HTML with everything inlined. Its content-security policy forbids all loading, so it cannot even try.
    """
    page = _Page(document)
    body = "\n".join(page.section(section.anchor, section.title, section.blocks) for section in document.sections)
    contents = "".join(f'<li><a href="#{s.anchor}">{html.escape(s.title)}</a></li>' for s in document.sections)
    return f"""<!doctype html>
<html lang="en"> <head> <meta charset="utf-8"> <meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src
'unsafe-inline'; img-src data: blob:"> <title>{html.escape(document.title)}</title> <link rel="icon" href="data:,">
<style>{_asset("vendor/dataTables.min.css")}</style> <style>{_asset("page/page.css")}</style> </head> <body> <a
class="skip" href="#report">Skip to the report</a> <header> <button id="theme" type="button"
aria-pressed="false">Dark</button> <h1>{html.escape(document.title)}</h1> <p>{html.escape(document.lead)}</p> <nav
aria-label="Sections"><ul>{contents}</ul></nav> </header> <main> <div id="report" tabindex="-1"> {body} </div>
<section id="detail" aria-live="polite" hidden></section> </main> <dialog id="provenance"
aria-labelledby="provenance-title"> <form method="dialog"><button>Close</button></form> <h2
id="provenance-title"></h2> <dl></dl> </dialog> <footer class="quiet"> <p>Made by jfewshot {__version__}.
Tables by DataTables, charts by Plotly (both MIT licence).</p> </footer> <script type="application/json"
id="data">{page.data()}</script> <script>{_script("vendor/plotly-basic.min.js")}</script>
<script>{_script("vendor/dataTables.min.js")}</script> <script>{_script("page/page.js")}</script> </body> </html>
"""


class _Page:
    """Collects the data that blocks leave for the script."""

    def __init__(self, document: Document):
        self.boards: list[Leaderboard] = []
        self.charts: list[dict[str, Any]] = []
        blocks = [block for section in document.sections for block in section.blocks]
        n_cells = sum(len(block.board.cells) for block in blocks if isinstance(block, BoardBlock))
        self.buttons = n_cells <= MOST_BUTTONS

    def section(self, anchor: str, title: str, blocks: tuple[Block, ...]) -> str:
        inside = "\n".join(self.block(block) for block in blocks)
        label = f"{anchor}-title"
        heading = f'<h2 id="{label}">{html.escape(title)}</h2>'
        return f'<section id="{anchor}" aria-labelledby="{label}">{heading}\n{inside}\n</section>'

    def block(self, block: Block) -> str:
        match block:
            case Prose(paragraphs, warning):
                inside = "".join(f"<p>{html.escape(text)}</p>" for text in paragraphs)
                return f'<div class="problems" role="note">{inside}</div>' if warning else inside
            case TableBlock(table, sortable):
                return _table(table, sortable)
            case BoardBlock(board):
                return self.leaderboard(board)
            case Chart(data, layout, alt):
                self.charts.append({"data": data, "layout": layout})
                number = len(self.charts) - 1
                height = layout.get("height", 320)
                return (
                    f'<figure><div class="chart" role="img" data-chart="{number}" style="min-height:{height}px" '
                    f'aria-label="{html.escape(alt)}"></div><figcaption>{html.escape(alt)}</figcaption></figure>'
                )
            case Picture(svg, alt, caption):
                text = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
                image = f'<img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{svg}">'
                return f"<figure>{image}{text}</figure>"

    def leaderboard(self, board: Leaderboard) -> str:
        number = len(self.boards)
        self.boards.append(board)
        text = leaderboard_grid(board, "published" if self.buttons else "dense")
        head = "".join(
            f'<th scope="col"{" class=label" if c == 0 else ""}>{html.escape(name)}</th>'
            for c, name in enumerate(text.columns)
        )
        order = np.column_stack([board.mean, board.average, -board.average_rank])
        rows = []
        for row, cells in enumerate(text.rows):
            link = f'<a href="#upstream/{number}/{row}">{html.escape(cells[0].text)}</a>'
            line = [f'<th scope="row" class="label">{link}</th>']
            for column, cell in enumerate(cells[1:]):
                value = order[row, column]
                inside = html.escape(cell.text)
                if self.buttons:
                    inside = inside.replace(" ± ", " <small>± ", 1) + ("</small>" if " ± " in inside else "")
                    if (row, column) in board.cells:
                        inside = f'<button class="cell" data-at="{number},{row},{column}">{inside}</button>'
                mark = f" class={cell.mark}" if cell.mark else ""
                line.append(f"<td{mark} data-order={-1 if math.isnan(value) else round(float(value), 6)}>{inside}</td>")
            rows.append(f"<tr>{''.join(line)}</tr>")
        datasets = " · ".join(
            f'<a href="#dataset/{number}/{column}">{html.escape(name)}</a>'
            for column, name in enumerate(board.datasets)
        )
        return (
            f'<div class="scroll"><table class="sortable"><caption>{html.escape(board.title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
            f'<p class="quiet">{html.escape(" ".join(text.notes))} Best on yellow and bold, second best underlined.'
            f"{' A number leads to where it comes from.' if self.buttons else ''}</p>"
            f'<p class="quiet">Datasets: {datasets}</p>{_board_chart(number, board)}'
        )

    def data(self) -> str:
        """The JSON for the script; nothing in it can end the script element."""
        shared: dict[str, int] = {}
        boards = [self._board_data(board, shared) for board in self.boards]
        whole = {
            "boards": boards,
            "charts": self.charts,
            "fields": _FIELDS if self.buttons else _FEW_FIELDS,
            "shared": [json.loads(one) for one in shared],
        }
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")

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
            "mean": _numbers(board.mean),
            "half": half,
            "average": _numbers(board.average),
            "average_half": {name: _numbers(width) for name, width in board.average_half_width.items()},
            "n_episodes": board.condition["protocol"]["n_episodes"],
            "chance": round(1 / board.condition["protocol"]["n_way"], 6),
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


def _board_chart(number: int, board: Leaderboard) -> str:
    choices = [f'<option value="{i}">{html.escape(name)}</option>' for i, name in enumerate(board.datasets)]
    if board.complete.any() and len(board.datasets) > 1:
        choices.insert(0, '<option value="-1">Average</option>')
    intervals = "".join(f'<option value="{name}">{html.escape(INTERVALS[name])}</option>' for name in board.intervals)
    label = "Accuracy of every upstream with its interval; the table above has the same numbers"
    return (
        f'<div class="board-chart" data-board="{number}"><div class="controls">'
        f"<label>Show <select>{''.join(choices)}</select></label>"
        f"<label>with the <select>{intervals}</select></label></div>"
        f'<div class="chart" role="img" aria-label="{label}" style="min-height:{90 + 22 * len(board.upstreams)}px"></div></div>'
    )


def _table(table: Grid, sortable: bool) -> str:
    head = "".join(
        f'<th scope="col"{" class=label" if c < table.n_labels else ""}>{html.escape(name)}</th>'
        for c, name in enumerate(table.columns)
    )
    rows = []
    for row in table.rows:
        line = []
        for column, cell in enumerate(row):
            kinds = [*(["label"] if column < table.n_labels else []), *([cell.mark] if cell.mark else [])]
            attribute = f' class="{" ".join(kinds)}"' if kinds else ""
            tag = 'th scope="row"' if column == 0 else "td"
            line.append(
                f"<{tag}{attribute}{_order(cell.text, column < table.n_labels)}>{html.escape(cell.text)}</{tag[:2]}>"
            )
        rows.append(f"<tr>{''.join(line)}</tr>")
    long_text = any(len(cell.text) > 60 for row in table.rows for cell in row)
    kind = " ".join([*(["sortable"] if sortable else []), *(["wide-text"] if long_text else [])])
    notes = f'<p class="quiet">{html.escape(" ".join(table.notes))}</p>' if table.notes else ""
    return (
        f'<div class="scroll"><table class="{kind}"><caption>{html.escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{notes}"
    )


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


def _script(name: str) -> str:
    return _asset(name).replace("</script", "<\\/script")
