"""The evaluator: the only room that knows of batches, chunks, devices, and of where inner products come from.

- `evaluator`: embeddings, episodes and a classifier in, predictions out
- `solving`: a run's chunks, one after the other through the devices
- `sources`: inner products, kept for the next call on the same view
- `drawer`: drawn episodes, kept for the next store of the same clips
- `gram`: inner products, looked up in one matrix, or multiplied episode by episode
- `lengths`: squared lengths of embeddings, for kernels
- `fused`: the loops that multiply rows of a large store where they lie, compiled by Numba
- `looked_up`: rows, looked up inner products and the solution of a block in one program
- `on_gpu`: whether a kernel solves a chunk on an NVIDIA GPU, and the program around it
- `kernel`: the kernel: one program looks up, solves and scores an episode of `logistic`
- `gathered`: a kernel that multiplies an episode's rows as it reads them
- `full_data`: training on all labels of unequal classes (NumPy only, float64)
- `exact_logistic`: logistic regression in float64, several problems at once (NumPy only)
- `answers`: a call's answers in host memory, and how an accelerator's come there
- `segments`: queries of several segments
- `scoring`: from the scores of queries to predictions and the scores that are kept
- `preprocessing`: what is done to embeddings first (NumPy only)
- `whitening`: what is done with the covariance of background clips (NumPy only)
- `backgrounds`: which clips a preprocessing's statistics come from (NumPy only)
- `chunking`: how many episodes at once a memory budget allows
- `programs`: the compiled functions
- `compile_cache`: XLA's compiled code on disk, for the next process
- `devices`: the devices that episodes are spread over
"""

from typing import Any

from jfewshot import _moved


def __getattr__(name: str) -> Any:
    return _moved.old_name(__name__, name)
