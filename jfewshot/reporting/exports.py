"""Results in formats of other programs: tidy CSV and Parquet, files of the Hugging Face Hub, MTEB's JSON."""

import importlib.util
import json
import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jfewshot.files import atomic_write, sha256_of_json
from jfewshot.files.csv_cells import csv_text
from jfewshot.reporting.conditions import (
    Conditions,
    classifier_words,
    describe,
    flatten,
    is_transductive,
    preprocessing_words,
    shots_of,
    shots_words,
    side_words,
    way_and_shots,
)
from jfewshot.reporting.fusions import tidy_parts
from jfewshot.reporting.hub import HubResult, eval_results_yaml, eval_yaml, in_yaml, quoted, safe_id
from jfewshot.reporting.labels import UpstreamNames
from jfewshot.reporting.metrics import SCORE_METRICS
from jfewshot.reporting.scored import CALIBRATION, CONFIDENCES
from jfewshot.statistics.classification import MTEB_SCORES

_log = logging.getLogger(__name__)
Record = Mapping[str, Any]


def write_exports(records: Sequence[Record], folder: Path, hub_dataset: str | None = None) -> list[Path]:
    """Write every export of these records; Parquet only where pyarrow is installed.

    Args:
      records: as `read_results` gives them.
      folder: where the files go.
      hub_dataset: id of the dataset of the Hugging Face Hub whose leaderboard the results belong to; None to write no
        `.eval_results` and no `eval.yaml`, which have to name one.

    Returns:
      The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = _Words()
    rows = tidy_rows(records, words)
    paths = [_write(folder / "cells.csv", tidy_csv(rows))]
    if importlib.util.find_spec("pyarrow") is not None:
        paths.append(write_parquet(rows, folder / "cells.parquet"))
    else:
        _log.info("no Parquet: it needs pyarrow (pip install pyarrow)")
    upstreams = UpstreamNames(records)
    by_upstream: dict[str, list[Record]] = {}
    for record in records:
        by_upstream.setdefault(upstreams.of(record), []).append(record)
    names = file_names(by_upstream)
    for upstream, own in by_upstream.items():
        paths.append(_write(folder / "model-index" / f"{names[upstream]}.yaml", model_index(own, words, upstream)))
        paths.append(_write(folder / "mteb" / f"{names[upstream]}.json", mteb_json(own, words)))
    if hub_dataset is not None:
        paths += _write_hub(by_upstream, folder / "hub", hub_dataset, words, names)
    return paths


def _write_hub(
    by_upstream: Mapping[str, Sequence[Record]],
    folder: Path,
    dataset_id: str,
    words: "_Words",
    names: Mapping[str, str],
) -> list[Path]:
    """Files for the Hub: one for the benchmark's dataset, one for each upstream's model."""
    tasks = hub_tasks([record for own in by_upstream.values() for record in own], words)
    description = "Few-shot classification of frozen audio embeddings: mean accuracy over episodes, in percent."
    ids = sorted(set(tasks.values()))
    paths = [_write(folder / "eval.yaml", eval_yaml("Few-shot audio classification", description, ids))]
    for upstream, own in by_upstream.items():
        results = []
        for record in sorted(own, key=lambda one: tasks[one["key"]]):
            accuracy = (record.get("metrics") or {}).get("accuracy") or record["accuracy"]
            said = f"{describe(record['identity'])}; 95% interval over episodes ± {100 * accuracy['ci95']:.2f}"
            results.append(HubResult(tasks[record["key"]], 100 * accuracy["mean"], said))
        text = eval_results_yaml(dataset_id, results)
        paths.append(_write(folder / names[upstream] / ".eval_results" / "jfewshot.yaml", text))
    return paths


def hub_tasks(records: Sequence[Record], words: "_Words | None" = None) -> dict[str, str]:
    """Name a task for each record: dataset, ways and shots, with the classifier and a digest if these are not unique.

    Args:
      records: as `read_results` gives them.
      words: what is known of their conditions already; None for nothing.

    Returns:
      task ids by the records' keys; the records of several upstreams under one condition share one.
    """
    words = words or _Words()
    conditions: dict[str, set[str]] = {}
    found = {}
    for record in records:
        protocol = record["identity"]["protocol"]
        short = safe_id(record["dataset"]["name"], f"{protocol['n_way']}way", f"{shots_words(shots_of(protocol))}shot")
        condition = sha256_of_json([words.of(record).settings, record["view"]["name"], record["dataset"]["name"]])[:8]
        conditions.setdefault(short, set()).add(condition)
        found[record["key"]] = short, condition
    return {
        key: short if len(conditions[short]) == 1 else f"{short}-{condition}"
        for key, (short, condition) in found.items()
    }


def tidy_rows(records: Sequence[Record], words: "_Words | None" = None) -> list[dict[str, Any]]:
    """One flat row per cell, with typed columns, sorted by dataset, upstream and condition.

    Args:
      records: as `read_results` gives them.
      words: what is known of their conditions already; None for nothing.
    """
    rows = []
    words = words or _Words()
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
                **{name: _float(accuracy.get(name)) for name in _WIDTHS},
                **{
                    f"{metric}{'_' * bool(name)}{name}": _float((metrics.get(metric) or {}).get(name or "mean"))
                    for metric in ("balanced_accuracy", "macro_f1", *SCORE_METRICS)
                    for name in ("", *_WIDTHS)
                },
                **{
                    f"{metric}{'_' * bool(name)}{name}": _float((calibration.get(metric) or {}).get(name or "mean"))
                    for metric in CALIBRATION
                    for name in ("", *_WIDTHS)
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


_PROTOCOL = ("n_way", "k_shot", "n_query", "n_episodes", "seed", "split", "min_clips", "group_aware", "query_segments")
_WIDTHS = ("std", "ci95", "pool_ci95", "pool_ci95_classes_fixed")


def tidy_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """`tidy_rows` as CSV, with empty cells for unknown values. pandas and polars read it with the right types."""
    return csv_text([list(rows[0]), *(list(row.values()) for row in rows)])


def model_index(records: Sequence[Record], words: "_Words | None" = None, name: str | None = None) -> str:
    """A Hugging Face model card's `model-index` block for one upstream, in YAML, to go in the card's front matter.

    Args:
      records: of the upstream.
      words: what is known of their conditions already; None for nothing.
      name: of the upstream in the report; None for its title.

    Returns:
      The block, with a newline at its end.
    """
    words = words or _Words()
    lines = ["model-index:", f"- name: {quoted(name or _title(records[0]['upstream']))}", "  results:"]
    for record in sorted(records, key=lambda r: (r["dataset"]["name"], r["key"])):
        identity, protocol = record["identity"], record["identity"]["protocol"]
        task = f"{way_and_shots(protocol)} audio classification"
        lines += [
            "  - task:",
            "      type: audio-classification",
            f"      name: {quoted(task)}",
            "    dataset:",
            f"      name: {quoted(_title(record['dataset']))}",
            f"      type: {quoted(record['dataset']['name'])}",
            *([f"      split: {quoted(split)}"] if (split := _split_of(protocol)) else []),
            f"      revision: {quoted(identity['clip_table'])}",
            "    metrics:",
            "    - type: accuracy",
            f"      value: {((record.get('metrics') or {}).get('accuracy') or record['accuracy'])['mean']:.6f}",
            f"      name: {quoted('accuracy, mean over episodes')}",
            f"      args: {in_yaml(_arguments(record, words))}",
        ]
    return "\n".join(lines) + "\n"


def _split_of(protocol: Mapping[str, Any]) -> str | None:
    """The split from which queries are drawn; None for all clips."""
    return (protocol.get("query") or {}).get("split") or protocol.get("split")


def mteb_json(records: Sequence[Record], words: "_Words | None" = None) -> str:
    """One upstream's results as MTEB's `ModelResult.from_disk` reads them: a list of tasks, one a line, scores under their split.

    Args:
      records: of the upstream.
      words: what is known of their conditions already; None for nothing.
    """
    words = words or _Words()
    tasks = []
    for record in sorted(records, key=lambda r: (r["dataset"]["name"], r["key"])):
        protocol = record["identity"]["protocol"]
        metrics = record.get("metrics") or {}
        accuracy = metrics.get("accuracy") or record["accuracy"]
        score = {
            "hf_subset": "default",
            "languages": ["zxx-Zxxx"],
            "main_score": accuracy["mean"],
            "accuracy": accuracy["mean"],
            "accuracy_std": accuracy["std"],
            **({"f1": metrics["macro_f1"]["mean"]} if "macro_f1" in metrics else {}),
            **{name: metrics[name]["mean"] for name in MTEB_SCORES if name in metrics},
        }
        if (record.get("mteb") or {}).get("experiments"):
            score["scores_per_experiment"] = record["mteb"]["experiments"]
        shots = shots_words(shots_of(protocol))
        name = f"{record['dataset']['name']}-{protocol['n_way']}way-{shots}shot"
        task = {
            "task_name": name,
            "dataset_revision": record["identity"]["clip_table"],
            # MTEB requires this field, and accepts results of other programs without a version of MTEB.
            "mteb_version": None,
            "evaluation_time": (record.get("timing") or {}).get("wall_s"),
        }
        # Joined as text, since the text of a condition is written many times.
        scores = f"{_json(score)[:-1]}, {_arguments(record, words)[1:]}"
        split = _split_of(protocol) or ("train" if protocol.get("mteb") else "test")  # mteb's folds are within train
        tasks.append(f'{_json(task)[:-1]}, "scores": {{{_json(split)}: [{scores}]}}}}')
    upstream = records[0]["upstream"]
    document = {
        "model_name": upstream["name"],
        "model_revision": upstream.get("revision"),
        "n_parameters": upstream.get("n_parameters"),
    }
    return _json(document)[:-1] + ', "task_results": [\n' + ",\n".join(tasks) + "\n]}\n"


# Windows treats these names as devices, whatever follows the first dot. A file name has at most 255 bytes on most
# systems, and ours have additional words before and after.
_LONGEST_FILE_NAME = 150
_DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)


def file_names(names: Sequence[str] | Mapping[str, Any]) -> dict[str, str]:
    """A file name for each name, which every system accepts: letters of any script, digits, dots and dashes.

    No two are the same, whatever the case.
    """
    taken: set[str] = set()
    files = {}
    for name in names:
        base = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"
        if _DEVICES.fullmatch(base.partition(".")[0]):
            base = f"_{base}"
        candidate, number = _first_bytes(base[:80], _LONGEST_FILE_NAME), 2
        while (key := unicodedata.normalize("NFC", candidate).casefold()) in taken:
            candidate, number = f"{_first_bytes(base[:76], _LONGEST_FILE_NAME - 6)}-{number}", number + 1
        taken.add(key)
        files[name] = candidate
    return files


def _first_bytes(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


class _OfCondition(NamedTuple):
    """A condition in exports: its settings, flattened, and its description, as JSON; and the description alone."""

    settings: str
    classifier: str
    preprocessing: str


class _Words:
    """Computes the texts of conditions for exports, once for each condition."""

    def __init__(self) -> None:
        self._conditions = Conditions()
        self._known: dict[tuple[str, Any], _OfCondition] = {}

    def of(self, record: Record) -> _OfCondition:
        identity = record["identity"]
        # Conditions do not distinguish the stores that were used for centring; their descriptions do.
        key = self._conditions.key(record), (identity.get("preprocessing") or {}).get("center")
        if key not in self._known:
            parts = {name: identity.get(name) for name in ("classifier", "strength", "preprocessing", "protocol")}
            flat = {name: json.loads(value) for name, value in flatten(parts).items()}
            settings = _json({**flat, "condition": describe(identity)})
            self._known[key] = _OfCondition(settings, classifier_words(identity), preprocessing_words(identity))
        return self._known[key]


def _arguments(record: Record, words: _Words) -> str:
    """The settings on which the number depends, flattened, as JSON."""
    own = {name: record["accuracy"].get(name) for name in _WIDTHS[1:]}
    own |= {"view": record["view"]["name"], "key": record["key"]}
    return f"{_json(own)[:-1]}, {words.of(record).settings[1:]}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _title(thing: Mapping[str, Any]) -> str:
    return str(thing.get("title") or thing["name"])


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.write(text)
    return path


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
