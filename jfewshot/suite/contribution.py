"""What one encoder contributes to a suite's leaderboard: a JSON file from which every number can be computed again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.json_values import decode_json
from jfewshot.suite.definition import Name, Suite, Task, check_format
from jfewshot.suite.histogram import accuracy_of
from jfewshot.suite.scores import scores_of

FORMAT = "jfewshot-suite-result"
FORMAT_VERSION = 1
ALL_TRACKS = "all"

_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
_Number = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
_Known = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class SuiteReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which suite a contribution is to; `definition` is the digest of its tasks."""

    name: Name
    version: Annotated[int, msgspec.Meta(ge=1)]
    definition: _Known


class Encoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The encoder of the results, as the manifests of its stores describe it."""

    name: _Label
    title: str | None
    revision: str | None
    n_parameters: _Count | None


class TaskResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The results of one task.

    Attributes:
      clip_table: digest of the table of clips.
      classes: digest of the sorted list of the classes that took part.
      draws: digest of the drawn episodes.
      embeddings: SHA-256 of the evaluated array.
      numerics: version of the evaluator's arithmetic.
      n_classes: how many classes took part.
      n_clips: how many clips they have.
      n_segments: into how many segments the encoder's store cuts these clips.
      histogram: place r holds the number of episodes with r right answers.
      accuracy: mean over the episodes, 0-1.
      std: over the episodes, ddof 0.
      ci95: 95% half-width over the episodes.
    """

    clip_table: _Known
    classes: _Known
    draws: _Known
    embeddings: _Known
    numerics: Annotated[int, msgspec.Meta(ge=1)]
    n_classes: _Count
    n_clips: _Count
    n_segments: _Count
    histogram: list[_Count]
    accuracy: _Share
    std: _Share
    ci95: _Share


class TrackScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Average accuracy (0-1) and score over the datasets."""

    average: _Share
    score: _Number


class Contribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contributed file; `scores` has one entry for each track and one, `all`, for all tracks together."""

    format: str
    format_version: int
    suite: SuiteReference
    encoder: Encoder
    made_with: dict[str, str]
    tasks: dict[str, TaskResult]
    scores: dict[str, TrackScore]


def read_contribution(path: Path) -> Contribution:
    """Read a contributed file and check its fields.

    Args:
      path: of the JSON file.

    Raises:
      UserError: if it cannot be read, is of a newer format, or has fields that do not fit.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror or error}); give a file that a suite's run wrote"
        ) from error
    return parse_contribution(data, str(path))


def parse_contribution(data: bytes, where: str) -> Contribution:
    """Check the bytes of a contributed file.

    Args:
      data: JSON in UTF-8.
      where: the file's name, for messages.

    Raises:
      UserError: if it is of a newer format or has fields that do not fit.
    """
    try:
        value = decode_json(data)
    except UserError as error:
        raise UserError(f"{where} is not JSON ({error}); `jfewshot suite run` writes such files") from error
    check_format(value, FORMAT, FORMAT_VERSION, where, "contribution to a suite")
    try:
        return msgspec.convert(value, Contribution)
    except (msgspec.ValidationError, OverflowError) as error:
        raise UserError(f"{where} is no contribution of this format: {error}") from error


def write_contribution(contribution: Contribution, path: Path) -> None:
    """Write a contributed file, a task a line.

    Args:
      contribution: what to write.
      path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.write(contribution_text(contribution))


def contribution_text(contribution: Contribution) -> str:
    """A contributed file as text; equal contributions give equal text.

    Args:
      contribution: what to write.
    """
    value = msgspec.to_builtins(contribution)
    tasks = ",\n".join(f"    {_json(name)}: {_json(task)}" for name, task in value.pop("tasks").items())
    scores = ",\n".join(f"    {_json(name)}: {_json(score)}" for name, score in value.pop("scores").items())
    head = "".join(f"  {_json(name)}: {_json(part)},\n" for name, part in value.items())
    return f'{{\n{head}  "tasks": {{\n{tasks}\n  }},\n  "scores": {{\n{scores}\n  }}\n}}\n'


def task_result(facts: Mapping[str, Any], histogram: Sequence[int]) -> TaskResult:
    """Complete a task's result with the numbers that follow from its histogram.

    Args:
      facts: the fields of `TaskResult` before its histogram.
      histogram: number of episodes by right answers.

    Returns:
      the result.
    """
    mean, std, ci95 = accuracy_of(histogram)
    return TaskResult(**facts, histogram=list(histogram), accuracy=mean, std=std, ci95=ci95)


def contribution_of(
    suite: Suite, encoder: Encoder, made_with: Mapping[str, str], tasks: Mapping[str, TaskResult]
) -> Contribution:
    """Put together a contribution, with its scores.

    Args:
      suite: what it is to.
      encoder: whose results they are.
      made_with: versions of what computed them.
      tasks: a result for every task of the suite.

    Returns:
      the contribution.
    """
    in_order = {task.name: tasks[task.name] for task in suite.tasks}
    return Contribution(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        suite=SuiteReference(suite.name, suite.version, suite.definition),
        encoder=encoder,
        made_with=dict(made_with),
        tasks=in_order,
        scores=track_scores(suite, {name: task.accuracy for name, task in in_order.items()}),
    )


def track_scores(suite: Suite, accuracy: Mapping[str, float]) -> dict[str, TrackScore]:
    """Average accuracy and score of each track, and of all tracks together.

    Args:
      suite: its tasks and anchors.
      accuracy: of each task, 0-1.

    Returns:
      by track; `all` is the mean over datasets of the mean over a dataset's tasks.
    """
    found = {}
    for track in [track.name for track in suite.tracks] + [ALL_TRACKS]:
        per_dataset = [dataset_values(suite, accuracy, dataset.name, track) for dataset in suite.datasets]
        means = np.mean(per_dataset, axis=0)
        found[track] = TrackScore(average=float(means[0]), score=float(means[1]))
    return found


def dataset_values(suite: Suite, accuracy: Mapping[str, float], dataset: str, track: str) -> tuple[float, float]:
    """Mean accuracy and mean score of a dataset's tasks.

    Args:
      suite: its tasks and anchors.
      accuracy: of each task, 0-1.
      dataset: name of the dataset.
      track: name of the track, or `all`.

    Returns:
      the two means.
    """
    tasks = tasks_of(suite, dataset, track)
    values = np.array([accuracy[task.name] for task in tasks])
    anchors = np.array([(task.lower, task.upper) for task in tasks])
    return float(values.mean()), float(scores_of(values, anchors[:, 0], anchors[:, 1]).mean())


def tasks_of(suite: Suite, dataset: str, track: str) -> list[Task]:
    """The tasks of a dataset under a track.

    Args:
      suite: which tasks there are.
      dataset: name of the dataset.
      track: name of the track, or `all`.

    Returns:
      the tasks, in the suite's order.
    """
    return [task for task in suite.tasks if task.dataset == dataset and track in (task.track, ALL_TRACKS)]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
