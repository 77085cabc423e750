"""Models: step by step as at once, as PyTorch's recurrent layers, and an utterance's result is its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jfewshot.downstream.asr.decoder import Decoder
from jfewshot.downstream.asr.losses import frames_needed, joint_loss, transcript_log_probs
from jfewshot.downstream.asr.model import Recogniser
from jfewshot.downstream.asr.recurrent import BidirectionalLayers
from jfewshot.downstream.asr.settings import DecoderConfig, RecurrentConfig
from jfewshot.errors import UserError
from jfewshot.simclr.encoder import EncoderConfig

SMALL = DecoderConfig(n_layers=1, d_model=8, d_ff=16, n_heads=2, dropout=0.3)
RECURRENT = RecurrentConfig("gru", 1, 8)
ENCODER = EncoderConfig(n_mels=6, n_layers=1, d_model=8, d_ff=16, n_heads=2, prenet="conv1d", prenet_channels=4)
N_FRAMES = jnp.array([9, 4])


def draw(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def test_the_decoder_step_by_step_is_the_decoder_at_once():
    decoder = Decoder(5, 6, SMALL, rngs=nnx.Rngs(1))
    frames, units = draw((2, 9, 6)), jnp.array([[1, 2, 2, 4], [3, 1, 0, 0]])
    at_once = jax.nn.log_softmax(jax.jit(decoder.__call__)(units, frames, N_FRAMES))
    cache, seen, last = decoder.empty_cache(2, 1, 4), decoder.look(jnp.asarray(frames)), jnp.zeros((2, 1), jnp.int32)
    step = jax.jit(decoder.step)
    for place in range(5):
        scores, cache = step(last, jnp.int32(place), cache, seen, N_FRAMES)
        rows = [0, 1] if place <= 2 else [0]
        np.testing.assert_allclose(scores[rows, 0], at_once[rows, place], atol=2e-5)
        last = jnp.asarray(units[:, place : place + 1]) if place < 4 else last


def test_the_decoder_sees_no_unit_before_it_is_written():
    decoder = Decoder(5, 6, SMALL, rngs=nnx.Rngs(1))
    decoder = jax.jit(decoder.__call__)
    one = decoder(jnp.array([[1, 2, 3, 4]]), draw((1, 9, 6)), N_FRAMES[:1])
    other = decoder(jnp.array([[1, 2, 4, 4]]), draw((1, 9, 6)), N_FRAMES[:1])
    np.testing.assert_allclose(one[:, :3], other[:, :3], atol=1e-6)
    assert np.abs(one[:, 3:] - other[:, 3:]).max() > 1e-3


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_layers_are_pytorch_s(cell):
    torch = pytest.importorskip("torch")

    config = RecurrentConfig(cell, 2, 4)
    ours = BidirectionalLayers(5, config, rngs=nnx.Rngs(0))
    kind = torch.nn.GRU if cell == "gru" else torch.nn.LSTM
    theirs = kind(5, 4, 2, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for side, ending in ((ours.forward, ""), (ours.backward, "_reverse")):
            for number, layer in enumerate(side):
                for name, part in (("ih", layer.input), ("hh", layer.hidden)):
                    getattr(theirs, f"weight_{name}_l{number}{ending}").copy_(
                        torch.tensor(np.array(part.kernel[...]).T)
                    )
                    getattr(theirs, f"bias_{name}_l{number}{ending}").copy_(torch.tensor(np.array(part.bias[...])))
        x = draw((2, 9, 5))
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            torch.tensor(np.array(x)), np.array(N_FRAMES), batch_first=True
        )
        expected, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    np.testing.assert_allclose(jax.jit(lambda x: ours(x, N_FRAMES, None))(x), expected, atol=1e-5)


@pytest.mark.parametrize(("head", "encoder"), [(SMALL, ENCODER), (RECURRENT, None)], ids=["attention", "recurrent"])
def test_padding_and_company_change_nothing(head, encoder):
    model = Recogniser(6, 5, head, encoder, rngs=nnx.Rngs(2))
    heard, n_frames = draw((2, 20, 6)), jnp.array([20, 13])
    units, n_units = jnp.array([[1, 2, 3], [4, 0, 0]]), jnp.array([3, 1])

    @jax.jit
    def scores(heard, n_frames, units, n_units):
        frames, counts = model.encode(heard, n_frames)
        found = transcript_log_probs(model, frames, counts, units, n_units)
        return found.ctc, found.attention

    together = scores(heard, n_frames, units, n_units)
    for row in range(2):
        alone = jnp.full((1, 33, 6), 7.0).at[0, : n_frames[row]].set(heard[row, : n_frames[row]])
        longer = jnp.pad(units[row : row + 1], ((0, 0), (0, 2)), constant_values=2)
        for one, both in zip(
            scores(alone, n_frames[row : row + 1], longer, n_units[row : row + 1]), together, strict=True
        ):
            assert float(one[0]) == pytest.approx(float(both[row]), abs=2e-5)


def test_dropout_is_an_utterance_s_own_and_only_with_keys():
    model = Recogniser(6, 5, SMALL, rngs=nnx.Rngs(2))
    frames, units = draw((2, 9, 6)), jnp.array([[1, 2], [4, 3]])
    keys = jax.random.split(jax.random.key(0), 2)
    decode = jax.jit(model.decoder.__call__)
    dropped = decode(units, frames, N_FRAMES, keys)
    alone = decode(units[1:], frames[1:], N_FRAMES[1:], keys[1:])
    np.testing.assert_allclose(dropped[1:], alone, atol=1e-6)
    assert np.abs(dropped - decode(units, frames, N_FRAMES)).max() > 1e-3


def test_frames_needed_are_units_and_a_blank_between_equal_ones():
    units = jnp.array([[1, 1, 1, 2], [1, 2, 1, 2], [3, 3, 3, 3], [0, 0, 0, 0]])
    assert frames_needed(units, jnp.array([4, 4, 2, 0])).tolist() == [6, 4, 3, 0]


def test_the_loss_is_per_unit_smoothed_and_leaves_out_what_ctc_cannot_align():
    model = Recogniser(6, 5, SMALL, rngs=nnx.Rngs(2))
    frames, units, n_units = draw((2, 9, 6)), jnp.array([[1, 2, 3], [4, 4, 4]]), jnp.array([3, 3])
    found = jax.jit(lambda: transcript_log_probs(model, frames, N_FRAMES, units, n_units, label_smoothing=0.1))()
    assert found.is_possible.tolist() == [True, False]  # 4 frames, 5 needed
    loss, metrics = joint_loss(found, n_units, 0.3)
    logits = np.asarray(jax.nn.log_softmax(jax.jit(model.decoder.__call__)(units, frames, N_FRAMES)))
    targets = jnp.array([[1, 2, 3, 0], [4, 4, 4, 0]])
    by_hand = 0.0
    for row in range(2):
        for place in range(4):
            spread = np.full(5, 0.1 / 5)
            spread[targets[row, place]] += 0.9
            by_hand -= spread @ logits[row, place]
    assert float(metrics["attention"]) == pytest.approx(by_hand / 6, rel=1e-5)
    assert float(metrics["ctc"]) == pytest.approx(-float(found.ctc[0]) / 6, rel=1e-5)
    assert float(loss) == pytest.approx(0.3 * float(metrics["ctc"]) + 0.7 * float(metrics["attention"]), rel=1e-6)
    assert float(metrics["too_short"]) == 1.0


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(UserError, match="decoder: d_model 10 must be even and a multiple of n_heads 4"):
        DecoderConfig(d_model=10)
    with pytest.raises(UserError, match="recurrent: n_layers and size"):
        RecurrentConfig(size=0)
