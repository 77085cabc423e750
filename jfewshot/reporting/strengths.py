"""Tables and advice about strengths: which strengths `auto` chose, and which given strengths are too small or too large."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jfewshot.files import canonical_json
from jfewshot.reporting.conditions import describe, shots_of, shots_of_title
from jfewshot.reporting.grid import Grid, grid
from jfewshot.reporting.labels import UpstreamNames

Record = Mapping[str, Any]
# Strengths for which a larger value means a weaker penalty; for ridge's alpha it means a stronger one.
_INVERSE_PENALTIES = ("C",)
_MOST_ROWS = 200
_CENTROID, _LOGISTIC = canonical_json({"name": "centroid", "metric": "euclidean"}), canonical_json({"name": "logistic"})


def chosen_strengths(records: Sequence[Record]) -> Grid | None:
    """How often each strength was chosen by `auto`; None if no record has this.

    Args:
      records: as `read_results` gives them.
    """
    names = UpstreamNames(records)
    rows = [
        [describe(record["identity"]), names.of(record), str(record["dataset"]["name"]), shares(record["chosen"])]
        for record in records
        if record.get("chosen")
    ]
    if not rows:
        return None
    notes = [
        "Each episode chose one of these strengths from its supports. In brackets: the share of the episodes that chose it."
    ]
    if len(rows) > _MOST_ROWS:
        notes.append(f"{_MOST_ROWS} of {len(rows)} results are shown; the records (`chosen`) have all.")
    headings = ["Condition", "Upstream", "Dataset", "Chosen strengths"]
    return grid("Strengths that episodes chose", headings, sorted(rows)[:_MOST_ROWS], notes, n_labels=4)


def shares(chosen: Sequence[Mapping[str, Any]]) -> str:
    """`10 (62%), 100 (38%)`: the strengths that were chosen, ascending; those below half a percent are left out."""
    episodes = sum(item["episodes"] for item in chosen)
    parts = [(item["value"], 100 * item["episodes"] / max(episodes, 1)) for item in chosen]
    return ", ".join(f"{value:g} ({share:.0f}%)" for value, share in parts if share >= 0.5)


class _Point(NamedTuple):
    record: Record
    strength: float | None
    mean: float
    width: float


def strength_advice(records: Iterable[Record]) -> list[str]:
    """Sentences about given strengths that are too small or too large.

    There are two signs: accuracy still rises at the edge of the strengths that were run, by more than the 95% interval
    over episodes; or the nearest centroid is better than `logistic` at each strength that was run, by more than the
    interval of the difference.

    Args:
      records: of any conditions.

    Returns:
      one sentence for each classifier, number of ways and number of shots, with the option to use.
    """
    edges: dict[tuple[str, str, int, float, float, bool], list[tuple[float, str]]] = {}
    behind: dict[tuple[int, float], list[tuple[float, str]]] = {}
    for cell in _cells(records):
        for points in cell.values():
            if len(points) < 2 or None in (point.strength for point in points):
                continue
            given = sorted(points, key=lambda point: point.strength or 0.0)
            for edge, neighbour in ((given[-1], given[-2]), (given[0], given[1])):
                gain = edge.mean - neighbour.mean
                if gain > edge.width and edge.mean == max(point.mean for point in given):
                    name = _typed(edge.record["identity"]["classifier"])
                    key = (name, *_shape(edge.record), edge.strength or 0.0, edge is given[-1])
                    edges.setdefault(key, []).append((gain, _comparison(edge, neighbour)))
        centroid, logistic = cell.get(_CENTROID), cell.get(_LOGISTIC)
        if centroid and logistic:
            best = max(logistic, key=lambda point: point.mean)
            ahead = centroid[0].mean - best.mean
            if ahead > (centroid[0].width ** 2 + best.width**2) ** 0.5:
                behind.setdefault(_shape(best.record)[1:], []).append((ahead, _comparison(centroid[0], best)))
    said = []
    for (name, parameter, n_way, shots, value, largest), found in sorted(edges.items()):
        too_strong = largest == (parameter in _INVERSE_PENALTIES)
        further = [value * factor for factor in ((10.0, 100.0) if largest else (0.1, 0.01))]
        grid_text = ",".join(f"{v:g}" for v in further)
        end = "largest" if largest else "smallest"
        said.append(
            f"{name}, {n_way}-way{shots_of_title(shots)}: accuracy still rises at the {end} strength that was tried, "
            f"{parameter} = {value:g}, in {_count(found)} (most: {max(found)[1]}), so the penalty is too "
            f"{'strong' if too_strong else 'weak'} there. Type --classifiers {name}:{parameter}=auto, or add "
            f"{name}:{parameter}={grid_text}."
        )
    for (n_way, shots), found in sorted(behind.items()):
        said.append(
            f"logistic, {n_way}-way{shots_of_title(shots)}: centroid is better by more than the interval in {_count(found)} "
            f"(most: {max(found)[1]}), so C is too small there. Type --classifiers logistic:C=auto."
        )
    return said


def _cells(records: Iterable[Record]) -> list[dict[str, list[_Point]]]:
    """Results that differ only in their classifier or strength, by classifier; without classifiers that also ran with `auto`."""
    cells: dict[str, dict[str, list[_Point]]] = {}
    automatic: set[tuple[str, str]] = set()
    for record in records:
        identity, accuracy = record["identity"], record["accuracy"]
        rest = canonical_json({k: v for k, v in identity.items() if k not in ("classifier", "strength")})
        classifier = canonical_json(identity["classifier"])
        value = (identity.get("strength") or {}).get("value")
        if isinstance(value, str):
            automatic.add((rest, classifier))
        else:
            point = _Point(record, value, accuracy["mean"], accuracy["ci95"])
            cells.setdefault(rest, {}).setdefault(classifier, []).append(point)
    for rest, classifier in automatic:
        cells.get(rest, {}).pop(classifier, None)
    return list(cells.values())


def _typed(classifier: Mapping[str, Any]) -> str:
    """A classifier's name, with the kernel if there is one, as on the command line."""
    settings = (f":{name}={_short(classifier[name])}" for name in ("kernel", "gamma") if name in classifier)
    return classifier["name"] + "".join(settings)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shape(record: Record) -> tuple[str, int, float]:
    protocol, strength = record["identity"]["protocol"], record["identity"].get("strength") or {}
    return strength.get("name", ""), protocol["n_way"], shots_of(protocol)


def _comparison(better: _Point, worse: _Point) -> str:
    record = better.record
    where = f"{record['upstream']['name']} on {record['dataset']['name']}"
    return f"{where}, {100 * better.mean:.1f} against {100 * worse.mean:.1f}"


def _count(found: Sequence[Any]) -> str:
    return f"{len(found)} {'result' if len(found) == 1 else 'results'}"
