"""CTC: against PyTorch's, and against all alignments written out."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jfewshot.downstream.asr import ctc


def collapse(path):
    return tuple(unit for unit, _ in itertools.groupby(path) if unit)


def alignments(log_probs):
    """Log-probability of every transcript: all paths, summed. log_probs: (frames, units)."""
    total = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        value = sum(log_probs[t, unit] for t, unit in enumerate(path))
        total[collapse(path)] = np.logaddexp(total.get(collapse(path), -np.inf), value)
    return total


def draw(seed, batch=2, frames=5, units=3, scale=2.0):
    logits = scale * np.random.default_rng(seed).standard_normal((batch, frames, units))
    return np.asarray(jax.nn.log_softmax(logits), np.float32)


extend, extended_scores = jax.jit(ctc.extend), jax.jit(ctc.extended_scores)


def prefixes_of(log_probs, n_frames, units):
    """Our incremental state after some units, and the score of each on the way."""
    held = ctc.settled(jnp.asarray(log_probs), jnp.asarray(n_frames))
    batch = len(n_frames)
    state, last, scores = ctc.no_units(held, 1), jnp.zeros((batch, 1), jnp.int32), []
    for place, unit in enumerate(units):
        chosen = jnp.full((batch, 1), int(unit))
        scores.append(extended_scores(held, state, last, jnp.asarray(place == 0), chosen[..., None])[:, 0, 0])
        state, last = extend(held, state, last, jnp.asarray(place == 0), chosen), chosen
    return np.array(scores), np.asarray(ctc.ended(state))[:, 0]


@pytest.mark.parametrize("units", [(), (1,), (2, 1), (1, 1), (1, 2, 1), (2, 2, 2)])
def test_prefix_scores_are_sums_over_all_alignments(units):
    n_frames = [5, 4]
    log_probs = draw(0)
    scores, whole = prefixes_of(log_probs, n_frames, units)
    for row, count in enumerate(n_frames):
        total = alignments(log_probs[row, :count])
        assert whole[row] == pytest.approx(total.get(units, -np.inf), abs=2e-5) or units not in total
        for size in range(1, len(units) + 1):
            begins = [value for text, value in total.items() if text[:size] == units[:size]]
            if begins:
                assert scores[size - 1, row] == pytest.approx(np.logaddexp.reduce(begins), abs=2e-5)


def test_what_cannot_be_aligned_is_impossible():
    # Three equal units need five frames.
    _, whole = prefixes_of(draw(1), [5, 4], (1, 1, 1))
    assert whole[0] > ctc.POSSIBLE > whole[1]


def test_the_loss_agrees_with_pytorch_s():
    torch = pytest.importorskip("torch")

    rng = np.random.default_rng(2)
    n_frames, n_units = np.array([30, 21, 12]), np.array([7, 9, 1])
    log_probs = draw(3, 3, 30, 12)
    units = rng.integers(1, 12, (3, 9))
    units[1, 3] = units[1, 4]  # a repetition
    theirs = torch.nn.functional.ctc_loss(
        torch.tensor(log_probs).swapaxes(0, 1), torch.tensor(units), torch.tensor(n_frames), torch.tensor(n_units),
        reduction="none",
    )  # fmt: skip
    ours = jax.jit(optax.ctc_loss)(
        log_probs, (np.arange(30) >= n_frames[:, None]).astype(np.float32), units,
        (np.arange(9) >= n_units[:, None]).astype(np.float32),
    )  # fmt: skip
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)
    # And what decoding says of the same transcript.
    for row in range(3):
        _, whole = prefixes_of(log_probs[row : row + 1], n_frames[row : row + 1], units[row, : n_units[row]])
        assert whole[0] == pytest.approx(-float(theirs[row]), abs=1e-4)


def test_greedy_takes_out_repetitions_and_blanks_and_stops_at_the_end():
    path = np.array([[1, 1, 0, 1, 2, 2, 0, 0], [0, 2, 2, 2, 1, 1, 1, 1], [1] * 8])
    log_probs = np.log(np.eye(3)[path] * 0.8 + 0.05)
    assert ctc.greedy(jnp.asarray(log_probs), jnp.array([8, 4, 0])) == [[1, 1, 2], [2], []]
