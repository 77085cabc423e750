"""Results in formats of other programs: files of the Hugging Face Hub and MTEB's JSON, next to the tidy table."""

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jfewshot.files import atomic_write, sha256_of_json
from jfewshot.reporting.conditions import describe, shots_of, shots_words, way_and_shots
from jfewshot.reporting.file_names import file_names
from jfewshot.reporting.hub import HubResult, eval_results_yaml, eval_yaml, in_yaml, quoted, safe_id
from jfewshot.reporting.labels import UpstreamNames
from jfewshot.reporting.tidy import WIDTHS, Words, json_text, tidy_csv, tidy_rows, write_parquet
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
    words = Words()
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
    words: Words,
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


def hub_tasks(records: Sequence[Record], words: Words | None = None) -> dict[str, str]:
    """Name a task for each record: dataset, ways and shots, with the classifier and a digest if these are not unique.

    Args:
      records: as `read_results` gives them.
      words: what is known of their conditions already; None for nothing.

    Returns:
      task ids by the records' keys; the records of several upstreams under one condition share one.
    """
    words = words or Words()
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


def model_index(records: Sequence[Record], words: Words | None = None, name: str | None = None) -> str:
    """A Hugging Face model card's `model-index` block for one upstream, in YAML, to go in the card's front matter.

    Args:
      records: of the upstream.
      words: what is known of their conditions already; None for nothing.
      name: of the upstream in the report; None for its title.

    Returns:
      The block, with a newline at its end.
    """
    words = words or Words()
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


def mteb_json(records: Sequence[Record], words: Words | None = None) -> str:
    """One upstream's results as MTEB's `ModelResult.from_disk` reads them: a list of tasks, one a line, scores under their split.

    Args:
      records: of the upstream.
      words: what is known of their conditions already; None for nothing.
    """
    words = words or Words()
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
        scores = f"{json_text(score)[:-1]}, {_arguments(record, words)[1:]}"
        split = _split_of(protocol) or ("train" if protocol.get("mteb") else "test")  # mteb's folds are within train
        tasks.append(f'{json_text(task)[:-1]}, "scores": {{{json_text(split)}: [{scores}]}}}}')
    upstream = records[0]["upstream"]
    document = {
        "model_name": upstream["name"],
        "model_revision": upstream.get("revision"),
        "n_parameters": upstream.get("n_parameters"),
    }
    return json_text(document)[:-1] + ', "task_results": [\n' + ",\n".join(tasks) + "\n]}\n"


def _arguments(record: Record, words: Words) -> str:
    """The settings on which the number depends, flattened, as JSON."""
    own = {name: record["accuracy"].get(name) for name in WIDTHS[1:]}
    own |= {"view": record["view"]["name"], "key": record["key"]}
    return f"{json_text(own)[:-1]}, {words.of(record).settings[1:]}"


def _title(thing: Mapping[str, Any]) -> str:
    return str(thing.get("title") or thing["name"])


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.write(text)
    return path
