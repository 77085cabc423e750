"""Error rates, computed with jiwer, and their intervals over utterances."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jfewshot.downstream.asr.units import Units
from jfewshot.errors import UserError

N_RESAMPLES = 2000
_AT_ONCE = 200


@dataclasses.dataclass(frozen=True)
class ErrorCounts:
    """The errors of each utterance, and the length of its reference.

    Attributes:
      metric: `WER`, `CER` or `PER`.
      errors: number of substitutions, deletions and insertions in each utterance.
      lengths: number of words, characters or phones in each reference.
    """

    metric: str
    errors: Int[np.ndarray, " n"]
    lengths: Int[np.ndarray, " n"]

    @property
    def rate(self) -> float:
        """Number of all errors divided by the length of all references; may exceed 1."""
        return float(self.errors.sum() / self.lengths.sum())


def metrics_of(units: Units) -> tuple[str, ...]:
    """The metrics that are reported for these units; the first one chooses checkpoints."""
    return {"characters": ("WER", "CER"), "pieces": ("WER", "CER"), "words": ("WER",), "phones": ("PER",)}[units.kind]


def count_errors(metric: str, references: Sequence[str], hypotheses: Sequence[str]) -> ErrorCounts:
    """Count the errors of each utterance by the alignment with the fewest errors.

    Args:
      metric: WER and PER count the words between spaces, CER counts characters, spaces included.
      references: what was said in each utterance.
      hypotheses: what was recognised in each utterance.

    Returns:
      errors and reference lengths of each utterance.
    """
    jiwer = _jiwer()
    process = jiwer.process_characters if metric == "CER" else jiwer.process_words
    found = process(list(references), list(hypotheses))
    errors = [sum(_size(chunk) for chunk in chunks if chunk.type != "equal") for chunks in found.alignments]
    lengths = [len(reference) for reference in found.references]
    counts = ErrorCounts(metric, np.array(errors, np.int64), np.array(lengths, np.int64))
    assert counts.errors.sum() == found.substitutions + found.deletions + found.insertions
    return counts


def _size(chunk: Any) -> int:
    return max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)


def _jiwer() -> Any:
    try:
        import jiwer
    except ImportError:
        raise UserError("error rates need the package jiwer: pip install 'jfewshot[asr]'") from None
    return jiwer


def resampled_rates(
    errors: Float[np.ndarray, "systems n"], lengths: Int[np.ndarray, " n"], seed: int = 0, n: int = N_RESAMPLES
) -> Float[np.ndarray, "systems resamples"]:
    """Error rates of utterances drawn with replacement (the bootstrap of Bisani and Ney, 2004).

    All systems get the same draws, so that differences between systems are paired by utterance.

    Args:
      errors: errors of each system in each utterance, or their mean over seeds.
      lengths: length of each utterance's reference.
      seed: seed of the draws.
      n: number of draws.

    Returns:
      the error rate of each system in each draw.
    """
    rng, parts = np.random.default_rng([seed, 8]), []
    uniform = np.full(len(lengths), 1 / len(lengths))
    for start in range(0, n, _AT_ONCE):
        times = rng.multinomial(len(lengths), uniform, size=min(_AT_ONCE, n - start)).astype(np.float64)
        parts.append((errors @ times.T) / (lengths @ times.T))
    return np.concatenate(parts, axis=1)


def interval(rates: Float[np.ndarray, " resamples"]) -> tuple[float, float]:
    """The middle 95% of resampled rates (or of their differences)."""
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)
