"""CTC in decoding: greedy decoding, and scores of beginnings of transcripts that grow unit by unit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jfewshot.downstream.asr.units import BLANK

# NOTHING stands for the logarithm of 0. It is finite, so that a difference of two such values is finite too. A value below
# POSSIBLE contains NOTHING as a summand.
NOTHING, POSSIBLE = -1e30, -1e20


def greedy(log_probs: Float[Array, "batch frames n_units"], n_frames: Int[Array, "batch"]) -> list[list[int]]:
    """Take the most probable unit of every frame, and remove repetitions and blanks."""
    best, counts = jax.device_get((_best(log_probs), n_frames))
    found = []
    for row, count in zip(best, counts, strict=True):
        row = row[:count]
        starts = np.concatenate([[True], row[1:] != row[:-1]]) if count else np.zeros(0, bool)
        found.append(row[starts & (row != BLANK)].tolist())
    return found


@jax.jit
def _best(log_probs):
    return jnp.argmax(log_probs, axis=-1).astype(jnp.int32)


class Prefixes(NamedTuple):
    """For each hypothesis, log-probabilities of all alignments of its units to the first t + 1 frames, for each t.

    Attributes:
      unit: alignments that end in the last unit.
      blank: alignments that end in a blank.
    """

    unit: Float[Array, "batch beam frames"]
    blank: Float[Array, "batch beam frames"]


def settled(log_probs: Float[Array, "batch frames n_units"], n_frames: Int[Array, "batch"]):
    """Make every frame past an utterance's end a blank with probability 1, which changes no score."""
    is_frame = (jnp.arange(log_probs.shape[1]) < n_frames[:, None])[..., None]
    certain = jnp.where(jnp.arange(log_probs.shape[2]) == BLANK, 0.0, NOTHING)
    return jnp.where(is_frame, log_probs, certain)


def no_units(log_probs: Float[Array, "batch frames n_units"], beam: int) -> Prefixes:
    """Make hypotheses without units."""
    blanks = jnp.cumsum(log_probs[:, :, BLANK], axis=1)
    shape = (blanks.shape[0], beam, blanks.shape[1])
    return Prefixes(jnp.full(shape, NOTHING), jnp.broadcast_to(blanks[:, None], shape))


def _before(prefixes: Prefixes, is_empty: Bool[Array, ""]) -> tuple[Array, Array]:
    """Log-probabilities of all alignments to the frames before each frame, and of those alignments that end in a blank."""
    any_end = jnp.logaddexp(prefixes.unit, prefixes.blank)
    first = jnp.full((*any_end.shape[:2], 1), jnp.where(is_empty, 0.0, NOTHING))
    shifted = [jnp.concatenate([first, part[..., :-1]], axis=-1) for part in (any_end, prefixes.blank)]
    return shifted[0], shifted[1]


def ended(prefixes: Prefixes) -> Float[Array, "batch beam"]:
    """Log-probability that a hypothesis is the whole transcript."""
    return jnp.logaddexp(prefixes.unit[..., -1], prefixes.blank[..., -1])


def extended_scores(
    log_probs: Float[Array, "batch frames n_units"],
    prefixes: Prefixes,
    last: Int[Array, "batch beam"],
    is_empty: Bool[Array, ""],
    candidates: Int[Array, "batch beam n_candidates"],
) -> Float[Array, "batch beam n_candidates"]:
    """Compute the log-probability that a transcript begins with a hypothesis and one more unit.

    The unit appears first at some frame t: Σ_t p(alignments of the hypothesis to the frames before t) p(unit at t). If
    the unit equals the last unit of the hypothesis, a blank must lie between the two (Graves, 2012, 7.5; Watanabe et al.,
    2017, algorithm 2).

    Args:
      log_probs: log-probabilities of the units in each frame, from `settled`.
      prefixes: the hypotheses.
      last: last unit of each hypothesis.
      is_empty: whether the hypotheses have no units yet.
      candidates: units to extend each hypothesis with.

    Returns:
      natural logarithms, one for each hypothesis and candidate.
    """
    any_end, blank_end = _before(prefixes, is_empty)
    # Frames are the last axis, so that XLA fuses the sum over frames and never stores (batch, beam, candidates, frames).
    by_unit = jnp.swapaxes(log_probs, 1, 2)
    at = jax.vmap(lambda table, chosen: table[chosen])(by_unit, candidates)
    same = (candidates == last[..., None])[..., None]
    return jax.nn.logsumexp(jnp.where(same, blank_end[:, :, None], any_end[:, :, None]) + at, axis=-1)


def extend(
    log_probs: Float[Array, "batch frames n_units"],
    prefixes: Prefixes,
    last: Int[Array, "batch beam"],
    is_empty: Bool[Array, ""],
    units: Int[Array, "batch beam"],
) -> Prefixes:
    """Extend each hypothesis by one unit.

    r_n[t] = (r_n[t-1] + before[t]) p_t(unit),  r_b[t] = (r_b[t-1] + r_n[t-1]) p_t(blank), in logarithms.

    Args:
      log_probs: log-probabilities of the units in each frame, from `settled`.
      prefixes: the hypotheses.
      last: last unit of each hypothesis.
      is_empty: whether the hypotheses have no units yet.
      units: unit to extend each hypothesis with.

    Returns:
      the extended hypotheses.
    """
    any_end, blank_end = _before(prefixes, is_empty)
    before = jnp.where((units == last)[..., None], blank_end, any_end)
    at = jax.vmap(lambda table, chosen: table[:, chosen])(log_probs, units)

    def step(carry, given):
        unit, blank = carry
        before, p_unit, p_blank = given
        new = jnp.logaddexp(unit, before) + p_unit, jnp.logaddexp(blank, unit) + p_blank
        return new, new

    # The scan runs over frames, which come first: (frames, batch, beam).
    given = jnp.moveaxis(before, 2, 0), jnp.moveaxis(at, 1, 0), jnp.swapaxes(log_probs[:, :, BLANK], 0, 1)[..., None]
    nothing = jnp.full(units.shape, NOTHING)
    _, (unit, blank) = jax.lax.scan(step, (nothing, nothing), given, unroll=4)
    return Prefixes(jnp.moveaxis(unit, 0, 2), jnp.moveaxis(blank, 0, 2))
