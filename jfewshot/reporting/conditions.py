"""The condition that all cells of one table share, and its description as text."""

import json
import math
from collections.abc import Mapping
from typing import Any

from jfewshot.episodes.share import QUERIES
from jfewshot.files import canonical_json
from jfewshot.reporting.metrics import METRIC_WORDS

# The recommended classifier comes first (docs/classifiers.md): chosen strengths before given ones, since with more than
# one shot C = 1 says little about an encoder; then converged logistic regression.
RECOMMENDED_FIRST = ("logistic", "ridge", "svm", "sgd", "centroid", "knn")

# Identity fields for the data and the embeddings, which are the axes of a table. All other fields are its condition.
AXES = (
    "clip_table",
    "embeddings",
    "segments",
    "pools",
    "clip_order",
    "clip_table_of_supports",
    "embeddings_of_supports",
)

# Fields of a protocol that differ along a curve over shots, as `k_shot` does.
ALONG_SHOTS = ("nested_shots", "all_labels")


def condition_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record's identity that has to be equal for all cells of one table.

    Centring by another store's mean is one condition, whichever store was used for each upstream. Centring by the mean
    of one corpus from a file is one condition too.
    """
    condition = {name: value for name, value in record["identity"].items() if name not in AXES}
    protocol = condition["protocol"]
    if protocol.get("every_query") or protocol.get("every_class"):
        # These numbers belong to the data.
        every = {"n_query": protocol.get("every_query"), "n_way": protocol.get("every_class")}
        condition["protocol"] = protocol | {name: "all" for name, is_all in every.items() if is_all}
    if protocol.get("mteb"):
        condition["protocol"] = _either_form_of_mteb(condition["protocol"])
    if record.get("metric"):
        condition["metric"] = record["metric"]
    center = (condition.get("preprocessing") or {}).get("center")
    if center is not None and center not in ("train", "transductive"):
        # Statistics from a file are named by corpus and digest, and encoders share only the corpus.
        corpus, named, _ = center.rpartition(":")
        condition["preprocessing"] = {**condition["preprocessing"], "center": corpus if named else "another store"}
    if "center_clips" in (condition.get("preprocessing") or {}):
        # The clips of a mean belong to the data, as the evaluated clips do.
        condition["preprocessing"] = {k: v for k, v in condition["preprocessing"].items() if k != "center_clips"}
    return condition


def _either_form_of_mteb(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """mteb averages over datasets with splits and datasets with folds, so the form belongs to the data, not to the condition."""
    own = {} if protocol.get("independent") else {"n_episodes": "10 or 5"}
    return {k: v for k, v in protocol.items() if k not in ("support", "query")} | {"mteb": "either"} | own


def condition_key(record: Mapping[str, Any]) -> str:
    """`condition_of` as text, which is equal for cells that may be in one table."""
    return canonical_json(condition_of(record))


class Conditions:
    """Finds `condition_key` of many records, and computes it once for all records that have the same parts.

    `read_results` makes equal parts of records one object, so parts are compared by their addresses. Parts are kept, so
    that no address is used for another part.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[str, Mapping[str, Any]]] = {}

    def key(self, record: Mapping[str, Any]) -> str:
        """`condition_key` of a record.

        Args:
          record: not changed while this object is in use.
        """
        identity = record["identity"]
        parts = tuple(
            (name, id(part)) if isinstance(part, dict | list) else (name, type(part), part)
            for name, part in identity.items()
            if name not in AXES
        )
        known = self._known.get(parts)
        if known is None:
            known = self._known[parts] = condition_key(record), identity
        return known[0]


def order_of(condition: Mapping[str, Any]) -> tuple[Any, ...]:
    """The key for sorting conditions: chosen strengths and the recommended classifier first, transductive classifiers last.

    Shots, ways and strengths are sorted as numbers.

    Args:
      condition: from `condition_of`.
    """
    classifier, protocol = condition["classifier"], condition["protocol"]
    name = classifier["name"]
    place = RECOMMENDED_FIRST.index(name) if name in RECOMMENDED_FIRST else len(RECOMMENDED_FIRST)
    value = (condition.get("strength") or {}).get("value")
    is_number = isinstance(value, int | float)
    strength = (is_number, value if is_number else 0.0, str(value))
    settings = canonical_json({k: v for k, v in classifier.items() if k != "name"})
    preprocessing = preprocessing_words(condition)
    first = is_transductive(condition), value != "auto", place
    ways = float("inf") if protocol["n_way"] == "all" else protocol["n_way"]
    return first, name, settings, strength, preprocessing, ways, shots_of(protocol), describe(condition)


def flatten(condition: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested fields as `protocol.k_shot`, with values as JSON."""
    flat: dict[str, str] = {}
    for name, value in condition.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return flat


def differences(conditions: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The fields in which conditions differ, each with its values (`absent` if a condition lacks the field)."""
    flat = [flatten(condition) for condition in conditions]
    names = sorted({name for one in flat for name in one})
    values = {name: sorted({one.get(name, "absent") for one in flat}) for name in names}
    return {name: found for name, found in values.items() if len(found) > 1}


def shots_of(protocol: Mapping[str, Any]) -> float:
    """Support clips per class; infinite where all labels were trained on."""
    return math.inf if protocol.get("all_labels") else float(protocol["k_shot"])


def shots_words(shots: float) -> str:
    """`5`, or `all`."""
    return "all" if math.isinf(shots) else f"{shots:g}"


def way_and_shots(protocol: Mapping[str, Any]) -> str:
    """`5-way 1-shot`, or `5-way, all labels`."""
    ways = "all classes" if protocol["n_way"] == "all" else f"{protocol['n_way']}-way"
    return f"{ways}{shots_of_title(shots_of(protocol))}"


def shots_of_title(shots: float) -> str:
    """The part of a title that names the shots: ` 1-shot`, or `, all labels`."""
    return ", all labels" if math.isinf(shots) else f" {shots:g}-shot"


def describe(condition: Mapping[str, Any]) -> str:
    """A condition as a table's title: `5-way 1-shot, 15 queries · logistic, C = 1 · l2 · 10,000 episodes, seed 0`."""
    protocol = condition["protocol"]
    queries = query_words(protocol)
    if protocol.get("unknown_ways"):
        queries += f", and of {protocol['unknown_ways']} unknown classes"
    metric = [METRIC_WORDS[condition["metric"]]] if condition.get("metric") else []
    parts = [*metric, f"{way_and_shots(protocol)}, {queries}", classifier_words(condition)]
    parts.append(preprocessing_words(condition))
    if protocol.get("split"):
        parts.append(f"{protocol['split']} split")
    parts += side_words(protocol)
    if protocol.get("min_clips"):
        parts.append(f"classes of {protocol['min_clips']} clips and more")
    if protocol.get("group_aware"):
        version = "" if "group_aware_draws" in protocol else " (drawn by version 0.1.0)"
        parts.append(f"support and queries of different groups{version}")
    query_segments = {"mean": "mean score of a query's segments", "one": "one segment per query"}
    if protocol.get("query_segments") in query_segments:
        parts.append(query_segments[protocol["query_segments"]])
    if protocol.get("mteb"):
        how = {
            "splits": "from the training to the test split",
            "folds": "in five folds",
            "either": "from the training to the test split or in five folds",
        }
        drawn = "drawn independently" if protocol.get("independent") else "drawn as mteb does"
        parts.append(f"mteb's audio classification {how[protocol['mteb']]}, {drawn}")
    n_episodes = protocol["n_episodes"]
    parts.append(
        f"{n_episodes if isinstance(n_episodes, str) else f'{n_episodes:,}'} episodes, seed {protocol['seed']}"
    )
    return " · ".join(parts)


def query_words(protocol: Mapping[str, Any]) -> str:
    """`15 queries`, or `75 queries in Dirichlet(2) proportions` of an episode whose classes have different numbers."""
    unequal = protocol.get("query_balance")
    if unequal:
        return f"{unequal['queries']} queries in Dirichlet({unequal['dirichlet']}) proportions"
    return f"{protocol['n_query']} {'query' if protocol['n_query'] == 1 else 'queries'}"


def part_words(part: str) -> str:
    """The parts into which a dataset without splits is divided for training on all labels."""
    return f"{100 * QUERIES:.0f}% of each class" if part == "query" else "the other groups"


def side_words(protocol: Mapping[str, Any]) -> list[str]:
    """The pools of supports and queries: `support: split train`, `queries: site=B`; empty if all clips may be both.

    Args:
      protocol: of a record's identity.
    """
    parts = []
    for name, title in (("support", "support"), ("query", "queries")):
        side = protocol.get(name) or {}
        words = [f"split {side['split']}"] if side.get("split") else []
        words += [part_words(side["part"])] if side.get("part") else []
        for one in side.get("where") or ():
            words.append(f"{one['column']}{'=' if one['equal'] else '!='}{' or '.join(one['values'])}")
        if name == "support" and protocol.get("support_from"):
            words.insert(0, f"from {protocol['support_from']}")
        if words:
            parts.append(f"{title}: {', '.join(words)}")
    return parts


def is_transductive(condition: Mapping[str, Any]) -> bool:
    """Whether a condition's classifier is transductive, so that it is compared only with other transductive classifiers.

    Args:
      condition: a condition, or a record's identity.
    """
    return bool(condition["classifier"].get("transductive"))


def classifier_name(classifier: Mapping[str, Any]) -> str:
    """`logistic`, or `sinkhorn (transductive)` for a classifier that uses all queries of an episode together.

    Args:
      classifier: of a record's identity.
    """
    return f"{classifier['name']} (transductive)" if classifier.get("transductive") else str(classifier["name"])


def classifier_words(condition: Mapping[str, Any]) -> str:
    """`logistic, C = 1`, or `sinkhorn (transductive), sharpness = 10`."""
    classifier, strength = condition["classifier"], condition.get("strength")
    settings = {name: value for name, value in classifier.items() if name not in ("name", "transductive")}
    if strength:
        settings = {strength["name"]: strength["value"], **settings}
    return ", ".join([classifier_name(classifier), *(f"{name} = {_value(value)}" for name, value in settings.items())])


def preprocessing_words(condition: Mapping[str, Any]) -> str:
    """`center_l2 (centre: train)`."""
    preprocessing = condition.get("preprocessing") or {"name": "none"}
    name = "no preprocessing" if preprocessing["name"] == "none" else preprocessing["name"]
    if preprocessing.get("shrinkage") is not None:
        return f"{name} (statistics: {preprocessing['center']}; shrinkage {preprocessing['shrinkage']:g})"
    return f"{name} (centre: {preprocessing['center']})" if preprocessing.get("center") else name


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
