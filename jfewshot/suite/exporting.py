"""Write contributions in other formats: tables, LaTeX, the Hugging Face Hub, MTEB."""

import importlib.util
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jfewshot.files import atomic_write
from jfewshot.files.csv_cells import csv_text
from jfewshot.reporting.file_names import file_names
from jfewshot.reporting.grid import to_latex
from jfewshot.reporting.hub import HubResult, eval_results_yaml, eval_yaml
from jfewshot.reporting.tidy import write_parquet
from jfewshot.suite.board import run_grids, track_names, track_title
from jfewshot.suite.contribution import Contribution
from jfewshot.suite.definition import Suite

log = logging.getLogger("jfewshot.suite")


def export_contributions(
    suite: Suite, contributions: Sequence[Contribution], folder: Path, hub_dataset: str | None = None
) -> list[Path]:
    """Write contributions as tables, as LaTeX, for MTEB and for the Hugging Face Hub.

    Args:
      suite: what they are to.
      contributions: in order (`jfewshot.suite.validating`), one for each encoder.
      folder: where the files go.
      hub_dataset: id of the dataset of the Hub that hosts the suite's leaderboard; None to write nothing for the Hub.

    Returns:
      the files.
    """
    names = file_names([one.encoder.name for one in contributions])
    rows = task_rows(suite, contributions)
    texts = {
        folder / "tasks.csv": csv_text([list(rows[0]), *(list(row.values()) for row in rows)]),
        folder / "tables.tex": "\n".join(to_latex(table) for table in run_grids(suite, contributions)),
    }
    for one in contributions:
        texts[folder / "mteb" / f"{names[one.encoder.name]}.json"] = mteb_text(suite, one)
    if hub_dataset is not None:
        texts[folder / "hub" / "eval.yaml"] = suite_eval_yaml(suite)
        for one in contributions:
            place = folder / "hub" / names[one.encoder.name] / ".eval_results" / f"{suite.name}.yaml"
            texts[place] = eval_results_yaml(hub_dataset, hub_results(suite, one))
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, "w") as file:
            file.write(text)
    paths = list(texts)
    if importlib.util.find_spec("pyarrow") is not None:
        paths.append(write_parquet(rows, folder / "tasks.parquet"))
    else:
        log.info("no Parquet: it needs pyarrow (pip install pyarrow)")
    return paths


def task_rows(suite: Suite, contributions: Sequence[Contribution]) -> list[dict[str, Any]]:
    """One flat row for each encoder and task, with typed columns.

    Args:
      suite: what they are to.
      contributions: in order.

    Returns:
      the rows, by encoder and then in the order of the suite's tasks.
    """
    rows = []
    for one in contributions:
        for task in suite.tasks:
            result, track = one.tasks[task.name], suite.track(task.track)
            score = 1000 * (result.accuracy - task.lower) / (task.upper - task.lower)
            rows.append(
                {
                    "encoder": one.encoder.name,
                    "revision": one.encoder.revision,
                    "n_parameters": one.encoder.n_parameters,
                    "suite": suite.name,
                    "version": suite.version,
                    "task": task.name,
                    "dataset": task.dataset,
                    "family": suite.dataset(task.dataset).family,
                    "track": task.track,
                    "classifier": track.classifier,
                    "n_way": track.protocol.n_way,
                    "k_shot": track.protocol.k_shot,
                    "n_query": track.protocol.n_query,
                    "n_episodes": track.protocol.n_episodes,
                    "accuracy": result.accuracy,
                    "std": result.std,
                    "ci95": result.ci95,
                    "score": score,
                    "lower": task.lower,
                    "upper": task.upper,
                    "n_classes": result.n_classes,
                    "n_clips": result.n_clips,
                    "n_segments": result.n_segments,
                    "clip_table": result.clip_table,
                    "draws": result.draws,
                    "embeddings": result.embeddings,
                }
            )
    return rows


def mteb_text(suite: Suite, one: Contribution) -> str:
    """A contribution as MTEB's `ModelResult.from_disk` reads it.

    Args:
      suite: what it is to.
      one: the contribution.

    Returns:
      JSON.
    """
    tasks = []
    for task in suite.tasks:
        result = one.tasks[task.name]
        score: Mapping[str, Any] = {
            "hf_subset": "default",
            "languages": ["zxx-Zxxx"],
            "main_score": result.accuracy,
            "accuracy": result.accuracy,
            "accuracy_std": result.std,
            "accuracy_ci95": result.ci95,
        }
        tasks.append(
            {
                "task_name": f"{suite.name}-{task.name}",
                "dataset_revision": result.clip_table,
                # MTEB requires this field, and accepts results of other programs without a version of MTEB.
                "mteb_version": None,
                "evaluation_time": None,
                "scores": {suite.dataset(task.dataset).split or "test": [score]},
            }
        )
    document = {"model_name": one.encoder.name, "model_revision": one.encoder.revision, "task_results": tasks}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def hub_results(suite: Suite, one: Contribution) -> list[HubResult]:
    """A contribution as results for the Hub: the scores of the tracks, then the accuracies of the tasks in percent.

    Args:
      suite: what it is to.
      one: the contribution.

    Returns:
      the results, whose ids are those of `suite_eval_yaml`.
    """
    version = f"{suite.name}, version {suite.version}"
    results = [
        HubResult(
            f"score-{name}", one.scores[name].score, f"score of {version}, {track_title(suite, name)}: 0 is chance"
        )
        for name in track_names(suite)
    ]
    for task in suite.tasks:
        result = one.tasks[task.name]
        said = f"accuracy in percent, {suite.track(task.track).title}; 95% interval over episodes ± {100 * result.ci95:.2f}"
        results.append(HubResult(task.name, 100 * result.accuracy, said))
    return results


def suite_eval_yaml(suite: Suite) -> str:
    """The `eval.yaml` of the Hub's dataset that hosts the suite's leaderboard.

    Args:
      suite: the suite.

    Returns:
      YAML.
    """
    ids = [f"score-{name}" for name in track_names(suite)] + [task.name for task in suite.tasks]
    return eval_yaml(f"{suite.title} ({suite.name}, version {suite.version})", suite.description, ids)
