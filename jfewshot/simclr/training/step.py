"""One jitted training step: waves, views, features, encoder, losses, gradient and update.

If the activations of a whole batch do not fit into memory, the batch goes through the encoder in chunks. A scan over chunks, each
of which is rematerialised in the backward pass, collects all projections, and the loss is computed on all of these. So the
gradient is exactly that of the whole batch, with memory for the activations of one chunk. (GradCache, Gao et al. 2021, does
this by hand.)

With several devices, each device runs this on its rows inside `shard_map`, and the contrast uses the projections of all devices.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, Key

from jfewshot.simclr.augmentation import Banks, alter, augment_wave, limit_band, mask_spectrogram, repeated
from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.data.batches import Batch
from jfewshot.simclr.encoder import pooled
from jfewshot.simclr.features import fbank, normalise
from jfewshot.simclr.objectives import ntxent, reconstruction_sums
from jfewshot.simclr.objectives.ntxent import ntxent_local
from jfewshot.simclr.training.model import model_builder
from jfewshot.simclr.training.schedules import learning_rate, optimiser
from jfewshot.training.devices import AXIS
from jfewshot.training.model import Params
from jfewshot.training.step import make_step


class Fixed(NamedTuple):
    """Arrays that stay on the device and do not change during training."""

    banks: Banks
    mean: Float[Array, "speakers mels"] | Float[np.ndarray, "speakers mels"]
    std: Float[Array, "speakers mels"] | Float[np.ndarray, "speakers mels"]


class Views(NamedTuple):
    """The input of the encoder for each row, with the row's dropout key."""

    features: Float[Array, "rows frames mels"]
    n_frames: Int[Array, "rows"]
    target: Float[Array, "rows frames mels"]
    asked: Array
    keys: Key[Array, "rows"]


def make_views(
    key: Key[Array, ""], wave: Float[Array, "samples"], length: Int[Array, ""], speaker: Int[Array, ""], fixed: Fixed,
    config: TrainConfig,
) -> Views:  # fmt: skip
    """Make one view of one utterance.

    The target of the reconstruction is the view itself before masks and alteration. It cannot be the clean utterance, because a
    change of speed has moved the frames.

    Args:
      key: random key that decides the augmentation, the masks, the alteration and the dropout.
      wave: samples of the utterance; zero past `length`.
      length: number of true samples.
      speaker: row of the utterance's speaker in the statistics; 0 with global statistics.
      fixed: banks and statistics on the device.
      config: settings of the training.

    Returns:
      features, number of true frames, target, altered elements and dropout key of the view.
    """
    contrast, reconstruction = config.weights
    wave_key, mask_key, alter_key, dropout_key = jax.random.split(key, 4)
    if config.data.repeat_short:
        wave, length = repeated(wave, length)
    if contrast > 0:
        rate = config.fbank.sample_rate
        wave, length = augment_wave(wave_key, wave, length, fixed.banks, config.augmentation, rate)
    features, n_frames = fbank(wave, length, config.fbank)
    if contrast > 0 and config.augmentation.may("band_limit"):
        # The band limit has its own key, so that other draws are the same as before this augmentation existed.
        features = limit_band(jax.random.fold_in(wave_key, 1), features, config.augmentation, config.fbank)
    features = target = normalise(features, n_frames, fixed.mean[speaker], fixed.std[speaker])
    asked = jnp.zeros(features.shape, bool)
    if reconstruction > 0:
        features, asked = alter(alter_key, features, n_frames, config.augmentation.alteration)
    if contrast > 0:
        chosen = config.augmentation
        widest = chosen.widest_time_mask * chosen.time_mask, chosen.widest_frequency_mask * chosen.frequency_mask
        features = mask_spectrogram(mask_key, features, n_frames, *widest, chosen.widest_time_mask_share)
    return Views(features, n_frames, target, asked, dropout_key)


def rows_at_once(rows: int) -> int:
    """Number of utterances whose waves are augmented together; few on a CPU, so that these fit into its cache."""
    if jax.default_backend() != "cpu":
        return rows
    return next(n for n in range(min(rows, 8), 0, -1) if rows % n == 0)


def local_losses(
    params: Params,
    batch: Batch,
    key: Key[Array, ""],
    fixed: Fixed,
    *,
    config: TrainConfig,
    build,
    training: bool,
    sharded: bool,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Compute the weighted loss of the whole batch from the rows of one device; with `sharded`, inside `shard_map`.

    Args:
      params: parameters of the encoder and its heads.
      batch: this device's rows of the batch.
      key: random key of the step; each row's key is derived from the row's place in the whole batch.
      fixed: banks and statistics on the device.
      config: settings of the training.
      build: from parameters to the model.
      training: whether dropout is switched on.
      sharded: whether the rows of a batch are spread over several devices.

    Returns:
      the weighted loss, and metrics by name; float32 scalars, the same on every device.
    """
    contrast, reconstruction = config.weights
    rows, n_views = batch.waves.shape[0], config.n_views
    chunks = config.chunks if rows % config.chunks == 0 else 1

    # Keys depend on the place of a row in the whole batch, so that chunks and devices do not change the draws.
    keys = jax.vmap(lambda row: jax.random.split(jax.random.fold_in(key, row), n_views))(batch.rows)

    def views_of(part):
        keys, wave, length, speaker = part
        own_piece = 0 if wave.ndim == 2 else None  # each view has its own piece, or all views share one

        def one(key, wave, length):
            return make_views(key, wave, length, speaker, fixed, config)

        return jax.vmap(one, (0, own_piece, own_piece))(keys, wave, length)

    def in_chunks(tree):
        return jax.tree.map(lambda leaf: leaf.reshape(chunks, rows // chunks, *leaf.shape[1:]), tree)

    # There is no gradient here, so features are computed once and kept; they are small compared with activations.
    parts = (keys, batch.waves, batch.lengths, batch.speakers)
    views = jax.lax.map(views_of, parts, batch_size=rows_at_once(rows // chunks))
    views = in_chunks(jax.lax.stop_gradient(views))

    def encode(views):
        model = build(params)
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), views)
        states, n_frames = model.encoder(flat.features, flat.n_frames, flat.keys if training else None)
        z, error, count = jnp.zeros((0,)), jnp.zeros(()), jnp.zeros(())
        if contrast > 0:
            z = model.projection(pooled(states[-1], n_frames, config.projection_pooling)).reshape(
                -1, n_views, config.projection_out
            )
        if reconstruction > 0:
            predicted = model.head(states[-1], flat.features.shape[1])
            error, count = reconstruction_sums(predicted, flat.target, flat.asked)
        return z, error, count

    if chunks > 1:
        z, error, count = jax.lax.map(jax.checkpoint(encode), views)
    else:
        z, error, count = encode(jax.tree.map(lambda leaf: leaf[0], views))

    loss, metrics = jnp.zeros(()), dict[str, Array]()
    if contrast > 0:
        z = z.reshape(rows, n_views, -1)
        if sharded:
            result = ntxent_local(z[:, 0], z[:, 1], config.temperature, AXIS)
        else:
            result = ntxent(z[:, 0], z[:, 1], config.temperature, config.tile_rows)
        loss = loss + contrast * result.loss
        metrics |= {"contrast": result.loss, "accuracy": result.accuracy}
        metrics |= {"alignment": result.alignment, "uniformity": result.uniformity}
    if reconstruction > 0:
        sums = jnp.stack([jnp.sum(error), jnp.sum(count)])
        sums = jax.lax.psum(sums, AXIS) if sharded else sums
        l1 = sums[0] / jnp.maximum(sums[1], 1.0)
        loss = loss + reconstruction * l1
        metrics["reconstruction"] = l1
    return loss, {"loss": loss, **metrics}


def loss_function(config: TrainConfig, mesh: Mesh | None, training: bool):
    """Make the loss function for one device or for a mesh of devices.

    Args:
      config: settings of the training.
      mesh: the devices; None for one device.
      training: whether dropout is switched on.

    Returns:
      a function (params, batch, key, fixed) -> (loss, metrics).
    """
    build = model_builder(config)
    local = functools.partial(local_losses, config=config, build=build, training=training, sharded=mesh is not None)
    if mesh is None:
        return local
    whole, spread = PartitionSpec(), PartitionSpec(AXIS)
    # check_vma would check which values differ among devices. JAX 0.12 then refuses erf and erf_inv (in GELU and normal
    # noise): its new primitive `polynomial` does not accept an argument that differs together with coefficients that do not.
    return jax.shard_map(local, mesh=mesh, in_specs=(whole, spread, whole, whole), out_specs=whole, check_vma=False)


def train_step(config: TrainConfig, mesh: Mesh | None = None):
    """Make the jitted step: (state, batch, key of the run, fixed) -> (state, metrics). It reuses the memory of the old state.

    A step whose loss or gradient is not finite changes only the number of the step.
    """

    def audio_s(batch: Batch) -> dict[str, Array]:
        return {"audio_s": jnp.sum(batch.lengths) / config.fbank.sample_rate}

    return make_step(loss_function(config, mesh, training=True), optimiser(config), learning_rate(config), audio_s)


def validation_loss(config: TrainConfig, mesh: Mesh | None = None):
    """Make the jitted function (params, batch, key, fixed) -> metrics, without dropout."""
    losses = loss_function(config, mesh, training=False)
    return jax.jit(lambda params, batch, key, fixed: losses(params, batch, key, fixed)[1])
