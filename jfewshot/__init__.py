"""How good is this audio encoder with five labelled clips?

  evaluate      stores -> records of few-shot accuracy (api.py)
  create_store  your own arrays and labels -> a store (store/)
  open_store    a store from its folder

The rest by room: store/, episodes.py and drawing.py, gram.py, classifiers/, evaluator.py, cells.py, results.py, statistics/,
reporting/, simclr/. Nothing here imports torch, and stores are read without importing JAX.
"""

from typing import TYPE_CHECKING, Any

from jfewshot._version import __version__ as __version__

if TYPE_CHECKING:
    from jfewshot.api import evaluate
    from jfewshot.evaluator.devices import use_all_cores
    from jfewshot.store import create_store, open_store

__all__ = ["create_store", "evaluate", "open_store", "use_all_cores"]


def __getattr__(name: str) -> Any:
    # Lazily, so that reading a store needs NumPy alone and the command line can choose devices before JAX starts.
    if name == "evaluate":
        from jfewshot.api import evaluate

        return evaluate
    if name == "use_all_cores":
        from jfewshot.evaluator.devices import use_all_cores

        return use_all_cores
    if name in ("create_store", "open_store"):
        import jfewshot.store

        return getattr(jfewshot.store, name)
    raise AttributeError(f"module 'jfewshot' has no attribute '{name}'")
