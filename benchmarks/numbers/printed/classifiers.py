"""Tables and sentences of docs/classifiers.md about strengths that episodes choose, and about kernels."""

from statistics import mean
from typing import Any

from benchmarks.numbers.comparing import Rows, Sentence, Table, Values
from benchmarks.numbers.printed.names import blocks, ends, head, largest, of, part, shots_of, smallest

PAGE = "docs/classifiers.md"


def auto_strength(found: Any, rows: Rows) -> Values:
    """Accuracies with chosen strengths, compared with the best fixed strength."""
    values = []
    for row, (block, label) in zip(rows, blocks(rows), strict=True):
        shape = part(r"(\d+)-way", block) + "x" + part(r"(\d+)-shot", block)
        bars = found[shape]["bars"][head(label)]
        within = [bars["within_1"], bars["within_1.5"], *([bars["cells"]] if "of" in row[2] else [])]
        behind = [bars["behind_best"], bars["furthest_behind"][0]]
        values.append([behind, within, [bars["gain"], bars["gain_of_best"]], [bars["least_gain"]]])
    return values


def which_to_report(found: Any, rows: Rows) -> Values:
    """Accuracies with strength 1, with the chosen strength and with the best strength."""
    values = []
    for row in rows:
        name = head(row[0])
        line = []
        for shots in (1, 5, 20):
            cells = found[f"5x{shots}"]["cells"]
            if name == "centroid":
                line += [[100 * mean(cell[name] for cell in cells)], [], []]
                continue
            place = found["grids"][name].index(1.0)
            each = [[cell[name]["fixed"][place], cell[name]["auto"], max(cell[name]["fixed"])] for cell in cells]
            line += [[100 * mean(column)] for column in zip(*each, strict=True)]
        values.append(line)
    return values


def strength_speeds(found: Any, rows: Rows) -> Values:
    """Episodes per second of each classifier with strength 1 and with `auto`, and of RidgeClassifierCV."""
    values = []
    for row in rows:
        rates = found["speed"][f"5x{shots_of(row[0])}"]
        values.append([[rates[name]] for name in rates])
    return values


def kernels(found: Any, rows: Rows) -> Values:
    """Accuracies with and without the kernel, and the cells that gain and lose most."""
    values = []
    for row, (block, label) in zip(rows, blocks(rows), strict=True):
        key = f"{head(label)}{':C=1' if 'C = 1' in label else ''}, {shots_of(block)} shots"
        gains = found["gains"][key]
        each = {of(cell): 100 * (cell[key]["rbf"] - cell[key]["plain"]) for cell in found["cells"]}
        counts = [gains["cells_up"], gains["cells_down"]]
        values.append([[gains["plain"]], [gains["rbf"]], counts, largest(each, row[4]), smallest(each, row[5])])
    return values


def not_converged(found: Any) -> list[float]:
    """No numbers: checks the episodes that did not converge, whose number the sentence spells out as a word."""
    names = {
        (*of(cell), key, value["not_converged"])
        for cell in found["cells"]
        for key, value in cell.items()
        if "not_converged" in value
    }
    assert sum(count for *_, count in names) == 4, names
    assert {(upstream, key) for upstream, _, key, _ in names} == {
        ("fbank", "logistic:C=auto, 5 shots"),
        ("fbank", "svm:C=auto, 5 shots"),
    }
    return []


TABLES = [
    Table(PAGE, "### How good the choice is", "auto_strength", auto_strength),
    Table(PAGE, "## Which one to report", "auto_strength", which_to_report),
    Table(PAGE, "Episodes per second on ESC-10's YAMNet embeddings", "auto_strength", strength_speeds),
    Table(PAGE, "Means over the 32 sample cells, 5 ways, `l2`, accuracy in percent; then", "kernels", kernels),
]


SENTENCES = [
    Sentence(
        PAGE,
        "between {} and {} times the plain time",
        "kernels",
        lambda found: ends(timed["times_plain"] for timed in found["speed"].values()),
    ),
    Sentence(
        PAGE,
        "With it, `ridge` is {}, {} and {} points behind the best at 2, 5 and 20 shots; with the prior it is {}, {} and {} "
        "points behind. Within 1.5 points of the best are {}, {} and {} cells without the prior, and {}, {} and {} cells "
        "with it.",
        "auto_strength",
        lambda found: [
            found["criteria"][f"5x{shots}"][how][field]
            for field in ("behind_best", "within_1.5")
            for how in ("RidgeClassifierCV's", "auto")
            for shots in (2, 5, 20)
        ],
    ),
    Sentence(
        PAGE,
        "accuracies average {} (choosing by the softmax loss), {} (by errors) and {} (`auto`), with {} for the best in hindsight "
        "and {} for C = 1",
        "auto_strength",
        lambda found: [
            mean(found["explicit"][how])
            for how in ("refits, softmax loss", "refits, errors", "auto", "best in hindsight", "C = 1")
        ],
    ),
    Sentence(
        PAGE,
        "Four episodes did not converge with a kernel (`logistic:C=auto` and `svm:C=auto` on FBANK at five shots).",
        "kernels",
        not_converged,
    ),
]
