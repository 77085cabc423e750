"""The joint loss of CTC and attention, and the log-probabilities from which it is computed."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from jfewshot.downstream.asr.model import Recogniser
from jfewshot.downstream.asr.units import BLANK


class LogProbs(NamedTuple):
    """Natural logarithms of the probability of each utterance's whole transcript."""

    ctc: Float[Array, "batch"]
    attention: Float[Array, "batch"]
    smoothed: Float[Array, "batch"]
    """Negative cross-entropy of the decoder with smoothed targets."""
    is_possible: Bool[Array, "batch"]
    """Whether there are enough frames for CTC; otherwise `ctc` has no meaning."""


def transcript_log_probs(
    model: Recogniser,
    frames: Float[Array, "batch frames width"],
    n_frames: Int[Array, "batch"],
    units: Int[Array, "batch longest"],
    n_units: Int[Array, "batch"],
    label_smoothing: float = 0.0,
    keys: Key[Array, "batch"] | None = None,
) -> LogProbs:
    """Compute how probable transcripts are, by CTC and by the attention decoder.

    Args:
      model: the recogniser.
      frames: frames from the model's `encode`.
      n_frames: number of true frames of each utterance, from the model's `encode`.
      units: units of each transcript; values past its end have no influence.
      n_units: number of units of each transcript.
      label_smoothing: share of the target that is distributed evenly over all units, 0-1.
      keys: one random key per utterance, for the decoder's dropout; None switches dropout off.

    Returns:
      log-probabilities of each utterance's whole transcript; those of the decoder are 0 for a model without one.
    """
    past_end = (jnp.arange(units.shape[1]) >= n_units[:, None]).astype(jnp.float32)
    no_frame = (jnp.arange(frames.shape[1]) >= n_frames[:, None]).astype(jnp.float32)
    ctc = -optax.ctc_loss(model.ctc_logits(frames), no_frame, units, past_end, blank_id=BLANK)
    is_possible = n_frames >= frames_needed(units, n_units)
    nothing = jnp.zeros_like(ctc)
    if not model.has_decoder:
        return LogProbs(ctc, nothing, nothing, is_possible)
    logits = model.decoder(units, frames, n_frames, keys)
    # The targets are the units and then the end, which is number 0.
    targets = jnp.where(jnp.arange(units.shape[1] + 1) < n_units[:, None], jnp.pad(units, ((0, 0), (0, 1))), BLANK)
    counts = jnp.arange(targets.shape[1]) <= n_units[:, None]
    log_probs = jax.nn.log_softmax(logits)
    exact = jnp.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0]
    smooth = optax.smooth_labels(jax.nn.one_hot(targets, logits.shape[-1]), label_smoothing)
    mixed = jnp.sum(smooth * log_probs, axis=-1)
    return LogProbs(
        ctc, jnp.sum(jnp.where(counts, exact, 0.0), axis=1), jnp.sum(jnp.where(counts, mixed, 0.0), axis=1), is_possible
    )


def frames_needed(units: Int[Array, "batch longest"], n_units: Int[Array, "batch"]) -> Int[Array, "batch"]:
    """Smallest number of frames that CTC needs: one for each unit, and one for a blank between equal neighbours."""
    pairs = jnp.arange(1, units.shape[1]) < n_units[:, None]
    return n_units + jnp.sum((units[:, 1:] == units[:, :-1]) & pairs, axis=1)


def joint_loss(found: LogProbs, n_units: Int[Array, "batch"], ctc_weight: float) -> tuple[Array, dict[str, Array]]:
    """ctc_weight * CTC + (1 - ctc_weight) * cross-entropy, divided by the number of units in the batch.

    Utterances with too few frames for CTC (augmentation can make a fast speaker too fast) are counted and left out of the CTC
    part.

    Args:
      found: log-probabilities of the transcripts, from `transcript_log_probs`.
      n_units: number of units of each transcript; 0 for empty rows.
      ctc_weight: weight of CTC, 0-1.

    Returns:
      the loss, and metrics by name.
    """
    total = jnp.maximum(jnp.sum(n_units), 1).astype(jnp.float32)
    ctc = -jnp.sum(jnp.where(found.is_possible, found.ctc, 0.0)) / total
    attention = -jnp.sum(found.smoothed) / total
    loss = ctc_weight * ctc + (1.0 - ctc_weight) * attention
    too_short = jnp.sum(~found.is_possible & (n_units > 0)).astype(jnp.float32)
    return loss, {"loss": loss, "ctc": ctc, "attention": attention, "too_short": too_short}
