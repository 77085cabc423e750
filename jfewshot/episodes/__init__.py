"""The definition of an episode (NumPy only), and the drawing of episodes (JAX).

- `protocol`: the settings of episodes: ways, shots, queries, seed, and how queries are scored
- `pool`: the classes and clips from which the episodes of a protocol are drawn
- `sides`: the clips from which supports, or queries, are drawn
- `share`: parts of a dataset without splits, for curves that end with all labels
- `separate`: the pools of a protocol whose supports and queries come from different clips
- `resolving`: replaces "all queries" and "all classes" by numbers
- `drawing`: drawing episodes on the device
- `shuffling`: the first few entries of random orders, by which classes and clips are drawn
- `group_aware`: drawing episodes in which no query shares a group with a support
- `proportions`: different numbers of queries for the classes of an episode
- `two_pools`: drawing episodes from separate pools
- `mteb_draws`: the experiments of mteb's audio classification
- `balance`: how often each class takes part, and a warning if classes take part unequally often
"""

from typing import Any

from jfewshot import _moved


def __getattr__(name: str) -> Any:
    return _moved.old_name(__name__, name)
