"""Tables and sentences about speeds, sizes and times, most of them of docs/benchmarks.md."""

import re
from statistics import median
from typing import Any

from benchmarks.numbers.comparing import Rows, Sentence, Table, Values, numbers_in
from benchmarks.numbers.printed.names import head

PAGE = "docs/benchmarks.md"


def number(text: str) -> int:
    """The number in a printed count, such as 10,000."""
    return int(text.replace(",", ""))


def same_episode(row: list[str], places: dict[str, int]) -> dict[str, Any]:
    """The question that the labels of a row describe: episode, store, competitor, and classifier if the table has one."""
    way, shot = numbers_in(row[places["episode"]].replace("-", " "))
    segments, dim = row[places["store"]].split(" x ")
    found: dict[str, Any] = {"n_way": int(way), "k_shot": int(shot), "segments": number(segments), "dim": int(dim)}
    found |= {"competitor": row[places["competitor"]]}
    if "episodes" in places:
        found["n_episodes"] = number(row[places["episodes"]])
    if "classifier" in places:
        found["classifier"] = head(row[places["classifier"]])
    return found


def compared(found: Any, asked: dict[str, Any]) -> list[list[float]]:
    """For one question: rates of both sides, their ratio with its range, and the share of equal predictions."""
    (row,) = [row for row in found["rows"] if all(row[field] == value for field, value in asked.items())]
    ratios = [[row["ratio"]], [row["ratio_smallest"], row["ratio_largest"]]]
    return [[median(row["theirs"])], [median(row["ours"])], *ratios, [100 * row["agreement"]]]


def headline(found: Any, rows: Rows) -> Values:
    """Rows of the table of quoted speeds."""
    places = {"episode": 0, "store": 1, "episodes": 2, "competitor": 3}
    return [compared(found, same_episode(row, places)) for row in rows]


def before(found: Any, rows: Rows) -> Values:
    """Rows of version 0.1.0, with the setting of the competitor."""
    places = {"classifier": 0, "episode": 1, "store": 2, "competitor": 3}
    values = []
    for row in rows:
        asked = same_episode(row, places)
        (setting,) = [one["setting"] for one in found["rows"] if all(one[field] == asked[field] for field in asked)]
        printed = [setting["threads"], setting["chunk"]][: len(numbers_in(row[4]))]
        cells = compared(found, asked)
        values.append([printed, *(cells if numbers_in(row[-1]) else [*cells[:-1], []])])
    return values


def real_size(found: Any, rows: Rows) -> Values:
    """Rates on stores of 300,000 segments."""
    values = []
    for row in rows:
        shot = int(re.fullmatch(r"5-way (\d+)-shot", row[0])[1])  # type: ignore[index]
        (result,) = [one for one in found["results"] if one["question"]["k_shot"] == shot and not one["mapped"]]
        rates = [[median(result["rates"][side])] for side in ("ours", "products", "reading")]
        values.append([*rates, *(result["ours_over"][side] for side in ("products", "reading"))])
    return values


def transductive(found: Any, rows: Rows) -> Values:
    """Rates of transductive heads, compared with PyTorch and with `centroid`."""
    values = []
    for row in rows:
        beside = found["against_torch"][head(row[0])]
        on_products = found["against_torch_on_products"][head(row[0])]
        ratios = [[of[field] for field in ("ratio", "ratio_smallest", "ratio_largest")] for of in (beside, on_products)]
        times = found["heads_beside_centroid"][head(row[0])]["of_plain"]
        values.append([[beside["ours_per_s"]], [beside["theirs_per_s"]], *ratios, [times]])
    return values


def fusions(found: Any, rows: Rows) -> Values:
    """Times of fused parts, compared with the plain head."""
    cells = {(row["head"], row["shots"], row["parts"]): row for row in found["rows"]}
    values = []
    for row in rows:
        cell = cells[head(row[0]), int(row[1]), int(row[2])]
        values.append([cell["fixed_of_plain"], cell["chosen_of_plain"]])
    return values


def kernels(found: Any, rows: Rows) -> Values:
    """Rates of heads with and without a kernel."""
    values = []
    for row in rows:
        pair = found["kernels_beside_plain"][f"{head(row[0])}, {row[0].split(', ')[1].split()[0]} shots"]
        plain, kernel = (pair[name] for name in (head(row[0]), f"{head(row[0])}:kernel=rbf"))
        values.append([[plain["per_s"]], [kernel["per_s"]], [kernel["of_plain"]]])
    return values


def scaling(found: Any, rows: Rows) -> Values:
    """Rates with more devices on two cores."""
    values = []
    for row in rows:
        by = {one["devices"]: one for one in found["rows"] if one["classifier"] == head(row[0])}
        ratios = [[by[n][f] for f in ("speed_up", "speed_up_smallest", "speed_up_largest")] for n in (2, 4, 8)]
        values.append([[by[1]["episodes_per_s"]], *ratios])
    return values


def whole_table(found: Any, rows: Rows) -> Values:
    """Times of the paper's grid. `sgd` was measured twice, and the measurement with the shorter first run is printed first."""
    values = []
    for row in rows:
        runs = [one for run in found["runs"] for one in run["rows"] if one["classifier"] == head(row[0])]
        first = sorted(one["runs"][0]["wall_s"] for one in runs)
        again = [one["runs"][1]["wall_s"] for one in runs if len(one["runs"]) > 1]
        peak = max(part["peak_bytes"] for one in runs for part in one["runs"]) / 1e9
        hours = sorted((one["original_s"] / 3600 for one in runs), reverse=True)
        values.append([first, again, [peak], hours])
    return values


def grid(found: Any, rows: Rows) -> Values:
    """One column of the table of grids of many cells."""
    del rows
    run, resume, report = (found.get(part) for part in ("run", "resume", "report"))
    peak = [part["peak_gb"] for part in (run, report) if part]
    solved = [[run["wall_s"], run["solving_s"], run["compiling_s"]], [run["beside_ms_per_cell"]]] if run else [[], []]
    kept = [found["kept"]["files"], found["kept"]["bytes"] / 1e6]
    return [[cell] for cell in [*solved, [resume["wall_s"]], [report["wall_s"]], peak, kept]]


TABLES = [
    Table(PAGE, "## What was measured", "headline_cpu", headline, labels=4),
    Table(PAGE, "### Before, with version 0.1.0", "suite_cpu", before, labels=4),
    Table(PAGE, "2 cores of an AMD EPYC, medians of five rounds", "real_size_cpu", real_size),
    Table(PAGE, "## Transductive heads and kernels", "transductive_speed_cpu", transductive),
    Table(PAGE, "Plain heads and heads with a [kernel]", "transductive_speed_cpu", kernels),
    Table("docs/fusion.md", "## Time", "fusions_cpu", fusions, labels=3),
    Table(PAGE, "### More devices", "scaling_cpu", scaling),
    Table(PAGE, "### The whole table, with version 0.1.0", "end_to_end_cpu", whole_table),
    Table(PAGE, "### Grids of many cells", "grid_cpu", grid, columns=(1,)),
    Table(PAGE, "### Grids of many cells", "grid_filled_cpu", grid, columns=(2,)),
]


def rounds(found: Any) -> list[float]:
    """Seconds of each round with Ray's workers, then of each round in one process."""
    return [*found["ray"]["two_workers"], *found["ray"]["two_devices"], found["cells"]]


SENTENCES = [
    Sentence(PAGE, "{}, {} and {} s against {}, {} and {} s for {} cells", "grid_ray_cpu", rounds),
    Sentence(
        "docs/clusters.md",
        "three rounds of two Ray workers took {}, {} and {} s, and three rounds of one process with two devices {}, {} and {} s.",
        "grid_ray_cpu",
        lambda found: rounds(found)[:-1],
    ),
    Sentence(
        "docs/store.md",
        "{} windows x {} took {} s and {} GB of memory",
        "importing_cpu",
        lambda found: [
            found["rows"][0]["windows"],
            found["rows"][0]["dim"],
            found["rows"][0]["imported_s"],
            found["rows"][0]["anonymous_bytes"] / 1e9,
        ],
    ),
    Sentence(
        "docs/training_loops.md",
        "a call with the same number of clips takes {} ms at one shot and {} ms at five ({} clips x {}, {} episodes, two CPU "
        "cores",
        "arrays_cpu",
        lambda found: [
            *(row["arrays_median_ms"] for row in found["rows"]),
            *(found["settings"][field] for field in ("clips", "dim", "episodes")),
        ],
    ),
    Sentence(
        "docs/training_loops.md",
        "through a store takes {} and {} ms",
        "arrays_cpu",
        lambda found: [row["store_median_ms"] for row in found["rows"]],
    ),
    Sentence(
        PAGE,
        "`sgd`, run twice more, gave {} and {} times scikit-learn",
        "suite_cpu",
        lambda found: [row["ratio"] for row in found["the_sgd_row_again"]],
    ),
]
