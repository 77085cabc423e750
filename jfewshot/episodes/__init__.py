"""What an episode is (NumPy only), and how episodes are drawn (JAX).

- `protocol`: ways, shots, queries, seed: what is drawn and how it is scored
- `pool`: the classes and clips that episodes of a protocol are drawn from
- `drawing`: drawing episodes on the device
"""

from typing import Any

from jfewshot import _moved


def __getattr__(name: str) -> Any:
    return _moved.old_name(__name__, name)
