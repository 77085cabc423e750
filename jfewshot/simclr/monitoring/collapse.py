"""Decides whether the embeddings of a training have collapsed, and in which way."""

# Shares of the highest spread so far, and of the effective rank of the untrained encoder. docs/pretraining.md has measurements of
# trainings that learn and of trainings that collapse.
_SPREAD = 0.01
_RANK = 0.1
_LOWEST_RANK = 2.0


def name_collapse(spread: float, effective_rank: float, highest_spread: float, rank_before: float) -> str | None:
    """Name a collapse by comparison with earlier measurements of the run.

    Args:
      spread: spread of the embeddings now (`variance.spread`).
      effective_rank: effective rank of the embeddings now (`jfewshot.store.diagnostics.spectrum.effective_rank`).
      highest_spread: highest spread so far in the run.
      rank_before: effective rank of the embeddings of the untrained encoder.

    Returns:
      `complete` if all recordings have nearly the same embedding: the spread is below a hundredth of the highest so far.
      `dimensional` if embeddings differ in hardly more than one direction: the effective rank is below 2, or below a tenth of
      that of the untrained encoder. None otherwise.
    """
    if spread < _SPREAD * highest_spread or spread == 0:
        return "complete"
    if effective_rank < max(_RANK * rank_before, min(_LOWEST_RANK, rank_before)):
        return "dimensional"
    return None
