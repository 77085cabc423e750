"""From a folder of speech to batches.

- `manifest`: which utterances there are, who speaks, how long
- `copies`: recordings with the same bytes as others, which are left out
- `record`: the utterances that a run began with, so that it can continue when the data lost files
- `batches`: which of them make up step n, and which piece of each: pure functions of seed and step, so a run
  continues exactly
- `labelled`: labelled recordings on which an encoder is measured while it trains
- `loader`: decoding, ahead of the device; `cache` keeps what was decoded
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
