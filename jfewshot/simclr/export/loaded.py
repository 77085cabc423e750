"""Loads an encoder folder as a callable from waves to frames of each layer. Needs JAX only."""

import functools
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from jfewshot.errors import UserError
from jfewshot.simclr.encoder import from_arrays
from jfewshot.simclr.export.folder import EncoderFolder, read_encoder
from jfewshot.simclr.features import fbank, n_frames, normalise

INPUT = "input"  # as the name of a layer: the normalised filter bank
_FEATURES = -1  # number of this layer
HIDDEN = "hidden"  # as the name of a layer: all hidden states side by side
_HIDDEN = -2  # number of this layer


class LoadedEncoder:
    """A frozen encoder.

    Attributes:
      name, title, licence, source, revision: as in the folder; the revision is the SHA-256 of the weights.
      sample_rate: sample rate in Hz of the waves that it expects.
      layers: names of the hidden states: "0" is the embedded input, the last is the encoder's output.
      further_layers: "hidden", all hidden states side by side, of width (n_layers + 1) * dim; and "input", the normalised filter
        bank, of width `n_mels`. Empty for an encoder without a filter bank.
      dim: width of every hidden state.
      n_parameters: number of parameters.
      min_samples: number of samples of the shortest wave that has a frame.
    """

    def __init__(self, folder: EncoderFolder):
        self.folder = folder
        self.name, self.title = folder.name, folder.title
        self.licence, self.source, self.revision = folder.licence, folder.source, folder.revision
        self.layers = tuple(str(number) for number in range(folder.config.n_layers + 1))
        self.further_layers = () if folder.fbank is None else (INPUT, HIDDEN)
        self.dim = folder.config.d_model
        self.n_parameters = int(sum(np.size(value) for value in folder.arrays.values()))
        self.sample_rate = folder.fbank.sample_rate if folder.fbank else 16_000
        self.min_samples = folder.fbank.frame_length if folder.fbank else 0
        self._graph, self._state = nnx.split(from_arrays(folder.config, folder.arrays))

    def __call__(self, waves: np.ndarray, layers: Sequence[str] = ("last",)) -> dict[str, np.ndarray]:
        """Compute the frames of the requested layers.

        Args:
          waves: float32 (batch, samples), mono, in [-1, 1], at `sample_rate`; all of the same true length.
          layers: names from `self.layers` or `self.further_layers`, or "last".

        Returns:
          float32 (batch, frames, dim) for each requested name; true frames only. If the encoder subsamples, "input" has four
          times as many frames.

        Raises:
          UserError: if waves are shorter than a frame, a layer is unknown, or the folder has no filter bank.
        """
        if self.folder.fbank is None:
            raise UserError(
                f"encoder {self.name} does not say how its input features are computed: give them to hidden_states"
            )
        named = {INPUT: _FEATURES, HIDDEN: _HIDDEN}
        numbers = [named[layer] if layer in named else self.layer_number(layer) for layer in layers]
        waves = np.asarray(waves, np.float32)
        batch, samples = waves.shape
        if samples < self.min_samples:
            raise UserError(f"encoder {self.name} got waves of {samples} samples and needs at least {self.min_samples}")
        # Waves are padded to few sizes, because each size needs a compilation. Tests check that padding changes results by at
        # most 1e-5.
        padded = np.zeros((_next_size(batch, 1), _next_size(samples, self.sample_rate)), np.float32)
        padded[:batch, :samples] = waves
        lengths = np.full(len(padded), samples, np.int32)
        states = self._from_waves(self._state, padded, lengths, tuple(numbers))
        n_input = n_frames(samples, self.folder.fbank)
        n_output = self.folder.config.n_frames(n_input)
        return {
            layer: np.asarray(state[:batch, : n_input if layer == INPUT else n_output])
            for layer, state in zip(layers, states, strict=True)
        }

    def traced(self, waves: np.ndarray, layer: str = "last") -> jax.extend.core.ClosedJaxpr:
        """Trace the forward pass for waves of one length, without computing it, for counting its operations.

        Args:
          waves: float32 (batch, samples), as for a call; they are not padded.
          layer: a name from `self.layers`, or "last".

        Returns:
          the jaxpr.
        """
        numbers = (self.layer_number(layer),)
        lengths = np.full(len(waves), waves.shape[1], np.int32)
        return jax.make_jaxpr(lambda given: self._from_waves(self._state, given, lengths, numbers))(waves)

    def hidden_states(
        self, features: Float[Array, "batch frames mels"], n_frames: Int[Array, "batch"]
    ) -> list[Float[Array, "batch out_frames dim"]]:
        """Compute all hidden states from normalised features; zero in frames past the true end."""
        return self._from_features(self._state, features, n_frames)

    def layer_number(self, layer: str) -> int:
        """The number of a hidden state, from its name or from `last`.

        Raises:
          UserError: if the layer is unknown.
        """
        if layer == "last":
            return len(self.layers) - 1
        if layer not in self.layers:
            names = ", ".join((*self.layers, *self.further_layers))
            raise UserError(f"encoder {self.name} has no layer '{layer}'; it has {names} and 'last'")
        return int(layer)

    @functools.partial(jax.jit, static_argnums=(0, 4))
    def _from_waves(self, state, waves, lengths, numbers):
        features, counts = fbank(waves, lengths, self.folder.fbank)
        # A folder with a filter bank has mean and standard deviation.
        assert self.folder.mean is not None
        assert self.folder.std is not None
        features = normalise(features, counts, self.folder.mean, self.folder.std)
        states, _ = nnx.merge(self._graph, state)(features, counts)
        further = {_FEATURES: features, _HIDDEN: jnp.concatenate(states, axis=-1) if _HIDDEN in numbers else None}
        return [further[number] if number in further else states[number] for number in numbers]

    @functools.partial(jax.jit, static_argnums=0)
    def _from_features(self, state, features, counts):
        return nnx.merge(self._graph, state)(jnp.asarray(features), jnp.asarray(counts))[0]


def load_encoder(folder: Path | str) -> LoadedEncoder:
    """Read an encoder folder into a callable; see `LoadedEncoder`.

    Raises:
      UserError: as `read_encoder`.
    """
    return LoadedEncoder(read_encoder(folder))


def _next_size(n: int, unit: int) -> int:
    """Round up to one of unit * (1, 2, 3, 4, 6, 8, 12, 16 ...): beyond the first unit, at most half more than needed."""
    size = unit
    while size < n:
        size = (
            size * 3 // 2
            if (size // unit).bit_count() == 1 and size > unit
            else (size * 4 // 3 if size > unit else 2 * unit)
        )
    return size
