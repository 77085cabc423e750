"""Few-shot evaluation of frozen audio encoders: how accurate is an encoder with five labelled clips per class?

- `evaluate`: stores -> records of few-shot accuracy (`api`)
- `evaluate_arrays`: embeddings in memory -> few-shot accuracy, for instance in a training loop (`api`)
- `create_store`: your own arrays and labels -> a store (`store`)
- `open_store`: a store from its folder
- `use_all_cores`: a JAX device per CPU core; call it before JAX is first used

The folders and files, from the lowest layer to the highest:

- `_version`: the version of this package and of those that a record was made with
- `_moved`: old names of modules, for one more version
- `errors`: the error that a user can correct
- `printable`: formats names and numbers for people
- `threads`: NumPy on all cores
- `randomness`: random words that depend only on their purpose
- `sharding`: `--shard 3/8`
- `ray_workers`: processes on the machines of a Ray cluster
- `files`: writes files completely or not at all, finds and digests them, reads tables
- `commandline`: how every command parses its options, logs and ends
- `audio`: decodes audio, mixes to mono, resamples, cuts into segments
- `store`: the embedding store (NumPy only)
- `profiling`: measures the time of the steps of a run
- `classifiers`: the classifiers, one file for each
- `episodes`: the definition of an episode, and the drawing of episodes
- `evaluator`: evaluates thousands of episodes at once
- `results`: one record per evaluated cell
- `statistics`: intervals, paired tests, ranks, correlations
- `reporting`: tables, figures, one HTML page
- `cells`: plans and computes the cells of a run
- `heads`: one classifier fitted on all labelled clips, and its expected accuracy
- `options`, `run`: `python -m jfewshot.run`
- `report`: `python -m jfewshot.report`
- `api`: the same from Python
- `shift`: `python -m jfewshot.shift`, supports of the same speaker or site and of others
- `labelling`: `python -m jfewshot.labelling`, which clips to label on a budget
- `suite`: `python -m jfewshot.suite`, frozen lists of tasks, one score, a leaderboard
- `training`: the common parts of all training runs
- `simclr`: Speech SimCLR: features, augmentation, encoder, objectives, pretraining, export
- `downstream`: emotion recognition and speech recognition on an encoder's frames

This package never imports torch, and reads stores without importing JAX. `pyproject.toml` lists which folder may import
which.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jfewshot import _moved
from jfewshot._version import __version__ as __version__

if TYPE_CHECKING:
    from jfewshot.api import evaluate, evaluate_arrays
    from jfewshot.evaluator.devices import use_all_cores
    from jfewshot.store import create_store, open_store

    apply_head: Any
    fit_head: Any
    try_folder: Any

_moved.keep_old_names(_moved.MODULES)

__all__ = [
    "apply_head",
    "create_store",
    "evaluate",
    "evaluate_arrays",
    "fit_head",
    "open_store",
    "try_folder",
    "use_all_cores",
]


def __getattr__(name: str) -> Any:
    # Lazily, so that reading a store needs NumPy alone and the command line can choose devices before JAX starts.
    if name in ("evaluate", "evaluate_arrays"):
        import jfewshot.api

        return getattr(jfewshot.api, name)
    if name == "use_all_cores":
        from jfewshot.evaluator.devices import use_all_cores

        return use_all_cores
    if name in ("apply_head", "fit_head", "try_folder"):
        # By name: nothing in this package imports `extraction`.
        return getattr(importlib.import_module("extraction"), name)
    if name in ("create_store", "open_store"):
        import jfewshot.store

        return getattr(jfewshot.store, name)
    raise AttributeError(f"module 'jfewshot' has no attribute '{name}'")
