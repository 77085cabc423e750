"""What an episode is (NumPy only), and how episodes are drawn (JAX).

- `protocol`: ways, shots, queries, seed: what is drawn and how it is scored
- `pool`: the classes and clips that episodes of a protocol are drawn from
- `sides`: which clips supports, or queries, are drawn from
- `share`: parts of a dataset without splits, for curves that end with all labels
- `separate`: the pools of a protocol whose supports and queries come from different clips
- `resolving`: how many "all queries" and "all classes" are
- `drawing`: drawing episodes on the device
- `shuffling`: the first few entries of random orders, by which classes and clips are drawn
- `group_aware`: drawing episodes in which no query shares a group with a support
- `proportions`: how many queries each class of an episode has, where these numbers differ
- `two_pools`: drawing episodes from separate pools
- `mteb_draws`: the experiments of mteb's audio classification
- `balance`: how often each class takes part, and what is said where that differs
"""

from typing import Any

from jfewshot import _moved


def __getattr__(name: str) -> Any:
    return _moved.old_name(__name__, name)
