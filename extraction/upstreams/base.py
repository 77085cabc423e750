"""The interface between the pipeline and an encoder of any kind: a name, a sample rate, and frames for waves."""

from __future__ import annotations  # NumPy is used only in type annotations; without this, `--help` would import it

import typing
from collections.abc import Sequence

from extraction.settings import UpstreamOptions
from jfewshot.errors import UserError

if typing.TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32

__all__ = [
    "PAPER_SAMPLE_RATE",
    "PAPER_SEGMENT_SAMPLES",
    "Upstream",
    "UpstreamOptions",
    "batch_tolerance",
    "fixed_length",
    "further_layers",
    "require_known_layers",
    "resolve_layers",
    "true_layer",
]

# The papers cut every clip into pieces of 5 s at 16 kHz.
PAPER_SAMPLE_RATE = 16_000
PAPER_SEGMENT_SAMPLES = 80_000
# Largest allowed change of a wave's frames with the other waves of its batch, relative to the largest value.
_TOLERANCE, _HALF_PRECISION_TOLERANCE = 1e-5, 5e-2


@typing.runtime_checkable
class Upstream(typing.Protocol):
    """A frozen encoder: it maps waves to frames of one or more layers.

    Attributes:
      name: name of the store's folder, for instance `hubert_base`; letters, digits, `_`, `-` and `.`.
      title: usual name of the encoder, for tables and manifests.
      revision: identifies the weights: a digest of the file, or of the settings if there are no weights.
      licence: licence of the weights (SPDX identifier if there is one); empty if unknown.
      source: origin of the weights.
      n_parameters: number of learnt parameters; None if unknown.
      sample_rate: sample rate of the waves that `encode` needs, in Hz.
      segment_samples: default length of the segments into which clips are cut, in samples at `sample_rate` (80,000 for the
        papers' encoders); None for whole clips.
      min_samples: length of the shortest wave whose frames are finite. Segments that are made by repetition are never shorter;
        whole clips may be.
      layers: names of the hidden states, first to last. `last` is always accepted too, and means `layers[-1]`.

    An encoder may have more attributes:

    - `packages`: names of the distributions whose versions the manifest records (`("torch",)`).
    - `device`: device on which the encoder runs. An encoder that is not on `cpu` gets larger batches.
    - `cpu_batch_size`: the fastest number of segments per batch on a CPU (8 by default).
    - `max_samples`: length of the longest wave that the encoder takes.
    - `batch_tolerance`: largest allowed change of frames with the other waves of a batch (see the function `batch_tolerance`).
    - `frame_times`: a layer, the time of its first frame, and the time between two frames in seconds, for the manifest.
    - `further_layers`: names of frames that `encode` also returns and that are not hidden states, such as the filter bank that
      an encoder computes. `all` does not include them.
    - `default_view`: the best layer and pooling (`last.mean_std`). It is always extracted, and `jfewshot run` evaluates it by
      default.
    - `threads`: number of threads with which the encoder computes on a processor, if neither torch nor onnxruntime knows it.
    - `prepare_clip`: a method that gets all segments of a clip, segments x samples, and returns the waves for `encode`.
    """

    name: str
    title: str
    revision: str
    licence: str
    source: str
    n_parameters: int | None
    sample_rate: int
    segment_samples: int | None
    min_samples: int
    layers: tuple[str, ...]

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Compute the frames of the requested layers.

        All waves of a batch have the same true length, and nothing is padded. So a wave's features do not depend on the other
        waves of its batch, except for rounding (sums are computed in another order; 1e-5 at most).

        Args:
          waves: mono, in [-1, 1], at `sample_rate`; at least `min_samples` long.
          layers: names from `self.layers`, or `last`.

        Returns:
          one array per requested name, under this name. All frames are of the wave itself, and none of padding.
        """
        ...


def fixed_length(upstream: Upstream) -> int | None:
    """The only length of waves, in samples, that an encoder takes; None if it takes several.

    Args:
      upstream: an encoder.
    """
    segment = upstream.segment_samples
    is_fixed = segment is not None and segment == upstream.min_samples == getattr(upstream, "max_samples", None)
    return segment if is_fixed else None


def resolve_layers(upstream: Upstream, asked: Sequence[str]) -> tuple[str, ...]:
    """The layers to request from `encode`: `all` is replaced by every layer, and the other names are checked.

    Raises:
      UserError: if the encoder does not have a layer.
    """
    names: list[str] = []
    available = (*upstream.layers, *further_layers(upstream))
    for layer in asked:
        names += list(upstream.layers) if layer == "all" else [layer]
    for layer in names:
        if layer != "last" and layer not in available:
            raise UserError(
                f"upstream {upstream.name} has no layer '{layer}'; it has {', '.join(available)}, and 'last' and 'all'"
            )
    return tuple(dict.fromkeys(names))


def batch_tolerance(upstream: Upstream) -> float:
    """The largest allowed change of a wave's frames with the other waves of its batch, relative to the largest value.

    Args:
      upstream: an encoder.

    Returns:
      the attribute `batch_tolerance`. Without it, 0.05 if the attribute `autocast` names half precision, and else 1e-5.
    """
    half = getattr(upstream, "autocast", "none") != "none"
    return getattr(upstream, "batch_tolerance", _HALF_PRECISION_TOLERANCE if half else _TOLERANCE)


def further_layers(upstream: Upstream) -> tuple[str, ...]:
    """Names of an encoder's frames that are not hidden states; empty for most encoders."""
    return tuple(getattr(upstream, "further_layers", ()))


def true_layer(layers: Sequence[str], layer: str) -> str:
    """Replace `last` by the name of the last of an encoder's `layers`."""
    return layers[-1] if layer == "last" else layer


def require_known_layers(upstream_name: str, available: Sequence[str], asked: Sequence[str]) -> None:
    """Refuse a layer that is neither available nor `last`; for an upstream's `encode`.

    Args:
      upstream_name: name of the upstream, for the message.
      available: names of the upstream's layers.
      asked: names of the requested layers.

    Raises:
      UserError: if a layer is unknown; the message names the layer and the available layers.
    """
    unknown = [layer for layer in asked if layer != "last" and layer not in available]
    if unknown:
        raise UserError(f"upstream {upstream_name} has no layer '{unknown[0]}'; it has {', '.join(available)}")
