"""Results for the Hugging Face Hub: `.eval_results/*.yaml` of a model, and `eval.yaml` of the benchmark's dataset.

Both formats are described in the Hub's documentation, "Evaluation Results"; huggingface_hub reads the first.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jfewshot.errors import UserError

_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_DATASET_ID = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?/[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?", re.ASCII)


class HubResult(NamedTuple):
    """One number of a model.

    Attributes:
      task_id: the task, as `eval.yaml` names it.
      value: the number.
      notes: a short text about its computation.
    """

    task_id: str
    value: float
    notes: str


def check_dataset_id(text: str) -> str:
    """Check the id of a dataset of the Hub.

    Args:
      text: `USER/NAME` or `ORGANISATION/NAME`.

    Returns:
      the same text.

    Raises:
      UserError: if no dataset can have this id.
    """
    if not _DATASET_ID.fullmatch(text) or "--" in text or ".." in text:
        raise UserError(
            f"--hub-dataset is '{text[:100]}'; it must be the id of a dataset of the Hugging Face Hub, USER/NAME: the dataset "
            "whose eval.yaml lists the tasks"
        )
    return text


def eval_results_yaml(dataset_id: str, results: Sequence[HubResult], framework: str = "jfewshot") -> str:
    """A model's results, to be put in its repository as `.eval_results/NAME.yaml`.

    Args:
      dataset_id: id of the benchmark's dataset on the Hub.
      results: the numbers, at least one.
      framework: identifier of what evaluated; the same as in `eval.yaml`.

    Returns:
      a YAML list.
    """
    lines = []
    for one in results:
        lines += [
            "- dataset:",
            f"    id: {quoted(dataset_id)}",
            f"    task_id: {quoted(one.task_id)}",
            f"  value: {one.value:.6g}",
            f"  evaluation_framework: {quoted(framework)}",
            f"  notes: {quoted(one.notes)}",
        ]
    return "\n".join(lines) + "\n"


def eval_yaml(name: str, description: str, task_ids: Sequence[str], framework: str = "jfewshot") -> str:
    """A benchmark's tasks, to be put in the repository of its dataset as `eval.yaml`.

    Args:
      name: of the benchmark.
      description: a few sentences.
      task_ids: the tasks, which results name.
      framework: identifier of what evaluates.

    Returns:
      a YAML mapping.
    """
    head = [
        f"name: {quoted(name)}",
        f"description: {quoted(description)}",
        f"evaluation_framework: {quoted(framework)}",
        "tasks:",
    ]
    tasks = [line for one in task_ids for line in (f"- id: {quoted(one)}", "  config: default", "  split: test")]
    return "\n".join([*head, *tasks]) + "\n"


def quoted(text: str) -> str:
    """A text in quotes, for YAML.

    Args:
      text: any text.
    """
    return in_yaml(json.dumps(text, ensure_ascii=False))


def in_yaml(text: str) -> str:
    """JSON that is also valid YAML: characters that YAML reads as line ends or does not allow are escaped.

    Args:
      text: JSON.
    """
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def safe_id(*parts: Any) -> str:
    """An identifier of letters, digits, dots and dashes.

    Args:
      *parts: joined with dashes.
    """
    return re.sub(r"[^\w.-]+", "-", "-".join(map(str, parts))).strip("-.")
