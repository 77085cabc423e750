"""The interface between the pipeline and an encoder of any kind: a name, a sample rate, and frames for waves."""

from __future__ import annotations  # so that NumPy, which is in types alone, is not loaded for `--help`

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
# How far a wave's frames may change with the other waves of its batch, relative to the largest value.
_TOLERANCE, _HALF_PRECISION_TOLERANCE = 1e-5, 5e-2


@typing.runtime_checkable
class Upstream(typing.Protocol):
    """A frozen encoder: waves in, frames of one or more layers out.

    Attributes:
      name: the store's folder, `hubert_base` say; letters, digits, `_`, `-` and `.`.
      title: what people call it, for tables and manifests.
      revision: names the weights without doubt: a digest of the file, or of the settings where there are no weights.
      licence: of the weights (SPDX where there is one); empty if unknown.
      source: where the weights come from.
      n_parameters: how many numbers were learnt; None if unknown.
      sample_rate: Hz, of the waves that `encode` wants.
      segment_samples: length of the pieces that clips are cut into unless the user says otherwise, in samples at
        `sample_rate` (80,000 for the papers' encoders); None for whole clips.
      min_samples: the shortest wave whose frames are finite. Tiled segments are never shorter; whole clips may be.
      layers: the hidden states that can be asked for, first to last. `last` is always accepted too: `layers[-1]`.

    An encoder may also have `packages`, names of the distributions whose versions a manifest should tell (`("torch",)`), and
    `device`, where it runs: anything but `cpu` is given larger batches; `cpu_batch_size`, how many segments at once serve it
    best on a CPU (8 unless said otherwise); `max_samples`, the longest wave it takes; `batch_tolerance`, how far its frames
    may change with the other waves of its batch (see `batch_tolerance`); `frame_times`, a layer, the time of its first
    frame and the time between two frames in seconds, for the manifest; `further_layers`, names of frames that `encode` gives
    too and that are no hidden states, such as the filter bank that an encoder computes (`all` does not include them);
    `default_view`, the layer and pooling that serve it best (`last.mean_std`), which is extracted in any case and which
    `jfewshot run` evaluates by default; `threads`, by how many threads it computes on a processor, where torch and
    onnxruntime cannot be asked; and a method `prepare_clip`, which is given all segments of a clip, segments x samples, and
    returns what `encode` gets in their place.
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
        """Frames of each asked layer.

        All waves of a batch have the same true length: nothing is padded, so the company that a wave keeps changes no
        feature (beyond the rounding of another blocking of the same sums, 1e-5 at most).

        Args:
          waves: mono, in [-1, 1], at `sample_rate`; at least `min_samples` long.
          layers: names from `self.layers`, or `last`.

        Returns:
          One array per asked name, under the name as asked. True frames only: none for padding.
        """
        ...


def fixed_length(upstream: Upstream) -> int | None:
    """The one length of waves in samples that an encoder takes; None if it takes several.

    Args:
      upstream: an encoder.
    """
    segment = upstream.segment_samples
    is_fixed = segment is not None and segment == upstream.min_samples == getattr(upstream, "max_samples", None)
    return segment if is_fixed else None


def resolve_layers(upstream: Upstream, asked: Sequence[str]) -> tuple[str, ...]:
    """The names that `encode` will be asked for: `all` becomes every layer, the rest is checked.

    Raises:
      UserError: for a layer that the encoder does not have.
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
    """How far a wave's frames may change with the other waves of its batch, relative to the largest value.

    Args:
      upstream: an encoder.

    Returns:
      its attribute `batch_tolerance`; without one 1e-5, or 0.05 where its attribute `autocast` names half precision.
    """
    half = getattr(upstream, "autocast", "none") != "none"
    return getattr(upstream, "batch_tolerance", _HALF_PRECISION_TOLERANCE if half else _TOLERANCE)


def further_layers(upstream: Upstream) -> tuple[str, ...]:
    """Names of an encoder's frames that are no hidden states; none for most encoders."""
    return tuple(getattr(upstream, "further_layers", ()))


def true_layer(layers: Sequence[str], layer: str) -> str:
    """The layer's own name: `last` is another word for the last of an encoder's `layers`."""
    return layers[-1] if layer == "last" else layer


def require_known_layers(upstream_name: str, available: Sequence[str], asked: Sequence[str]) -> None:
    """Refuse a layer that is neither available nor `last`; for an upstream's `encode`.

    Args:
      upstream_name: name of the upstream, for the message.
      available: names of the upstream's layers.
      asked: names of the layers that are asked for.

    Raises:
      UserError: if a layer is unknown; the message names the layer and the available layers.
    """
    unknown = [layer for layer in asked if layer != "last" and layer not in available]
    if unknown:
        raise UserError(f"upstream {upstream_name} has no layer '{unknown[0]}'; it has {', '.join(available)}")
