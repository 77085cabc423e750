"""When the embeddings of a training have collapsed, and in which way."""

# Shares of the highest spread so far, and of the untrained encoder's effective rank. docs/pretraining.md has what trainings that
# learn and trainings that collapse measured.
_SPREAD = 0.01
_RANK = 0.1
_LOWEST_RANK = 2.0


def name_collapse(spread: float, effective_rank: float, highest_spread: float, rank_before: float) -> str | None:
    """Name a collapse by comparison with earlier measurements of the run.

    Args:
      spread: of the embeddings now (`variance.spread`).
      effective_rank: of the embeddings now (`jfewshot.store.diagnostics.spectrum.effective_rank`).
      highest_spread: so far in the run.
      rank_before: effective rank of the untrained encoder's embeddings.

    Returns:
      `complete` where all recordings have nearly the same embedding: their spread is below a hundredth of the highest so far.
      `dimensional` where embeddings differ in hardly more than a direction: their effective rank is below 2, or below a tenth of
      the untrained encoder's. None otherwise.
    """
    if spread < _SPREAD * highest_spread or spread == 0:
        return "complete"
    if effective_rank < max(_RANK * rank_before, min(_LOWEST_RANK, rank_before)):
        return "dimensional"
    return None
