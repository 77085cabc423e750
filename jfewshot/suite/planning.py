"""From a suite and stores to cells, after checking that the stores hold the suite's clips and classes."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from jfewshot.cells.planning import Cell, numerics_version, plan_cells
from jfewshot.classifiers.specs import AUTO, ClassifierSpec, parse_classifier
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.store import Store
from jfewshot.suite.contribution import Contribution
from jfewshot.suite.definition import Suite, Task, Track


class Planned(NamedTuple):
    """A task for one encoder.

    Attributes:
      task: of the suite.
      encoder: name of the encoder.
      cell: what is evaluated.
      classes: digest of the classes that take part.
    """

    task: Task
    encoder: str
    cell: Cell
    classes: str

    @property
    def key(self) -> str:
        """Key of the cell's record."""
        return self.cell.key(self.cell.spec.strengths[0])


def protocol_of(track: Track, split: str | None) -> Protocol:
    """How a track's episodes are drawn.

    Args:
      track: of the suite.
      split: that the dataset's episodes are drawn from.
    """
    return Protocol(**msgspec.to_builtins(track.protocol), split=split)


def classifier_of(track: Track) -> ClassifierSpec:
    """A track's classifier, which has to be the one that was frozen.

    Args:
      track: of the suite.

    Raises:
      UserError: if this version of jfewshot means something else by the classifier's name.
    """
    spec = parse_classifier(track.classifier)
    kind = spec.classifier.strength
    auto = spec.strengths == (AUTO,)
    grid = kind.grid_version if auto and kind is not None else None
    rule = "auto" if auto else "none" if kind is None else "given"
    if (spec.identity(), rule, grid) != (track.settings, track.strength_rule, track.strength_grid):
        raise UserError(
            f"track '{track.name}': '{track.classifier}' is another classifier in this version of jfewshot "
            f"({spec.identity()}, strength {rule}, grid {grid}) than in the suite ({track.settings}, strength "
            f"{track.strength_rule}, grid {track.strength_grid}); use the version that the suite was made with"
        )
    return spec


def plan_tasks(suite: Suite, stores: Mapping[str, Mapping[str, Store]], datasets: Iterable[str]) -> list[Planned]:
    """All tasks of some datasets for all encoders, in the order in which they are best computed.

    Args:
      suite: which tasks there are.
      stores: by encoder and dataset.
      datasets: names of the datasets.

    Returns:
      the tasks with their cells.

    Raises:
      UserError: if a store holds other clips or classes than the suite's.
    """
    planned = []
    specs = {track.name: classifier_of(track) for track in suite.tracks}
    for dataset in datasets:
        for encoder, of_encoder in stores.items():
            store = of_encoder[dataset]
            for task in suite.tasks:
                if task.dataset != dataset:
                    continue
                track = suite.track(task.track)
                classes = check_clips(suite, task, store)
                (cell,) = plan_cells(
                    [store],
                    [protocol_of(track, suite.dataset(dataset).split)],
                    [specs[task.track]],
                    preprocessing=track.preprocessing,
                    views=[track.view],
                )
                planned.append(Planned(task, encoder, cell, classes))
    return planned


def other_numerics(one: Contribution, suite: Suite) -> list[str]:
    """Tracks of a contribution that were computed with another version of the evaluator's arithmetic than this one.

    Args:
      one: a contribution that is complete.
      suite: what it is to.

    Returns:
      a line for each track.
    """
    lines = []
    for track in suite.tracks:
        ours = numerics_version(track.settings["name"])
        others = sorted({one.tasks[task.name].numerics for task in suite.tasks if task.track == track.name} - {ours})
        if others:
            lines.append(
                f"{track.name}: computed with version {others[0]} of the evaluator's arithmetic, and this jfewshot has version "
                f"{ours}; accuracies may differ beyond rounding"
            )
    return lines


def check_clips(suite: Suite, task: Task, store: Store) -> str:
    """Check that a store holds the clips and classes of a task.

    Args:
      suite: of the task.
      task: what is to be evaluated.
      store: on what.

    Returns:
      digest of the classes that take part.

    Raises:
      UserError: names the first difference.
    """
    protocol = protocol_of(suite.track(task.track), suite.dataset(task.dataset).split)
    where = f"suite '{suite.name}', task '{task.name}': {store.path}"
    names = class_pool(store.clips, protocol, store.dataset).names.tolist()
    listed = suite.classes(task)
    if listed is not None and names != listed:
        missing, further = sorted(set(listed) - set(names)), sorted(set(names) - set(listed))
        what = f"lacks the class '{missing[0]}'" if missing else f"has the class '{further[0]}' too"
        raise UserError(
            f"{where} {what}, and has {len(names)} classes of at least {protocol.min_clips} clips where the suite lists "
            f"{len(listed)}; extract the dataset as its publisher ships it"
        )
    known = suite.digests[task.name].clip_table
    if known and store.clips.digest != known:
        raise UserError(
            f"{where} holds other clips than the suite's (clip table {store.clips.digest[:12]}…, expected {known[:12]}…); "
            "extract the dataset as its publisher ships it"
        )
    return sha256_of_json(names)
