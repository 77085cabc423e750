"""The encoder: true lengths only, options that change nothing but speed and memory."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jfewshot.errors import UserError
from jfewshot.simclr.encoder import (
    PAPER,
    PAPER_ASR,
    Encoder,
    EncoderConfig,
    Projection,
    SpectrogramHead,
    from_arrays,
    mean_over_frames,
    pooled,
    to_arrays,
)
from jfewshot.simclr.encoder.attention import masked_attention
from jfewshot.simclr.encoder.transformer import positions, sinusoids

TINY = EncoderConfig(n_mels=20, n_layers=2, d_model=16, d_ff=32, n_heads=4, prenet_channels=6, init_std=0.3)
VARIANTS = {
    "the paper's": TINY,
    "subsampled in time": dataclasses.replace(TINY, prenet="conv1d"),
    "subsampled in both": dataclasses.replace(TINY, prenet="conv2d"),
    "norm before": dataclasses.replace(TINY, norm="pre"),
}


def jitted(module: nnx.Module):
    """Compiled once, since running an encoder operation by operation compiles each of them."""
    return jax.jit(lambda *arguments: module(*arguments))


def count(config: EncoderConfig) -> int:
    state = nnx.state(nnx.eval_shape(lambda: Encoder(config, rngs=nnx.Rngs(0))))
    return sum(np.prod(leaf.shape, dtype=int) for leaf in jax.tree.leaves(state))


def test_the_papers_sizes():
    # s3prl's TERA, which is the same network, has 21.33 M parameters: 768 x 80 + 3 layers x 7.09 M.
    assert count(PAPER) == 21_327_360
    assert count(PAPER_ASR) == pytest.approx(17.4e6, rel=0.02)
    assert PAPER_ASR.n_frames(400) == 100


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_attention_and_its_gradient_are_jax_s_own_and_look_at_what_is_seen_alone(dtype):
    keys = jax.random.split(jax.random.key(0), 3)
    query, key, value = (jax.random.normal(each, (2, 7, 3, 4), dtype) for each in keys)
    is_seen = jnp.tril(jnp.ones((2, 7, 7), bool)).at[1, :, 5:].set(False).at[1, :, 0].set(True)

    def theirs(*given):
        with jax.numpy_dtype_promotion("standard"):  # it promotes its own logits
            return jax.nn.dot_product_attention(*given, mask=is_seen[:, None], implementation="xla")

    def both(attend):
        def scalar(*given):
            return jnp.sum(jnp.sin(attend(*given).astype(jnp.float32)))

        with jax.numpy_dtype_promotion("standard" if attend is theirs else "strict"):
            return jax.jit(lambda *given: (attend(*given), *jax.grad(scalar, (0, 1, 2))(*given)))(query, key, value)

    for mine, other in zip(both(lambda *given: masked_attention(*given, is_seen)), both(theirs), strict=True):
        assert mine.dtype == dtype
        # bfloat16 keeps 8 bits.
        np.testing.assert_allclose(
            mine.astype(jnp.float32), other.astype(jnp.float32), atol=2e-6 if dtype == jnp.float32 else 4e-2
        )
    hidden = jnp.where(is_seen[0, 3][:, None, None], value[0], 99.0).at[4:].set(99.0)
    again = masked_attention(query, key, value.at[0].set(hidden), is_seen)
    np.testing.assert_array_equal(again[0, :4], masked_attention(query, key, value, is_seen)[0, :4])


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("true_frames", [1, 18])
def test_padding_changes_nothing(config, true_frames):
    encoder = jitted(Encoder(config, rngs=nnx.Rngs(0)))
    features = jax.random.normal(jax.random.key(1), (1, true_frames, 20))
    alone, alone_frames = encoder(features, jnp.asarray([true_frames]))
    batch = jnp.full((2, 41, 20), 7.0).at[0, :true_frames].set(features[0])  # the padding must not matter
    padded, n_frames = encoder(batch, jnp.asarray([true_frames, 41]))
    kept = int(alone_frames[0])
    assert int(n_frames[0]) == kept == config.n_frames(true_frames)
    for one, many in zip(alone, padded, strict=True):
        np.testing.assert_allclose(many[0, :kept], one[0], atol=1e-5)
        assert not np.any(many[0, kept:])
    np.testing.assert_allclose(
        mean_over_frames(padded[-1], n_frames)[0], mean_over_frames(alone[-1], alone_frames)[0], atol=1e-5
    )


def test_padding_changes_no_gradient():
    encoder = Encoder(VARIANTS["subsampled in time"], rngs=nnx.Rngs(0))
    features = jax.random.normal(jax.random.key(1), (1, 13, 20))

    def gradient(frames):
        def loss(encoder):
            states, n_frames = encoder(jnp.pad(features, ((0, 0), (0, frames - 13), (0, 0))), jnp.asarray([13]))
            return jnp.sum(jnp.sin(3 * mean_over_frames(states[-1], n_frames)))

        return nnx.jit(nnx.grad(loss))(encoder)

    for one, other in zip(jax.tree.leaves(gradient(13)), jax.tree.leaves(gradient(40)), strict=True):
        # Gradients up to 20: other paddings sum in another order.
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_rematerialisation_changes_no_gradient_and_keeps_fewer_activations():
    features, n_frames = jax.random.normal(jax.random.key(1), (2, 50, 20)), jnp.full(2, 50)

    def gradient_and_bytes(remat):
        graph, state = nnx.split(Encoder(dataclasses.replace(TINY, remat=remat), rngs=nnx.Rngs(0)))

        def loss(state):
            keys = jax.random.split(jax.random.key(2), 2)
            return jnp.sum(jnp.sin(nnx.merge(graph, state)(features, n_frames, keys)[0][-1]))

        # What the backward pass needs from the forward one. (The compiled program's memory would tell nothing on a CPU,
        # where XLA removes the barriers that keep recomputation apart.)
        residuals = jax.tree.leaves(jax.eval_shape(lambda state: jax.vjp(loss, state)[1], state))
        return jax.jit(jax.grad(loss))(state), sum(leaf.size * leaf.dtype.itemsize for leaf in residuals)

    kept, kept_bytes = gradient_and_bytes(False)
    again, again_bytes = gradient_and_bytes(True)
    for one, other in zip(jax.tree.leaves(kept), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert again_bytes < 0.5 * kept_bytes


def test_half_precision_computes_close_by_with_float32_parameters():
    features, n_frames = jax.random.normal(jax.random.key(1), (2, 30, 20)), jnp.asarray([30, 12])
    full = jitted(Encoder(TINY, rngs=nnx.Rngs(0)))
    half = Encoder(dataclasses.replace(TINY, compute_dtype="bfloat16"), rngs=nnx.Rngs(0))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(nnx.state(half)))
    one = full(features, n_frames)[0][-1]
    other = jitted(half)(features, n_frames)[0][-1]
    assert other.dtype == jnp.float32
    assert 1e-4 < float(jnp.abs(one - other).max()) < 0.2  # it is another precision, and it is the same network


def test_dropout_depends_on_the_utterances_key_not_on_its_place():
    encoder = jitted(Encoder(TINY, rngs=nnx.Rngs(0)))
    features = jax.random.normal(jax.random.key(1), (3, 9, 20))
    keys, n_frames = jax.random.split(jax.random.key(5), 3), jnp.asarray([9, 9, 5])
    states, _ = encoder(features, n_frames, keys)
    turned, _ = encoder(features[::-1], n_frames[::-1], keys[::-1])
    np.testing.assert_allclose(states[-1], turned[-1][::-1], atol=1e-5)
    assert float(jnp.abs(states[-1] - encoder(features, n_frames)[0][-1]).max()) > 0.1


@pytest.mark.parametrize("config", [TINY, VARIANTS["subsampled in time"]], ids=["whole", "subsampled"])
def test_heads_have_the_shapes_that_the_losses_need(config):
    rngs = nnx.Rngs(0)
    states, n_frames = jitted(Encoder(config, rngs=rngs))(jnp.ones((2, 30, 20)), jnp.asarray([30, 11]))
    assert SpectrogramHead(config, rngs=rngs)(states[-1], 30).shape == (2, 30, 20)
    assert Projection(config, 16, 8, rngs=rngs)(mean_over_frames(states[-1], n_frames)).shape == (2, 8)


def test_mean_and_deviation_are_those_of_the_true_frames_and_have_a_gradient_where_nothing_varies():
    hidden = np.random.default_rng(0).standard_normal((2, 9, 4)).astype(np.float32)
    both = pooled(jnp.asarray(hidden), jnp.asarray([9, 5]), "mean_std")
    for row, true in enumerate([9, 5]):
        expected = np.concatenate([hidden[row, :true].mean(0), hidden[row, :true].std(0)])
        np.testing.assert_allclose(both[row], expected, atol=1e-5)
    gradient = jax.grad(lambda x: jnp.sum(pooled(x, jnp.asarray([9, 5]), "mean_std")))(jnp.ones((2, 9, 4)))
    assert np.all(np.isfinite(gradient))
    projection = Projection(TINY, 16, 8, "mean_std", rngs=nnx.Rngs(0))
    assert projection(jnp.ones((2, 2 * TINY.d_model))).shape == (2, 8)


def test_positions_are_moved_by_an_offset_of_each_utterance_and_only_in_training():
    config = dataclasses.replace(TINY, position_offset=3)
    keys = jax.random.split(jax.random.key(0), 40)
    moved = np.asarray(positions(6, config, keys))
    table = sinusoids(9, TINY.d_model)
    offsets = [next(k for k in range(4) if np.array_equal(row, table[k : k + 6])) for row in moved]
    assert set(offsets) == {0, 1, 2, 3}
    np.testing.assert_array_equal(positions(6, config, keys[::-1]), moved[::-1])
    np.testing.assert_array_equal(positions(6, config, None)[0], table[:6])
    np.testing.assert_array_equal(positions(6, TINY, keys)[0], table[:6])
    with pytest.raises(UserError, match="position_offset is -1"):
        EncoderConfig(position_offset=-1)


def test_an_utterance_without_frames_stays_finite():
    states, n_frames = jitted(Encoder(TINY, rngs=nnx.Rngs(0)))(jnp.ones((1, 5, 20)), jnp.asarray([0]))
    assert np.all(np.isfinite(mean_over_frames(states[-1], n_frames)))


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_parameters_survive_the_way_through_plain_arrays(config):
    encoder = Encoder(config, rngs=nnx.Rngs(3))
    again = from_arrays(config, to_arrays(encoder))
    features, n_frames = jnp.ones((1, 12, 20)), jnp.asarray([12])
    np.testing.assert_array_equal(jitted(encoder)(features, n_frames)[0][-1], jitted(again)(features, n_frames)[0][-1])


def test_arrays_of_another_configuration_are_named():
    arrays = to_arrays(Encoder(TINY, rngs=nnx.Rngs(0)))
    with pytest.raises(UserError, match=r"layers\.2\."):
        from_arrays(dataclasses.replace(TINY, n_layers=3), arrays)
    with pytest.raises(UserError, match=r"input\.kernel has shape \(20, 16\)"):
        from_arrays(dataclasses.replace(TINY, n_mels=30), arrays)


def test_impossible_sizes_are_refused():
    with pytest.raises(UserError, match="n_heads"):
        EncoderConfig(d_model=100, n_heads=12)
