"""Input frames, loss, training step and evaluation, compiled once for all folds and seeds of one kind of features."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.downstream.asr.batches import Batch
from jfewshot.downstream.asr.beam import searcher
from jfewshot.downstream.asr.losses import LogProbs, joint_loss, transcript_log_probs
from jfewshot.downstream.asr.model import Recogniser
from jfewshot.downstream.asr.settings import BeamConfig, DecoderConfig, RecurrentConfig
from jfewshot.downstream.fitting import initial_states
from jfewshot.downstream.scaling import Scaling
from jfewshot.simclr.augmentation import AugmentationConfig, Banks, augment_wave, mask_spectrogram
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.features import FbankSettings, fbank, normalise
from jfewshot.training.config import OptimiserConfig
from jfewshot.training.model import Params, model_builder
from jfewshot.training.schedules import learning_rate, optimiser
from jfewshot.training.step import State, make_step


class Fixed(NamedTuple):
    """Arrays that stay on the device and do not change during training."""

    scaling: Scaling
    banks: Banks
    """Noises and impulse responses for the augmentation."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A model, its inputs and its optimiser; runs with equal plans share compiled functions.

    Attributes:
      dim: numbers per frame.
      n_units: number of units, the blank included.
      head: settings of the decoder, or of the recurrent layers.
      optimiser: settings of the optimiser and its schedule.
      ctc_weight, label_smoothing: settings of the loss.
      fbank: filter bank for waves; None if the inputs are frames.
      augmentation: augmentation of waves in training; None for none.
      masks: number of masks, largest width in frames, largest width in channels.
      stack: number of frames that are joined to one.
      seconds: duration of one sample or frame of the inputs.
      steps: number of steps of the run if the schedule depends on it; 0 otherwise, so that runs of other lengths share the
        compiled functions.
      encoder, layer: an encoder that is trained too, and number of its hidden state that the head uses.
    """

    dim: int
    n_units: int
    head: DecoderConfig | RecurrentConfig
    optimiser: OptimiserConfig
    ctc_weight: float = 0.3
    label_smoothing: float = 0.1
    fbank: FbankSettings | None = None
    augmentation: AugmentationConfig | None = None
    masks: tuple[int, int, int] = (0, 0, 0)
    stack: int = 1
    seconds: float = 0.01
    steps: int = 0
    encoder: EncoderConfig | None = None
    layer: int = -1

    def model(self, rngs: nnx.Rngs) -> Recogniser:
        """Make the model with random weights."""
        return Recogniser(self.dim * self.stack, self.n_units, self.head, self.encoder, self.layer, rngs=rngs)

    @property
    def rate(self) -> optax.Schedule:
        """Learning rate by step. The width in the schedule noam is that of the decoder, or of both recurrent directions."""
        width = self.head.d_model if isinstance(self.head, DecoderConfig) else 2 * self.head.size
        return learning_rate(self.optimiser, width, self.steps)

    @property
    def has_decoder(self) -> bool:
        """Whether the model has an attention decoder."""
        return isinstance(self.head, DecoderConfig)

    def n_frames(self, lengths: Any) -> Any:
        """Number of frames that CTC receives for inputs of some length, in samples or frames; also for an array of lengths."""
        frames = lengths
        if self.fbank is not None:
            frames = 1 + (lengths - self.fbank.frame_length) // self.fbank.hop_length
        frames = -(-frames // self.stack)
        return frames if self.encoder is None else self.encoder.n_frames(frames)


class Evaluated(NamedTuple):
    """The loss and the predictions of a batch, without dropout and augmentation."""

    frames: Float[Array, "rows frames width"]
    n_frames: Int[Array, "rows"]
    log_probs: Float[Array, "rows frames n_units"]
    """Log-probabilities of CTC."""
    transcripts: LogProbs


class Compiled(NamedTuple):
    """Compiled functions of one plan."""

    initial: Callable[..., State]
    """From a seed, and weights of the encoder if there are any, to the state of step 0."""
    step: Callable
    evaluate: Callable[[Params, Batch, Fixed], Evaluated]
    build: Callable[[Params], Recogniser]


def hear(
    batch: Batch, fixed: Fixed, plan: Plan, keys: Key[Array, "rows"] | None
) -> tuple[Float[Array, "rows frames dim"], Int[Array, "rows"]]:
    """Compute the frames that the model gets from a batch of waves or frames.

    Args:
      batch: the signals.
      fixed: mean, standard deviation and augmentation banks on the device.
      plan: filter bank, augmentation, masks and how many frames are stacked.
      keys: one random key per utterance, for augmentation and masks; None switches both off.

    Returns:
      the frames, and the number of true frames of each row.
    """
    signal, lengths = jnp.asarray(batch.signal), jnp.asarray(batch.lengths)
    split = None if keys is None else jax.vmap(lambda key: jax.random.split(key, 1 + plan.masks[0]))(keys)
    if signal.ndim == 2:
        assert plan.fbank is not None
        if split is not None and plan.augmentation is not None:
            rate = plan.fbank.sample_rate
            augment = functools.partial(augment_wave, banks=fixed.banks, config=plan.augmentation, sample_rate=rate)
            signal, lengths = jax.vmap(lambda key, wave, length: augment(key, wave, length))(
                split[:, 0], signal, lengths
            )
        signal, lengths = fbank(signal, lengths, plan.fbank)
    frames = normalise(signal, lengths, fixed.scaling.mean, fixed.scaling.std)
    if split is not None:
        for number in range(plan.masks[0]):
            mask = functools.partial(mask_spectrogram, widest_time=plan.masks[1], widest_frequency=plan.masks[2])
            frames = jax.vmap(mask)(split[:, 1 + number], frames, lengths)
    if plan.stack > 1:
        size = -(-frames.shape[1] // plan.stack) * plan.stack
        frames = jnp.pad(frames, ((0, 0), (0, size - frames.shape[1]), (0, 0)))
        frames = frames.reshape(frames.shape[0], size // plan.stack, -1)
        lengths = -(-lengths // plan.stack)
    return frames, lengths


@functools.lru_cache(maxsize=8)
def compiled(plan: Plan) -> Compiled:
    """Compile initial state, step and evaluation, once for each padded size, and keep these for the next fold and seed."""
    build = model_builder(plan.model)

    def log_probs(params: Params, batch: Batch, fixed: Fixed, keys, smoothing: float):
        model = build(params)
        apart = (None, None, None) if keys is None else jax.vmap(lambda key: jax.random.split(key, 3))(keys).T
        heard, n_frames = hear(batch, fixed, plan, apart[0])
        frames, n_frames = model.encode(heard, n_frames, apart[1])
        units, n_units = jnp.asarray(batch.units), jnp.asarray(batch.n_units)
        found = transcript_log_probs(model, frames, n_frames, units, n_units, smoothing, apart[2])
        return model, frames, n_frames, found

    def losses(params: Params, batch: Batch, key: Key[Array, ""], fixed: Fixed):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, batch.rows)
        found = log_probs(params, batch, fixed, keys, plan.label_smoothing)[-1]
        return joint_loss(found, jnp.asarray(batch.n_units), plan.ctc_weight if plan.has_decoder else 1.0)

    def evaluate(params: Params, batch: Batch, fixed: Fixed) -> Evaluated:
        model, frames, n_frames, found = log_probs(params, batch, fixed, None, 0.0)
        return Evaluated(frames, n_frames, jax.nn.log_softmax(model.ctc_logits(frames)), found)

    def count(batch: Batch) -> dict[str, Array]:
        return {"audio_s": jnp.sum(batch.lengths) * plan.seconds}

    optimise = optimiser(plan.optimiser, plan.rate)
    step = make_step(losses, optimise, plan.rate, count)
    return Compiled(initial_states(plan.model, optimise), step, jax.jit(evaluate), build)


@functools.lru_cache(maxsize=8)
def compiled_search(plan: Plan, config: BeamConfig):
    """The jitted beam search of a plan's models."""
    return searcher(compiled(plan).build, plan.has_decoder, config)
