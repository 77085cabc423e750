"""What a head is trained on: the frames of a frozen encoder, or the frames of a filter bank and an encoder to train too."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array

from jfewshot.downstream.cache import FrameCache
from jfewshot.downstream.frames import Frames
from jfewshot.downstream.scaling import Scaling, scaling_of
from jfewshot.downstream.sources import Source
from jfewshot.simclr.encoder import EncoderConfig


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs of a head, for one kind of features and one seed.

    Attributes:
      frames: frames of all utterances of the cache.
      encoder: the encoder that is trained too; None for frozen frames.
      layer: number of the encoder's hidden state that the head uses; -1 is the last.
      weights: weights with which the encoder starts, by name; None if the encoder is frozen or starts with random weights.
      scaling: mean and standard deviation that the encoder expects; None if the training utterances have to give these.
    """

    frames: Frames
    encoder: EncoderConfig | None = None
    layer: int = -1
    weights: dict[str, Array] | None = None
    scaling: Scaling | None = None


def make_inputs(cache: FrameCache, source: Source, seed: int, finetune: bool) -> Inputs:
    """Make the inputs of a head.

    Args:
      cache: frames on disk.
      source: the kind of features.
      seed: seed of the run; random encoders differ between seeds.
      finetune: train the encoder too, where the source has one.

    Returns:
      the frames, and the encoder with which training starts.
    """
    if not finetune or source.encoder is None:
        return Inputs(cache.frames(source, seed))
    # An encoder that is trained too is given the frames of its filter bank.
    encoder = source.loaded(seed).folder if source.encoder.arrays else source.encoder
    return Inputs(
        cache.fbank(source.fbank),
        encoder.config,
        source.layer_number,
        {name: jnp.asarray(value) for name, value in encoder.arrays.items()} or None,
        None if encoder.mean is None else scaling_of(encoder.mean, encoder.std),
    )
