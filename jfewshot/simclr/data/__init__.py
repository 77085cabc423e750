"""From a folder of speech to batches.

- `manifest`: the utterances, with their speakers and lengths
- `copies`: finds recordings with the same bytes as others, which are left out
- `record`: the utterances with which a run began, so that it can continue when files were lost
- `batches`: which utterances make up step n, and which piece of each. These are pure functions of seed and step, so a run
  continues exactly
- `labelled`: labelled recordings on which an encoder is measured while it trains
- `loader`: decodes utterances ahead of the device; `cache` keeps decoded utterances
"""

from jfewshot.simclr.data.batches import Batch, BatchPlan
from jfewshot.simclr.data.copies import find_copies, keep_copies, known_copies, without_copies
from jfewshot.simclr.data.loader import batches_from, load_batch
from jfewshot.simclr.data.manifest import Utterance, manifest_digest, read_utterances, split_validation
from jfewshot.simclr.data.record import as_begun, keep_utterances, known_utterances

__all__ = [
    "Batch",
    "BatchPlan",
    "Utterance",
    "as_begun",
    "batches_from",
    "find_copies",
    "keep_copies",
    "keep_utterances",
    "known_copies",
    "known_utterances",
    "load_batch",
    "manifest_digest",
    "read_utterances",
    "split_validation",
    "without_copies",
]
