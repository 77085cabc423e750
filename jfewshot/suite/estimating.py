"""How long the evaluation of a suite takes on this machine, and how much disk its results need."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jfewshot.cells.computing import missing_of
from jfewshot.cells.sizes import bytes_at_most, readable
from jfewshot.results import ResultFolder
from jfewshot.suite.definition import Suite, Track
from jfewshot.suite.embeddings import Found
from jfewshot.suite.places import RESULTS
from jfewshot.suite.planning import plan_tasks

_PROBE_EPISODES = 2000
_PROBE_DIM = 256


def estimate_evaluation(suite: Suite, found: Found, datasets: Sequence[str], out: Path) -> str:
    """Say how many cells are missing, how long they take, and how much disk their results need.

    A track's rate is measured on random embeddings of this machine's size of episodes. Clips of several segments take longer.

    Args:
      suite: which tasks there are.
      found: the stores that are there, and those that are missing.
      datasets: names of the datasets.
      out: folder of the run.

    Returns:
      a few lines.
    """
    here = {
        name: {one: store for one, store in stores.items() if one in datasets} for name, stores in found.stores.items()
    }
    planned = []
    for name, stores in here.items():
        planned += plan_tasks(suite, {name: stores}, [one for one in datasets if one in stores])
    with ResultFolder(out / RESULTS) as folder:
        to_do = [one for one in planned if missing_of(one.cell, folder)]
    of_missing = sum(task.dataset in names for names in found.missing.values() for task in suite.tasks)
    lines = [f"{len(to_do) + of_missing} of {len(planned) + of_missing} cells have to be evaluated."]
    if to_do:
        disk = readable(bytes_at_most([one.cell for one in to_do], "predictions"))
        lines.append(f"The results of the {len(to_do)} cells whose stores are there take at most {disk}.")
    seconds = 0.0
    for track in suite.tracks:
        number = sum(one.task.track == track.name for one in to_do)
        number += sum(
            task.track == track.name and task.dataset in names
            for names in found.missing.values()
            for task in suite.tasks
        )
        if number:
            rate = episodes_per_second(track)
            seconds += number * track.protocol.n_episodes / rate
            lines.append(f"{track.title}: {rate:,.0f} episodes per second here.")
    if seconds:
        lines.append(f"Evaluating takes about {max(1, round(seconds)):,} s, and some seconds for compiling.")
    return "\n".join(lines) + "\n"


def episodes_per_second(track: Track) -> float:
    """Measure how many episodes of a track this machine solves per second, compilation apart.

    Args:
      track: its protocol and classifier.
    """
    from jfewshot.api import evaluate_arrays

    protocol = track.protocol
    per_class = max(protocol.min_clips, protocol.k_shot + protocol.n_query)
    n_classes = 2 * protocol.n_way
    embeddings = np.random.default_rng(0).normal(size=(n_classes * per_class, _PROBE_DIM)).astype(np.float32)
    (score,) = evaluate_arrays(
        embeddings,
        np.repeat([f"class {number}" for number in range(n_classes)], per_class),
        classifiers=track.classifier,
        ways=protocol.n_way,
        shots=protocol.k_shot,
        n_query=protocol.n_query,
        n_episodes=min(_PROBE_EPISODES, protocol.n_episodes),
        preprocessing=track.preprocessing,
    )
    return float(score["timing"]["episodes_per_s"])
