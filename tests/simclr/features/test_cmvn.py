"""Normalisation statistics against the two-pass result in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.simclr.features import Moments, SpeakerMoments, normalise, normalise_per_utterance
from jfewshot.simclr.features.cmvn import merged


@pytest.fixture
def frames():
    # A mean a thousand deviations away from zero: where E[x²] - E[x]² in float32 would give nonsense.
    return 1000.0 + np.random.default_rng(1).standard_normal((5000, 7))


@pytest.mark.parametrize("cuts", [[], [1], [10, 11, 4000], [0, 5000]])
def test_statistics_do_not_depend_on_how_the_stream_was_cut(frames, cuts):
    moments = Moments()
    for part in np.split(frames, cuts):
        moments.update(part)
    assert moments.count == 5000
    np.testing.assert_allclose(moments.mean, frames.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.std, frames.std(axis=0), rtol=1e-9)


def test_speakers_add_up_to_everyone(frames):
    speakers = SpeakerMoments()
    for number, part in enumerate(np.split(frames, 10)):
        speakers.update("ab"[number % 2], part)
    np.testing.assert_allclose(speakers.all.mean, frames.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(speakers.all.std, frames.std(axis=0), rtol=1e-9)
    own = np.concatenate(np.split(frames, 10)[::2])
    np.testing.assert_allclose(speakers.by_speaker["a"].std, own.std(axis=0), rtol=1e-9)


def test_a_constant_channel_does_not_divide_by_zero():
    assert np.all(Moments().update(np.ones((9, 2))).std > 0)


def test_no_frames_is_an_error_not_a_nan():
    with pytest.raises(ValueError, match="no frames"):
        _ = merged([Moments()]).std


def test_each_utterance_to_zero_mean_and_unit_deviation_over_its_true_frames():
    features = jnp.asarray(np.random.default_rng(2).normal(3, 2, (2, 50, 4)), jnp.float32)
    out = np.asarray(normalise_per_utterance(features, jnp.asarray([50, 20])))
    true = np.asarray(features[1, :20])
    np.testing.assert_allclose(out[1, :20], (true - true.mean(0)) / true.std(0), atol=1e-5)
    np.testing.assert_allclose(out[0].mean(axis=0), 0, atol=1e-5)
    assert not np.any(out[1, 20:])


def test_given_statistics_may_be_global_or_each_speakers():
    features = jnp.ones((2, 3, 4))
    one = normalise(features, jnp.asarray([3, 2]), np.zeros(4), np.full(4, 2.0))
    each = normalise(features, jnp.asarray([3, 2]), np.array([[0.0] * 4, [1.0] * 4]), np.full((2, 4), 2.0))
    np.testing.assert_allclose(one[0], 0.5)
    assert not np.any(one[1, 2:])
    np.testing.assert_allclose(each[0], 0.5)
    assert not np.any(each[1])
