"""Results as a table with one row per result and one column per fact: CSV and Parquet, for pandas and polars."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jfewshot.files import atomic_write
from jfewshot.files.csv_cells import csv_text
from jfewshot.reporting.conditions import (
    Conditions,
    classifier_words,
    describe,
    flatten,
    is_transductive,
    preprocessing_words,
    side_words,
)
from jfewshot.reporting.fusions import tidy_parts
from jfewshot.reporting.metrics import SCORE_METRICS
from jfewshot.reporting.scored import CALIBRATION, CONFIDENCES

Record = Mapping[str, Any]
_PROTOCOL = ("n_way", "k_shot", "n_query", "n_episodes", "seed", "split", "min_clips", "group_aware", "query_segments")
WIDTHS = ("std", "ci95", "pool_ci95", "pool_ci95_classes_fixed")


def tidy_rows(records: Sequence[Record], words: "Words | None" = None) -> list[dict[str, Any]]:
    """One flat row per cell, with typed columns, sorted by dataset, upstream and condition.

    Args:
      records: as `read_results` gives them.
      words: what is known of their conditions already; None for nothing.
    """
    rows = []
    words = words or Words()
    for record in records:
        said = words.of(record)
        identity, upstream, dataset = record["identity"], record["upstream"], record["dataset"]
        protocol, strength = identity["protocol"], identity.get("strength") or {}
        timing, metrics = record.get("timing") or {}, record.get("metrics") or {}
        calibration, open_set = record.get("calibration") or {}, record.get("open_set") or {}
        accuracy = metrics.get("accuracy") or record["accuracy"]
        rows.append(
            {
                "key": record["key"],
                "dataset": dataset["name"],
                "upstream": upstream["name"],
                "upstream_revision": upstream.get("revision"),
                "view": record["view"]["name"],
                "layer": record["view"]["layer"],
                "pooling": record["view"]["pooling"],
                **tidy_parts(record),
                "preprocessing": said.preprocessing,
                "classifier": identity["classifier"]["name"],
                "classifier_settings": said.classifier,
                "transductive": is_transductive(identity),
                "strength": strength.get("name"),
                "strength_value": _float(None if strength.get("value") == "auto" else strength.get("value")),
                "strength_median": _median_strength(record.get("chosen")),
                **{name: protocol.get(name) for name in _PROTOCOL},
                **_labels(record),
                "pools": "; ".join(side_words(protocol)) or None,
                "accuracy": float(accuracy["mean"]),
                **{name: _float(accuracy.get(name)) for name in WIDTHS},
                **{
                    f"{metric}{'_' * bool(name)}{name}": _float((metrics.get(metric) or {}).get(name or "mean"))
                    for metric in ("balanced_accuracy", "macro_f1", *SCORE_METRICS)
                    for name in ("", *WIDTHS)
                },
                **{
                    f"{metric}{'_' * bool(name)}{name}": _float((calibration.get(metric) or {}).get(name or "mean"))
                    for metric in CALIBRATION
                    for name in ("", *WIDTHS)
                },
                "unknown_ways": protocol.get("unknown_ways", 0),
                **{
                    f"{measure}_{score}": _float(((open_set.get(measure) or {}).get(score) or {}).get("mean"))
                    for measure in ("auroc", "fpr95")
                    for score in CONFIDENCES
                },
                "n_classes": (record.get("counts") or {}).get("classes"),
                "n_clips": (record.get("counts") or {}).get("clips"),
                **_cost(record),
                "episodes_per_s": _float(timing.get("episodes_per_s")),
                "wall_s": _float(timing.get("wall_s")),
                "clip_table": identity["clip_table"],
                "embeddings": identity["embeddings"],
                "store": (record.get("store") or {}).get("digest"),
                "predictions": (record.get("predictions") or {}).get("sha256"),
            }
        )
    return sorted(rows, key=lambda row: (row["dataset"], row["upstream"], row["key"]))


def _cost(record: Record) -> dict[str, Any]:
    """The cost of the encoder; empty if its store does not give it."""
    cost = record.get("cost") or {}
    return {
        "n_parameters": _float(record["upstream"].get("n_parameters")),
        "flop_per_clip": _float(cost.get("flop_per_clip")),
        "clips_per_s": _float(cost.get("clips_per_s")),
        "cost_device": cost.get("device"),
        "cost_threads": _float(cost.get("threads")),
    }


def _labels(record: Record) -> dict[str, Any]:
    """Mean number of labels per class; `k_shot` is empty if all labels were used for training."""
    protocol = record["identity"]["protocol"]
    if not protocol.get("all_labels"):
        return {"all_labels": False, "labels_per_class": float(protocol["k_shot"])}
    labels = (record.get("counts") or {}).get("labels_per_class") or {}
    return {"k_shot": None, "all_labels": True, "labels_per_class": _float(labels.get("mean"))}


def _median_strength(chosen: Sequence[Mapping[str, Any]] | None) -> float | None:
    """The median of the strengths that the episodes chose (the smaller one of two); None if the strength was given."""
    half, so_far = sum(item["episodes"] for item in chosen or ()) / 2, 0
    for item in chosen or ():
        so_far += item["episodes"]
        if so_far >= half > 0:
            return float(item["value"])
    return None


def tidy_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """`tidy_rows` as CSV, with empty cells for unknown values. pandas and polars read it with the right types."""
    return csv_text([list(rows[0]), *(list(row.values()) for row in rows)])


def write_parquet(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Write rows as Parquet; needs pyarrow.

    Args:
      rows: with the same typed columns.
      path: of the file.

    Returns:
      the path.
    """
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist([dict(row) for row in rows])
    with atomic_write(path) as file:
        pyarrow.parquet.write_table(table, file)
    return path


class OfCondition(NamedTuple):
    """A condition in exports: its settings, flattened, and its description, as JSON; and the description alone."""

    settings: str
    classifier: str
    preprocessing: str


class Words:
    """Computes the texts of conditions for exports, once for each condition."""

    def __init__(self) -> None:
        self._conditions = Conditions()
        self._known: dict[tuple[str, Any], OfCondition] = {}

    def of(self, record: Record) -> OfCondition:
        """The texts of a record's condition.

        Args:
          record: of any condition.
        """
        identity = record["identity"]
        # Conditions do not distinguish the stores that were used for centring; their descriptions do.
        key = self._conditions.key(record), (identity.get("preprocessing") or {}).get("center")
        if key not in self._known:
            parts = {name: identity.get(name) for name in ("classifier", "strength", "preprocessing", "protocol")}
            flat = {name: json.loads(value) for name, value in flatten(parts).items()}
            settings = json_text({**flat, "condition": describe(identity)})
            self._known[key] = OfCondition(settings, classifier_words(identity), preprocessing_words(identity))
        return self._known[key]


def json_text(value: Any) -> str:
    """A value as JSON on one line, in which letters of all scripts stay as they are.

    Args:
      value: of JSON's types.
    """
    return json.dumps(value, ensure_ascii=False)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
