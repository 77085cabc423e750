"""Small suites, and contributions with random answers, for tests that evaluate nothing."""

import json

import msgspec
import numpy as np

from jfewshot.suite.contribution import Encoder, contribution_of, task_result
from jfewshot.suite.definition import parse_suite
from jfewshot.suite.freezing import suite_text, tracks

SHA = {what: str(number) * 64 for number, what in enumerate(("clip_table", "classes", "draws", "embeddings"))}


def small_suite(datasets=("birds", "words"), n_episodes=40, families=("other sounds", "speech"), version=1, **changes):
    """A suite of random stores' datasets with two tracks; `changes` replaces fields of its file."""
    chosen = [
        {
            **msgspec.to_builtins(track),
            "protocol": {**msgspec.to_builtins(track.protocol), "n_episodes": n_episodes, "n_way": 3},
            "classifier": "centroid",
            "settings": {"name": "centroid", "metric": "euclidean"},
            "strength_rule": "none",
            "strength_grid": None,
        }
        for track in (tracks()[0], tracks()[2])
    ]
    value = {
        "format": "jfewshot-suite",
        "format_version": 1,
        "name": "small",
        "version": version,
        "title": "A small suite",
        "description": "For tests.",
        "tracks": chosen,
        "datasets": [
            {
                "name": name,
                "title": name.title(),
                "family": families[number % len(families)],
                "split": None,
                "load": name,
                "folder": name,
                "classes": {"1": None, "5": None},
            }
            for number, name in enumerate(datasets)
        ],
        "tasks": [
            {
                "name": f"{name}-{track['name']}",
                "dataset": name,
                "track": track["name"],
                "lower": 1 / 3,
                "upper": 0.9,
                "upper_of": "a number for tests",
            }
            for name in datasets
            for track in chosen
        ],
    }
    value["digests"] = {task["name"]: {"clip_table": "", "classes": "", "draws": ""} for task in value["tasks"]}
    return parse_suite(json.dumps(value | changes).encode(), "small.json")


def contribution(suite, name="alpha", skill=0.5, seed=0, title=None, **facts):
    """A contribution whose answers are right with a probability; `facts` replaces digests and counts of every task."""
    rng = np.random.default_rng([seed, len(name), int(1000 * skill)])
    tasks = {}
    for task in suite.tasks:
        protocol = suite.track(task.track).protocol
        queries = protocol.n_way * protocol.n_query
        right = rng.binomial(queries, skill, protocol.n_episodes)
        known = {**SHA, "numerics": 2, "n_classes": 5, "n_clips": 40, "n_segments": 60} | facts
        tasks[task.name] = task_result(known, np.bincount(right, minlength=queries + 1).tolist())
    encoder = Encoder(name, title, "revision 1", 1000)
    return contribution_of(suite, encoder, {"jfewshot": "0.1.0"}, tasks)


__all__ = ["SHA", "contribution", "small_suite", "suite_text"]
