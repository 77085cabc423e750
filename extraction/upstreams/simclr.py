"""The project's own encoders, trained by `jfewshot.simclr` and exported to a folder: `simclr:FOLDER`. Needs JAX and no torch."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import jax
import jax.extend.core
import numpy as np
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers
from jfewshot.errors import UserError
from jfewshot.simclr.export import LoadedEncoder, read_encoder

SEGMENT_S = 5
COMPUTE_TYPES: dict[str, Literal["float32", "bfloat16"]] = {"none": "float32", "bf16": "bfloat16"}


@dataclasses.dataclass(eq=False)
class SimclrUpstream:
    """An exported encoder behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      encoder: the exported encoder, which also computes its filter bank on the device.
      jax_device: device on which it runs.
      autocast: `none` or `bf16`.
      further_layers: `input`, the normalised filter bank.
      default_view: the view that encoder.json names.
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
    encoder: LoadedEncoder
    jax_device: jax.Device
    autocast: str
    further_layers: tuple[str, ...]
    default_view: str | None
    packages: tuple[str, ...] = ("flax", "jax")

    @property
    def device(self) -> str:
        """The device in torch's notation, for instance `cpu:0` or `gpu:1`; callers use it to find out whether it is a GPU."""
        return f"{self.jax_device.platform}:{self.jax_device.id}"

    def traced(self, waves: Float32[np.ndarray, "batch samples"], layer: str) -> jax.extend.core.ClosedJaxpr:
        """Trace the forward pass to JAX's expressions, without computing it; used for counting operations."""
        return self.encoder.traced(waves, layer)

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Frames of the requested layers; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if waves are shorter than a frame.
        """
        require_known_layers(self.name, (*self.layers, *self.further_layers), layers)
        with _on(self.jax_device):
            frames = self.encoder(waves, tuple(dict.fromkeys(layers)))
        return {layer: np.asarray(frames[layer], np.float32) for layer in layers}


def load_simclr(rest: str, options: UpstreamOptions) -> SimclrUpstream:
    """Load an exported encoder.

    Args:
      rest: the folder that `python -m jfewshot.simclr.export` wrote.
      options: device; autocast `bf16` for products in bfloat16. Without autocast, float32 is used, whatever was used in training.

    Raises:
      UserError: if the folder does not exist, if the weights are damaged, if the encoder has no filter bank, or if JAX does not
        have the device.
    """
    folder = read_encoder(options.checkpoint or Path(rest).expanduser())
    if folder.fbank is None:
        raise UserError(
            f"encoder {folder.name} does not say how its input features are computed (it may be a converted TERA); use tera_960hr"
        )
    if options.autocast not in COMPUTE_TYPES:
        raise UserError(f"simclr: encoders run in float32 or bf16, not in {options.autocast}")
    config = dataclasses.replace(folder.config, compute_dtype=COMPUTE_TYPES[options.autocast])
    device = _device(options.device)
    with _on(device):
        encoder = LoadedEncoder(dataclasses.replace(folder, config=config))
    return SimclrUpstream(
        name=encoder.name,
        title=encoder.title,
        revision=f"sha256:{encoder.revision}" + (f" {options.autocast}" if options.autocast != "none" else ""),
        licence=encoder.licence,
        source=encoder.source,
        n_parameters=encoder.n_parameters,
        sample_rate=encoder.sample_rate,
        segment_samples=SEGMENT_S * encoder.sample_rate,
        min_samples=encoder.min_samples,
        layers=encoder.layers,
        encoder=encoder,
        jax_device=device,
        autocast=options.autocast,
        further_layers=encoder.further_layers,
        default_view=folder.default_view or None,
    )


def _device(asked: str) -> jax.Device:
    if asked == "auto":
        return jax.devices()[0]
    platform, _, number = asked.partition(":")
    try:
        return jax.devices(platform)[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        there = ", ".join(sorted({f"{device.platform}:{device.id}" for device in jax.devices()}))
        raise UserError(
            f"JAX has no device {asked}; it has {there} (pip install 'jfewshot[cuda]' for NVIDIA GPUs)"
        ) from error


@contextlib.contextmanager
def _on(device: jax.Device) -> Iterator[None]:
    """Use the device, and compute products in float32: by default, JAX rounds their factors on GPUs and TPUs."""
    with jax.default_device(device), jax.default_matmul_precision("highest"):
        yield
