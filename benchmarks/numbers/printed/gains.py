"""Tables and sentences of docs/classifiers.md about the gains and losses of transductive heads and of whitening."""

from typing import Any

from benchmarks.numbers.comparing import Rows, Sentence, Table, Values
from benchmarks.numbers.printed.names import blocks, head, largest, of, part, shots_of, smallest

PAGE = "docs/classifiers.md"


def transductive(found: Any, rows: Rows) -> Values:
    """Accuracies and gains with balanced and with Dirichlet queries."""
    values = []
    for block, label in blocks(rows):
        line = []
        for balance in ("equal", "dirichlet:2"):
            gains = found["gains"][f"{head(label)}, {shots_of(block)} shots"][balance]
            counts = [gains[field] for field in ("gain", "cells_up", "cells_down") if field in gains]
            line += [[gains["mean"]], counts]
        values.append(line)
    return values


def transductive_extremes(found: Any, rows: Rows) -> Values:
    """The cells that gain and lose most."""
    inductive = {"1": ("logistic", "centroid"), "5": ("ridge:alpha=auto", "centroid")}
    values = []
    for row in rows:
        shots = part(r", (\d) shot", row[0])
        balance = "dirichlet:2" if "Dirichlet" in row[0] else "equal"

        def rate(cell: dict[str, Any], name: str, shots: str = shots, balance: str = balance) -> float:
            return cell[f"{name}, {shots} shots"][balance]

        each = {
            of(cell): 100 * (rate(cell, head(row[0])) - max(rate(cell, name) for name in inductive[shots]))
            for cell in found["cells"]
        }
        values.append([largest(each, row[1]), smallest(each, row[2])])
    return values


def whitening(found: Any, rows: Rows) -> Values:
    """Accuracies without whitening and with two backgrounds."""
    values, block = [], ""
    for row in rows:
        block = row[0] or block
        gains = found["gains"][whitened(row[1], block)]
        sides = [gains[side] for side in ("samples", "shipped")]
        values.append([[gains["l2"]], *([side["mean"], side["cells_up"], side["cells_down"]] for side in sides)])
    return values


def whitened(label: str, block: str) -> str:
    """The file's name of a classifier with some number of shots."""
    name = head(label).replace(":C=", " ").replace(":alpha=", " ") + (" 1.0" if "C = 1" in label else "")
    return f"{name}, {shots_of(block)} shots"


def whitening_extremes(found: Any, rows: Rows) -> Values:
    """The cells that gain and lose most."""
    values = []
    for row in rows:
        cells = [(of(cell), cell[f"ridge auto, {shots_of(row[0])} shots"]) for cell in found["cells"]]
        each = {name: 100 * (rates["shipped"] - rates["l2"]) for name, rates in cells}
        values.append([largest(each, row[1]), smallest(each, row[2])])
    return values


TABLES = [
    Table(PAGE, "In brackets is the number of cells that gain", "transductive", transductive),
    Table(PAGE, "(images/transductive.png)", "transductive", transductive_extremes),
    Table(PAGE, "### What it gains", "whitening", whitening, labels=2),
    Table(PAGE, "Which cells gain and lose most, shipped statistics", "whitening", whitening_extremes),
]

SENTENCES = [
    Sentence(
        PAGE,
        "`tim` gains more than any other head with balanced queries ({} points) and loses with the same settings where queries "
        "are not balanced ({}). For `sinkhorn` the two numbers are {} and {}.",
        "transductive",
        lambda found: [
            found["gains"][f"{name}, 1 shots"][balance]["gain"]
            for name in ("tim", "sinkhorn")
            for balance in ("equal", "dirichlet:2")
        ],
    ),
    Sentence(
        PAGE,
        "`propagation` keeps most of its gain without balance ({} points), and `alpha_tim` about half ({}).",
        "transductive",
        lambda found: [
            found["gains"][f"{name}, 1 shots"]["dirichlet:2"]["gain"] for name in ("propagation", "alpha_tim")
        ],
    ),
    Sentence(
        PAGE,
        "With balanced queries, `tim` comes close ({}).",
        "transductive",
        lambda found: [found["gains"]["tim, 5 shots"]["equal"]["gain"]],
    ),
    Sentence(
        PAGE,
        "whitening gains {} points at one shot, {} at five and {} at twenty. At C = 1 whitening gains {}, {} and {} points",
        "whitening",
        lambda found: [
            found["gains"][f"{name}, {shots} shots"]["shipped"]["gain"]
            for name in ("ridge auto", "logistic 1.0")
            for shots in (1, 5, 20)
        ],
    ),
    Sentence(
        PAGE,
        "(Moonshine {} to {} at one shot, FBANK {} to {}, YAMNet {} to {}, with `ridge:alpha=auto`)",
        "whitening",
        lambda found: [
            100 * cell["ridge auto, 1 shots"][how]
            for upstream in ("moonshine_tiny", "fbank", "yamnet")
            for cell in found["cells"]
            if of(cell) == (upstream, "esc10")
            for how in ("l2", "shipped")
        ],
    ),
]
