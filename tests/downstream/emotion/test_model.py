"""Heads: an utterance's logits are its own, whatever stands beside or behind it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jfewshot.downstream.emotion.config import PAPER_HEAD
from jfewshot.downstream.emotion.model import Classifier, LightHead
from jfewshot.simclr.encoder import EncoderConfig

SMALL = EncoderConfig(n_layers=2, d_model=16, d_ff=32, n_heads=2, dropout=0.1)
LEARNS = EncoderConfig(n_mels=6, n_layers=1, d_model=8, d_ff=16, n_heads=2, prenet="conv1d", prenet_channels=4)


def frames_of(lengths, size, dim=6, fill=0.0):
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((n, dim)).astype(np.float32) for n in lengths]
    rows = np.full((len(lengths), size, dim), fill, np.float32)
    for row, part in zip(rows, parts, strict=True):
        row[: len(part)] = part
    return parts, rows


@pytest.mark.parametrize(
    ("head", "encoder"), [(8, None), (SMALL, None), (SMALL, LEARNS)], ids=["light", "paper", "fine-tuned"]
)
def test_logits_in_a_padded_batch_are_those_of_each_utterance_alone(head, encoder):
    model = Classifier(6, 4, head, encoder, rngs=nnx.Rngs(0))
    lengths = [9, 3, 14]
    parts, rows = frames_of(lengths, 20, fill=0.0 if encoder is None else 7.0)
    logits = jax.jit(lambda frames, n_frames: model(frames, n_frames))  # op by op, every op is compiled
    together = logits(rows, np.array(lengths, np.int32))
    assert together.shape == (3, 4)
    for row, part in enumerate(parts):
        alone = np.zeros((1, 14, 6), np.float32)  # the longest has no padding
        alone[0, : len(part)] = part
        found = logits(alone, np.array([len(part)], np.int32))
        np.testing.assert_allclose(together[row], found[0], atol=2e-6)


def test_the_light_head_is_projection_then_pooling_then_linear():
    head = LightHead(6, 4, 8, rngs=nnx.Rngs(1))
    head.projection.bias[...] = jnp.arange(8.0)
    parts, rows = frames_of([5, 11], 12)
    found = head(jnp.asarray(rows), jnp.array([5, 11], jnp.int32), None)
    for row, part in enumerate(parts):
        projected = part @ np.asarray(head.projection.kernel[...]) + np.asarray(head.projection.bias[...])
        by_hand = projected.mean(axis=0) @ np.asarray(head.output.kernel[...]) + np.asarray(head.output.bias[...])
        np.testing.assert_allclose(found[row], by_hand, rtol=1e-5, atol=1e-5)
    # What training on a frozen encoder does: the mean is taken once, and stands for the frames.
    means = jnp.asarray(np.stack([part.mean(axis=0) for part in parts])[:, None])
    np.testing.assert_allclose(head(means, jnp.array([1, 1], jnp.int32), None), found, rtol=1e-5, atol=1e-5)


def test_the_paper_s_head_has_the_paper_s_sizes():
    model = nnx.eval_shape(lambda: Classifier(80, 4, PAPER_HEAD, rngs=nnx.Rngs(0)))
    shapes = {".".join(map(str, path)): leaf.shape for path, leaf in nnx.to_flat_state(nnx.state(model, nnx.Param))}
    assert shapes["head.transformer.layers.11.intermediate.kernel"] == (256, 2048)
    assert "head.transformer.layers.12.intermediate.kernel" not in shapes
    # 12 x (4 (256² + 256) + 2 x 256 x 2048 + 2048 + 256 + 4 x 256) + input and its norm + output.
    by_hand = 12 * (4 * (256**2 + 256) + 2 * 256 * 2048 + 2048 + 256 + 4 * 256) + 80 * 256 + 3 * 256 + 257 * 4
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == by_hand


def test_dropout_asks_for_keys_and_differs_between_utterances():
    model = Classifier(6, 4, SMALL, rngs=nnx.Rngs(0))
    rows, lengths = jnp.ones((2, 5, 6)), jnp.array([5, 5], jnp.int32)
    plain = jax.jit(lambda: model(rows, lengths))()
    np.testing.assert_array_equal(plain[0], plain[1])
    dropped = jax.jit(lambda: model(rows, lengths, jax.random.split(jax.random.key(0), 2)))()
    assert np.abs(dropped[0] - dropped[1]).max() > 1e-4
