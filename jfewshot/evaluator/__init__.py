"""The evaluator: the only folder whose code handles batches, chunks, devices and the source of inner products.

- `evaluator`: embeddings, episodes and a classifier in, predictions out
- `solving`: solves the chunks of a run on the devices, one after the other
- `sources`: inner products, kept for the next call on the same view
- `parts`: a fusion's parts: the preprocessing of each, and sums of their inner products
- `chosen_weights`: weights of a fusion's parts, chosen in each episode by leave-one-out
- `drawer`: drawn episodes, kept for the next store of the same clips
- `gram`: inner products, looked up in one matrix, or multiplied episode by episode
- `lengths`: squared lengths of embeddings, for kernels
- `fused`: loops, compiled by Numba, that multiply rows of a large store without copying the store
- `looked_up`: one program that computes a block's rows, looks up its inner products and solves it
- `on_gpu`: decides whether the Pallas kernel solves a chunk on an NVIDIA GPU, and calls the kernel
- `kernel`: the Pallas kernel, in which one program looks up, solves and scores an episode of `logistic`
- `gathered`: a Pallas kernel that multiplies an episode's rows while it reads them
- `full_data`: training on all labels of unequal classes (NumPy only, float64)
- `exact_logistic`: logistic regression in float64, several problems at once (NumPy only)
- `answers`: collects the results of a call in host memory, and copies them from an accelerator
- `segments`: queries of several segments
- `scoring`: from the scores of queries to predictions and the scores that are kept
- `preprocessing`: the preprocessing of embeddings before inner products are computed (NumPy only)
- `whitening`: whitening by the covariance of background clips (NumPy only)
- `backgrounds`: chooses the clips from which a preprocessing's statistics come (NumPy only)
- `chunking`: chooses how many episodes are solved at once, within a memory budget
- `programs`: compiles functions and keeps the compiled programs
- `drawing_programs`: the compiled functions that draw episodes and find the rows of their embeddings
- `solver_programs`: the compiled functions that train classifiers and score queries
- `compile_cache`: XLA's compiled code on disk, for the next process
- `devices`: the devices among which episodes are divided
"""

from typing import Any

from jfewshot import _moved


def __getattr__(name: str) -> Any:
    return _moved.old_name(__name__, name)
