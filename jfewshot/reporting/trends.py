"""Curves from records: accuracy over shots, ways, layers or noise, with all other settings equal."""

import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jfewshot.files import canonical_json
from jfewshot.reporting.conditions import (
    ALONG_SHOTS,
    Conditions,
    condition_of,
    describe,
    order_of,
    shots_of,
    shots_words,
)
from jfewshot.reporting.figures.curves import Curve, Panel
from jfewshot.reporting.labels import UpstreamNames, dataset_labels, upstream_labels

Record = Mapping[str, Any]
# The alterations of `jfewshot extract --alter`, as labels of axes.
ALTERATIONS = {
    "noise": "signal-to-noise ratio of the queries (dB)",
    "reverb": "room scale of the queries (%)",
    "band": "band of the queries (Hz)",
}
EPISODES = "ci95"  # the interval for other episodes of the same clips
MOST_CURVES = 26  # in a panel; more curves cannot be distinguished


@dataclasses.dataclass(frozen=True)
class Trend:
    """Curves over one setting, with all other settings equal.

    Attributes:
      name: `shots`, `ways`, `layers` or `alterations`.
      title: what is equal for all of them.
      x_label: label of the horizontal axis.
      ticks: places on the axis and their names.
      log: whether equal factors are equal steps.
      panels: per dataset.
    """

    name: str
    title: str
    x_label: str
    ticks: dict[float, str]
    log: bool
    panels: tuple[Panel, ...]


def trends(records: Sequence[Record], interval: str = "ci95", at_most: int | None = None) -> list[Trend]:
    """The trends in some records: at least two shots, ways or layers with all other settings equal.

    Args:
      records: of any conditions.
      interval: the interval whose half-width is the band; if it is not that over episodes, the latter is a darker band
          inside.
      at_most: largest number of trends; None for all.

    Returns:
      The trends; the first trend over each of shots, ways and layers comes before a second one over any of them.
    """
    names = UpstreamNames(records)
    kinds: list[Iterator[Trend]] = [
        _over("shots", "shots (support clips per class)", records, _shots, "k_shot", True, interval, names),
        _over("ways", "ways (classes per episode)", records, _ways, "n_way", False, interval, names),
        _over_layers(records, interval, names),
        _over_alterations(records, interval, names),
    ]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*kinds))
    return list(itertools.islice((trend for trend in turns if trend is not None), at_most))


def places_on_axis(places: Sequence[float]) -> dict[float, float]:
    """Positions of numbers of shots on an axis; "all labels", an infinite number, is at twice the largest number."""
    largest = max((place for place in places if not math.isinf(place)), default=1.0)
    return {place: 2 * largest if math.isinf(place) else float(place) for place in places}


def _on_axis(place: Callable[[Record], float], on_axis: Mapping[float, float]) -> Callable[[Record], float]:
    return lambda record: on_axis[place(record)]


def _shots(record: Record) -> float:
    return shots_of(record["identity"]["protocol"])


def _ways(record: Record) -> float:
    return float(record["identity"]["protocol"]["n_way"])


def _over(
    name: str,
    x_label: str,
    records: Sequence[Record],
    place: Callable[[Record], float],
    field: str,
    log: bool,
    interval: str,
    names: UpstreamNames,
) -> Iterator[Trend]:
    conditions, without = Conditions(), dict[str, str]()
    groups: dict[str, list[Record]] = {}
    for record in records:
        key = conditions.key(record)
        if key not in without:
            condition = condition_of(record)
            # "All classes" differs from a fixed number of classes, and has no position on the axis.
            own = (field,) if condition["protocol"].get(field) != "all" else ()
            dropped = (*own, *(ALONG_SHOTS if field == "k_shot" else ("nested_shots",)))
            protocol = {k: v for k, v in condition["protocol"].items() if k not in dropped}
            without[key] = canonical_json({**condition, "protocol": protocol})
        groups.setdefault(without[key], []).append(record)
    for group in _every_classifier_first(list(groups.values())):
        places = sorted({place(record) for record in group})
        if len(places) < 2:
            continue
        number, labels, _ = upstream_labels(group, names)
        on_axis = places_on_axis(places)
        panels = _panels(group, _on_axis(place, on_axis), interval, [labels[i] for i in number])
        if panels:
            title = _without(describe(condition_of(group[0])), field)
            yield Trend(name, title, x_label, {on_axis[x]: shots_words(x) for x in places}, log, panels)


def _every_classifier_first(groups: list[list[Record]]) -> list[list[Record]]:
    """Groups in the order of their conditions; the first group of each classifier comes before a second one of any."""
    groups = sorted(groups, key=lambda group: (-len(group), order_of(condition_of(group[0]))))
    seen: dict[str, int] = {}
    turns = []
    for number, group in enumerate(groups):
        name = str(group[0]["identity"]["classifier"]["name"])
        seen[name] = seen.get(name, 0) + 1
        turns.append((seen[name], number))
    return [groups[number] for _, number in sorted(turns)]


def _over_layers(records: Sequence[Record], interval: str, names: UpstreamNames) -> Iterator[Trend]:
    conditions = Conditions()
    groups: dict[tuple[str, Any], list[Record]] = {}
    for record in records:
        if record["view"]["layer"] is not None:
            groups.setdefault((conditions.key(record), record["view"]["pooling"]), []).append(record)
    for group in groups.values():
        # `last` comes after the numbered layers, and other names in alphabetical order between them.
        layers = sorted({record["view"]["layer"] for record in group}, key=_layer_order)
        if len(layers) < 3:
            continue
        number = {layer: float(i) for i, layer in enumerate(layers)}
        panels = _panels(group, _place_of(number), interval, [names.of(record) for record in group])
        if panels:
            title = f"{describe(condition_of(group[0]))} · {group[0]['view']['pooling']} pooling"
            yield Trend("layers", title, "layer", {i: layer for layer, i in number.items()}, False, panels)


def _over_alterations(records: Sequence[Record], interval: str, names: UpstreamNames) -> Iterator[Trend]:
    """Accuracy over the signal-to-noise ratio, the room or the band of altered copies of a dataset."""
    conditions = Conditions()
    groups: dict[tuple[str, str, str, str], list[Record]] = {}
    for record in records:
        altered = record["dataset"].get("altered")
        if isinstance(altered, Mapping) and altered.get("kind") in ALTERATIONS and _is_number(altered.get("value")):
            which = (str(altered.get("of")), str(altered["kind"]), str(altered.get("noise") or ""))
            groups.setdefault((conditions.key(record), *which), []).append(record)
    for (key, of, kind, noise), group in groups.items():
        places = sorted({float(record["dataset"]["altered"]["value"]) for record in group})
        if len(places) < 2:
            continue
        # The unaltered recordings are at one end of the axis: no noise, no reverberation, the whole band.
        clean = [r for r in records if r["dataset"]["name"] == of and conditions.key(r) == key]
        step = (places[-1] - places[0]) / (len(places) - 1)
        end = places[0] - step if kind == "reverb" else places[-1] + step
        ticks = {value: f"{value:g}" for value in places} | ({end: "clean"} if clean else {})
        points: dict[str, dict[float, Record]] = {}
        for record in [*group, *clean]:
            altered = record["dataset"].get("altered")
            x = end if altered is None else float(altered["value"])
            points.setdefault(names.of(record), {})[x] = record
        curves = [_curve(name, line, interval) for name, line in points.items() if len(line) > 1]
        panel = Panel(of, tuple(sorted(curves, key=lambda curve: -curve.mean[-1])[:MOST_CURVES]))
        title = f"{of}{f' with {noise}' if noise else ''}: {describe(condition_of(group[0]))}"
        yield Trend("alterations", title, ALTERATIONS[kind], ticks, False, (panel,))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _place_of(number: Mapping[str, float]) -> Callable[[Record], float]:
    return lambda record: number[record["view"]["layer"]]


def _layer_order(layer: str) -> tuple[int, float, str]:
    if layer == "last":
        return 2, 0.0, layer
    digits = re.fullmatch(r"\D*(\d+)", layer)
    return (0, float(digits[1]), layer) if digits else (1, 0.0, layer)


def _panels(
    records: Sequence[Record], place: Callable[[Record], float], interval: str, labels: Sequence[str]
) -> tuple[Panel, ...]:
    points: dict[str, dict[str, dict[float, Record]]] = {}
    number, datasets, _ = dataset_labels(records)
    for record, i, label in zip(records, number, labels, strict=True):
        points.setdefault(datasets[i], {}).setdefault(label, {})[place(record)] = record
    panels = []
    for dataset in sorted(points, key=str.casefold):
        curves = [_curve(name, line, interval) for name, line in points[dataset].items() if len(line) > 1]
        if curves:
            panels.append(Panel(dataset, tuple(sorted(curves, key=lambda curve: -curve.mean[-1])[:MOST_CURVES])))
    return tuple(panels)


def _curve(label: str, line: dict[float, Record], interval: str) -> Curve:
    x = tuple(sorted(line))
    accuracy = [line[place]["accuracy"] for place in x]
    widths = (a.get(interval) for a in accuracy)
    half_width = tuple(float("nan") if width is None else width for width in widths)
    inner = () if interval == EPISODES else tuple(a[EPISODES] for a in accuracy)
    return Curve(label, x, tuple(a["mean"] for a in accuracy), half_width, inner)


def _without(title: str, field: str) -> str:
    """A condition's title without the number that varies along the curve: `5-way, 15 queries`, not `5-way 1-shot, 15 queries`."""
    word = {"k_shot": "shot", "n_way": "way"}[field]
    return re.sub(rf"\s?\d+-{word}" + ("|, all labels" if word == "shot" else ""), "", title, count=1).strip()
