"""How good is this audio encoder with five labelled clips?

- `evaluate`: stores -> records of few-shot accuracy (`api`)
- `evaluate_arrays`: embeddings in memory -> few-shot accuracy, for instance in a training loop (`api`)
- `create_store`: your own arrays and labels -> a store (`store`)
- `open_store`: a store from its folder
- `use_all_cores`: a JAX device per CPU core; call it before JAX is first used

The rooms, those that others build on first:

- `_version`: the version of this package and of those that a record was made with
- `_moved`: old names of modules, for one more version
- `errors`: the error that a user can mend
- `printable`: names and numbers as a person may see them
- `threads`: NumPy on all cores
- `randomness`: random words that depend on their purpose alone
- `sharding`: `--shard 3/8`
- `ray_workers`: processes on the machines of a Ray cluster
- `files`: written whole or not at all, found, digested, read as tables
- `commandline`: how every command parses its options, logs and ends
- `audio`: decoded, mono, resampled, cut into segments
- `store`: the embedding store (NumPy only)
- `profiling`: where the time of a run goes
- `classifiers`: one file each
- `episodes`: what an episode is, and how episodes are drawn
- `evaluator`: thousands of episodes at once
- `results`: one record per evaluated cell
- `statistics`: intervals, paired tests, ranks, correlations
- `reporting`: tables, figures, one HTML page
- `cells`: which cells a run has, and computing them
- `heads`: one classifier fitted on all labelled clips, and the accuracy to expect of it
- `options`, `run`: `python -m jfewshot.run`
- `report`: `python -m jfewshot.report`
- `api`: the same from Python
- `shift`: `python -m jfewshot.shift`, supports of the same speaker or site and of others
- `labelling`: `python -m jfewshot.labelling`, which clips to label on a budget
- `suite`: `python -m jfewshot.suite`, frozen lists of tasks, one score, a leaderboard
- `training`: what every training run shares
- `simclr`: Speech SimCLR: features, augmentation, encoder, objectives, pretraining, export
- `downstream`: emotion recognition and speech recognition on an encoder's frames

Nothing here imports torch, and stores are read without importing JAX. `pyproject.toml` says which room may import which.
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
