"""Joint CTC/attention beam search (Watanabe et al., 2017), for a batch at once, in static shapes.

The score of a hypothesis is (1 - c) * attention + c * CTC prefix + l * language model + b * number of units; the first three are
natural logarithms of probabilities. Each step extends every hypothesis by every unit, keeps the best, and stores hypotheses that
end. The search stops when no open hypothesis can overtake the stored ones any more.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jfewshot.downstream.asr import ctc
from jfewshot.downstream.asr.ctc import NOTHING, POSSIBLE
from jfewshot.downstream.asr.settings import BeamConfig


class LanguageTable(NamedTuple):
    """An n-gram model over units as an automaton; see `language_model`."""

    log_probs: Float[Array | np.ndarray, "states n_units"]
    """Log-probability of each unit after each state; column 0 is the end of the transcript."""
    following: Int[Array | np.ndarray, "states n_units"]
    """State after each unit in each state. State 0 is the beginning."""


class Hypotheses(NamedTuple):
    """The best hypotheses, best first. Where there are fewer hypotheses, scores are below `ctc.POSSIBLE`."""

    units: Int[Array, "batch n_best longest"]
    n_units: Int[Array, "batch n_best"]
    scores: Float[Array, "batch n_best"]


class _Live(NamedTuple):
    place: Int[Array, ""]
    units: Int[Array, "batch beam longest"]
    last: Int[Array, "batch beam"]
    scores: Float[Array, "batch beam"]
    """The whole score, which includes the part of CTC."""
    others: Float[Array, "batch beam"]
    """The score without the part of CTC."""
    prefixes: Any
    cache: Any
    state: Any
    """State of the language model."""


def beam_search(
    log_probs: Float[Array, "batch frames n_units"],
    n_frames: Int[Array, "batch"],
    decoder: Any,
    seen: Any,
    table: LanguageTable | None,
    config: BeamConfig,
    longest: int,
) -> Hypotheses:
    """Search for the most probable transcripts of a batch of utterances. The caller jits this function.

    Args:
      log_probs: CTC's log-probabilities of the units in each frame.
      n_frames: number of true frames of each utterance.
      decoder: the attention decoder, with `step` and `empty_cache` as `Decoder` has them; None for CTC alone.
      seen: what the decoder's `look` returns for the frames; None for CTC alone.
      table: the language model; None for none.
      config: settings of the search; static.
      longest: largest number of units of a hypothesis; static.

    Returns:
      the best hypotheses of each utterance, best first.
    """
    batch, _, n_units = log_probs.shape
    beam, rows = config.size, jnp.arange(batch)[:, None]
    ctc_weight = config.ctc_weight if decoder is not None else 1.0
    log_probs = ctc.settled(log_probs, n_frames)
    n_candidates = n_units - 1 if ctc_weight == 1.0 else min(config.candidates, n_units - 1)

    def other_scores(live: _Live):
        """Scores of every next unit without the part of CTC."""
        scores, cache = jnp.zeros((batch, beam, n_units)), live.cache
        if decoder is not None and ctc_weight < 1.0:
            attention, cache = decoder.step(live.last, live.place, live.cache, seen, n_frames)
            scores = scores + (1.0 - ctc_weight) * attention
        if table is not None:
            scores = scores + config.lm_weight * table.log_probs[live.state]
        return live.others[..., None] + scores, cache

    def body(carry):
        live, done = carry
        others, cache = other_scores(live)
        ending = others[..., 0] + (ctc_weight * ctc.ended(live.prefixes) if ctc_weight > 0 else 0.0)
        done = _put_aside(done, live, jnp.where(live.scores > POSSIBLE, ending, NOTHING), rows)

        going = others[..., 1:] + config.unit_bonus
        units = jnp.broadcast_to(jnp.arange(1, n_units), going.shape)
        if n_candidates < n_units - 1 and ctc_weight > 0:
            going, units = jax.lax.top_k(going, n_candidates)
            units = units + 1
        scores = going
        if ctc_weight > 0:
            empty = live.place == 0
            scores = going + ctc_weight * ctc.extended_scores(log_probs, live.prefixes, live.last, empty, units)
        scores = jnp.where(live.scores[..., None] > POSSIBLE, scores, NOTHING)
        best, chosen = jax.lax.top_k(scores.reshape(batch, -1), beam)
        parent, at = chosen // scores.shape[2], chosen % scores.shape[2]
        unit = units[rows, parent, at]
        best = jnp.where(best > POSSIBLE, best, NOTHING)

        def of_parent(leaf):
            return leaf[rows, parent]

        prefixes = live.prefixes
        if ctc_weight > 0:
            mine = jax.tree.map(of_parent, prefixes)
            prefixes = ctc.extend(log_probs, mine, of_parent(live.last), live.place == 0, unit)
        written = of_parent(live.units).at[:, :, live.place].set(unit)
        return (
            _Live(
                live.place + 1, written, unit, best, going[rows, parent, at], prefixes,
                jax.tree.map(of_parent, cache),
                table.following[of_parent(live.state), unit] if table is not None else live.state,
            ),
            done,
        )  # fmt: skip

    def goes_on(carry):
        live, done = carry
        # Scores of open hypotheses only fall, except for the bonus: it may still add this much.
        slack = max(config.unit_bonus, 0.0) * (longest - live.place)
        could_win = jnp.max(live.scores, axis=1) + slack > done.scores[:, config.n_best - 1]
        return (live.place < longest) & jnp.any(could_win & (jnp.max(live.scores, axis=1) > POSSIBLE))

    zeros = jnp.zeros((batch, beam), jnp.int32)
    only_first = jnp.where(jnp.arange(beam) == 0, 0.0, NOTHING) + jnp.zeros((batch, 1))
    first = _Live(
        jnp.zeros((), jnp.int32), jnp.zeros((batch, beam, longest), jnp.int32), zeros, only_first,
        jnp.zeros((batch, beam)),
        ctc.no_units(log_probs, beam) if ctc_weight > 0 else (),
        decoder.empty_cache(batch, beam, longest) if decoder is not None and ctc_weight < 1.0 else (),
        zeros,
    )  # fmt: skip
    nobody = Hypotheses(first.units, zeros, jnp.full((batch, beam), NOTHING))
    live, done = jax.lax.while_loop(goes_on, body, (first, nobody))
    # Hypotheses of the largest length may still end here.
    others, _ = other_scores(live)
    ending = others[..., 0] + (ctc_weight * ctc.ended(live.prefixes) if ctc_weight > 0 else 0.0)
    done = _put_aside(done, live, jnp.where(live.scores > POSSIBLE, ending, NOTHING), rows)
    return Hypotheses(*(part[:, : config.n_best] for part in done))


def _put_aside(done: Hypotheses, live: _Live, ending: Float[Array, "batch beam"], rows) -> Hypotheses:
    """Keep the best of the hypotheses that have ended, in this step or before."""
    scores, place = jax.lax.top_k(jnp.concatenate([done.scores, ending], axis=1), done.scores.shape[1])
    units = jnp.concatenate([done.units, live.units], axis=1)[rows, place]
    lengths = jnp.concatenate([done.n_units, jnp.full_like(done.n_units, live.place)], axis=1)[rows, place]
    return Hypotheses(units, lengths, scores)


def searcher(build: Any, has_decoder: bool, config: BeamConfig):
    """Compile the search for the most probable transcripts.

    Args:
      build: from parameters to a `Recogniser`.
      has_decoder: whether the recogniser has an attention decoder.
      config: settings of the search; static.

    Returns:
      a function (params, frames, CTC's log-probabilities, n_frames, table, longest) -> hypotheses.
    """

    @functools.partial(jax.jit, static_argnames="longest")
    def search(params, frames, log_probs, n_frames, table: LanguageTable | None, longest: int) -> Hypotheses:
        decoder = build(params).decoder if has_decoder else None
        seen = None if decoder is None else decoder.look(frames)
        return beam_search(log_probs, n_frames, decoder, seen, table, config, longest)

    return search
