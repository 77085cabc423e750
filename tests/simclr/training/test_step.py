"""One step: the same loss and gradient however the batch is cut, and nothing learnt from padding."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType

from jfewshot.simclr.augmentation import make_banks
from jfewshot.simclr.config import PROFILES, OptimiserConfig
from jfewshot.simclr.data import Batch
from jfewshot.simclr.training.loop import initial_state
from jfewshot.simclr.training.schedules import learning_rate
from jfewshot.simclr.training.step import Fixed, loss_function, make_views, train_step
from jfewshot.training.devices import AXIS, replicate, spread


@pytest.fixture
def batch(voice):
    lengths = np.linspace(3000, 6400, 16).astype(np.int32)
    starts = 1600 * np.arange(16)
    waves = np.stack(
        [np.where(np.arange(6400) < n, voice[s : s + 6400], 0) for s, n in zip(starts, lengths, strict=True)]
    )
    return Batch(waves.astype(np.float32), lengths, np.arange(16, dtype=np.int32), np.zeros(16, np.int32))


def fixed_for(config):
    return Fixed(
        make_banks(config.augmentation, 6400, 16_000, 0),
        np.full((1, 80), -6, np.float32),
        np.full((1, 80), 3, np.float32),
    )


def value_and_gradient(config, batch, mesh=None, training=True):
    function = jax.jit(jax.value_and_grad(loss_function(config, mesh, training), has_aux=True))
    params = initial_state(config).params
    key, fixed = jax.random.key(7), fixed_for(config)
    (_, metrics), gradient = function(
        replicate(params, mesh), spread(batch, mesh), replicate(key, mesh), replicate(fixed, mesh)
    )
    return jax.device_get(metrics), jax.device_get(gradient)


def assert_same(one, other):
    (metrics, gradient), (other_metrics, other_gradient) = one, other
    for name, value in metrics.items():
        np.testing.assert_allclose(value, other_metrics[name], rtol=2e-5, atol=1e-5, err_msg=name)
    scale = float(optax.tree.norm(gradient))
    for name, value in gradient.items():
        np.testing.assert_allclose(value / scale, other_gradient[name] / scale, atol=1e-5, err_msg=name)


def test_chunks_and_devices_change_neither_loss_nor_gradient(tiny, batch, devices):
    whole = value_and_gradient(tiny, batch)
    pair = jax.make_mesh((2,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices(2))
    assert_same(whole, value_and_gradient(dataclasses.replace(tiny, chunks=2), batch, pair))


def test_a_view_of_a_repeated_utterance_fills_the_crop_and_loses_its_upper_band(tiny, batch):
    augmentation = dataclasses.replace(
        tiny.augmentation,
        noise=False,
        time_mask=False,
        frequency_mask=False,
        lowest_band_hz=4000.0,
        highest_band_hz=4000.0,
    )
    augmentation = dataclasses.replace(augmentation, band_limit_probability=1.0)
    data = dataclasses.replace(tiny.data, repeat_short=True)
    config = dataclasses.replace(tiny, data=data, augmentation=augmentation)

    fixed = jax.tree.map(jnp.asarray, fixed_for(config))

    def view(wave, length):
        return make_views(jax.random.key(0), wave, length, jnp.int32(0), fixed, config)

    short, whole = batch.waves[0], np.resize(batch.waves[0, : batch.lengths[0]], 6400)
    of_short, of_whole = jax.jit(view)(short, batch.lengths[0]), jax.jit(view)(whole, np.int32(6400))
    assert of_short.n_frames == of_whole.n_frames == 38
    np.testing.assert_allclose(of_short.target, of_whole.target, atol=1e-5)
    floor = (np.log(np.finfo(np.float32).eps) + 6) / 3  # after the normalisation of `fixed_for`
    np.testing.assert_allclose(of_short.target[:, 70:], floor, atol=1e-5)
    assert np.all(of_short.target[:, :40] > floor)


def test_the_profile_with_both_losses_can_be_spread_over_devices(tiny, batch, devices):
    # Traced, not compiled: what JAX refuses in a function of several devices, it refuses while tracing.
    config = dataclasses.replace(tiny, profile="speech_simclr_recon")
    pair = jax.make_mesh((2,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices(2))
    function = jax.value_and_grad(loss_function(config, pair, training=True), has_aux=True)
    params = initial_state(config).params
    (loss, _), gradient = jax.eval_shape(function, params, batch, jax.random.key(7), fixed_for(config))
    assert loss.shape == ()
    assert {name: part.shape for name, part in gradient.items()} == {name: p.shape for name, p in params.items()}


@pytest.mark.slow  # two compilations of a whole step
def test_half_precision_gives_float32_gradients_that_point_the_same_way(tiny, batch):
    half = dataclasses.replace(tiny, encoder=dataclasses.replace(tiny.encoder, compute_dtype="bfloat16"))
    (metrics, gradient), (half_metrics, half_gradient) = (
        value_and_gradient(tiny, batch),
        value_and_gradient(half, batch),
    )
    assert half_metrics["loss"].dtype == np.float32
    assert 0 < abs(half_metrics["loss"] - metrics["loss"]) < 0.02 * metrics["loss"]
    assert all(value.dtype == np.float32 for value in half_gradient.values())
    cosine = sum(np.vdot(gradient[name], half_gradient[name]) for name in gradient)
    assert cosine > 0.99 * float(optax.tree.norm(gradient)) * float(optax.tree.norm(half_gradient))


@pytest.mark.slow
def test_chunks_need_less_memory(tiny, voice):
    waves = np.tile(voice[:6400], (64, 1))
    batch = Batch(waves, np.full(64, 6400, np.int32), np.arange(64, dtype=np.int32), np.zeros(64, np.int32))
    wide = dataclasses.replace(tiny.encoder, d_ff=512, n_layers=2, prenet="none")

    def peak(chunks):
        config = dataclasses.replace(tiny, chunks=chunks, batch=64, encoder=wide)
        function = jax.jit(jax.grad(loss_function(config, None, True), has_aux=True))
        arguments = initial_state(config).params, batch, jax.random.key(0), fixed_for(config)
        return function.lower(*arguments).compile().memory_analysis().temp_size_in_bytes

    assert peak(8) < 0.4 * peak(1)


@pytest.mark.slow
def test_padding_changes_no_loss(tiny, batch):
    config = dataclasses.replace(tiny, profile="speech_simclr")
    padded = batch._replace(waves=np.pad(batch.waves, ((0, 0), (0, 3210)), constant_values=0.5))
    assert_same(value_and_gradient(config, batch, training=False), value_and_gradient(config, padded, training=False))


@pytest.mark.slow
def test_more_chunks_and_devices_change_neither(tiny, batch, devices):
    whole = value_and_gradient(tiny, batch)
    assert_same(whole, value_and_gradient(dataclasses.replace(tiny, chunks=4), batch))
    mesh = jax.make_mesh((8,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices(8))
    assert_same(whole, value_and_gradient(tiny, batch, mesh))


@pytest.mark.slow
def test_eight_devices_with_four_chunks_each_change_neither(tiny, batch, devices):
    # Four rows on each device, one a chunk: its negatives are all in other chunks and on other devices.
    batch = Batch(*(np.concatenate([part, part]) for part in batch))._replace(rows=np.arange(32, dtype=np.int32))
    wide = dataclasses.replace(tiny, batch=32)
    mesh = jax.make_mesh((8,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices(8))
    chunked = dataclasses.replace(wide, chunks=4)
    assert_same(value_and_gradient(wide, batch), value_and_gradient(chunked, batch, mesh))


@pytest.mark.parametrize(
    "profile", [pytest.param(name, marks=[pytest.mark.slow] * (name != "tera")) for name in PROFILES]
)
def test_profiles_learn_what_they_say(tiny, batch, profile):
    config = dataclasses.replace(tiny, profile=profile)
    metrics, gradient = value_and_gradient(config, batch)
    contrast, reconstruction = PROFILES[profile]
    assert ("contrast" in metrics, "reconstruction" in metrics) == (contrast > 0, reconstruction > 0)
    parts = contrast * metrics.get("contrast", 0) + reconstruction * metrics.get("reconstruction", 0)
    np.testing.assert_allclose(metrics["loss"], parts, rtol=1e-6)
    assert any(name.startswith("projection") for name in gradient) == (contrast > 0)
    assert any(name.startswith("head") for name in gradient) == (reconstruction > 0)
    assert all(np.any(value) for name, value in gradient.items() if name.endswith("kernel"))


def test_a_step_that_is_not_finite_changes_nothing(tiny, batch):
    step, state, key, fixed = train_step(tiny), initial_state(tiny), jax.random.key(0), fixed_for(tiny)
    before = jax.device_get(state.params)
    state, metrics = step(state, batch._replace(waves=np.full_like(batch.waves, np.nan)), key, fixed)
    assert not np.isfinite(metrics["loss"])
    assert int(state.step) == 1
    for name, value in before.items():
        np.testing.assert_array_equal(value, state.params[name])


def test_repeated_steps_do_not_compile_again_and_learn(tiny, batch):
    config = dataclasses.replace(tiny, optimiser=OptimiserConfig("constant", rate=3e-3, warmup_steps=1))
    step, state, key, fixed = train_step(config), initial_state(config), jax.random.key(0), fixed_for(config)
    losses = []
    for _ in range(40):
        state, metrics = step(state, batch, key, fixed)
        losses.append(float(metrics["loss"]))
    assert step._cache_size() == 1
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:3])


def test_noam_is_the_transformers_schedule(tiny):
    config = dataclasses.replace(tiny, optimiser=OptimiserConfig("noam", rate=0.5, warmup_steps=100))
    rate = learning_rate(config)
    by_hand = [0.5 * 16**-0.5 * min(n**-0.5, n * 100**-1.5) for n in (1, 100, 400)]
    np.testing.assert_allclose([rate(jnp.int32(n - 1)) for n in (1, 100, 400)], by_hand, rtol=1e-6)


def test_a_step_that_is_not_finite_leaves_the_moments_of_the_optimiser_alone(tiny, batch):
    step, key, fixed = train_step(tiny), jax.random.key(0), fixed_for(tiny)
    state, _ = step(initial_state(tiny), batch, key, fixed)
    before = jax.device_get(state)  # the step takes its argument's memory
    assert any(np.any(leaf) for leaf in jax.tree.leaves(before.optimiser))
    after, _ = step(state, batch._replace(waves=np.full_like(batch.waves, np.nan)), key, fixed)
    jax.tree.map(np.testing.assert_array_equal, before.optimiser, jax.device_get(after.optimiser))


def own_pieces(batch):
    """Both views get the same piece, each as a piece of its own."""
    return batch._replace(waves=np.stack([batch.waves] * 2, axis=1), lengths=np.stack([batch.lengths] * 2, axis=1))


def test_a_batch_of_two_pieces_each_has_a_loss_of_the_same_shape(tiny, batch):
    function = loss_function(tiny, None, training=True)  # traced, not compiled
    params, fixed = initial_state(tiny).params, fixed_for(tiny)
    shapes = [jax.eval_shape(function, params, each, jax.random.key(7), fixed) for each in (batch, own_pieces(batch))]
    assert shapes[0] == shapes[1]


@pytest.mark.slow
def test_two_pieces_of_one_place_are_the_piece_that_both_views_share(tiny, batch):
    pair, function = own_pieces(batch), jax.jit(loss_function(tiny, None, training=False))
    params, key, fixed = initial_state(tiny).params, jax.random.key(7), fixed_for(tiny)
    shared, same = (function(params, each, key, fixed)[0] for each in (batch, pair))
    np.testing.assert_allclose(shared, same, rtol=1e-6)
    other = pair._replace(waves=np.stack([batch.waves, batch.waves[::-1]], axis=1))
    assert abs(function(params, other, key, fixed)[0] - shared) > 1e-3
