"""How much disk the results of cells take."""

import math
from collections.abc import Iterable

from jfewshot.cells.planning import Cell
from jfewshot.results import Keep, packed_bytes
from jfewshot.results.scores import score_bytes

_RECORD_BYTES = 2800  # a line of JSON; longer with long names or long lists of classes


def bytes_at_most(cells: Iterable[Cell], keep: Keep) -> int:
    """An upper limit on the disk space of the results of cells, before a run.

    The size of predictions assumes that all labels are equally likely; better classifiers need less.

    Args:
      cells: the cells to compute, each at all of its strengths.
      keep: the results that are kept for each cell.

    Returns:
      Bytes of records, of predictions or counts, of scores, and of drawn clips.
    """
    total, drawn = 0, set()
    for cell in cells:
        protocol = cell.protocol
        if keep == "counts":
            block = packed_bytes(protocol.n_episodes * protocol.n_way, protocol.n_query + 1)
        else:
            block = packed_bytes(protocol.n_episodes * protocol.n_queries, protocol.n_way)
        if keep == "scores":
            block += score_bytes(protocol.n_episodes, protocol.n_asked, protocol.n_way)
        total += len(cell.spec.strengths) * (_RECORD_BYTES + block)
        if (cell.clips.digest, protocol) not in drawn:
            drawn.add((cell.clips.digest, protocol))
            row_bytes = 2 if len(cell.clips) <= 2**16 else 4
            clips = (protocol.n_way * protocol.k_shot + protocol.n_asked) * row_bytes
            total += protocol.n_episodes * (clips + 4 * protocol.n_support)
    return total


def readable(n_bytes: int) -> str:
    """Format a number of bytes with two digits: 740 kB, 1.2 MB, 76 GB.

    Args:
      n_bytes: the number.
    """
    units = ("bytes", "kB", "MB", "GB", "TB")
    power = min(int(math.log10(max(n_bytes, 1)) / 3), len(units) - 1)
    value = n_bytes / 1000**power
    return f"{value:.1f} {units[power]}" if value < 10 and power else f"{value:.0f} {units[power]}"
