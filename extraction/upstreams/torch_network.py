"""Wraps a PyTorch network of the project as an upstream."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float32

from extraction.upstreams.base import PAPER_SAMPLE_RATE, PAPER_SEGMENT_SAMPLES, require_known_layers, true_layer
from extraction.upstreams.torch_runtime import inference
from jfewshot.errors import UserError


@dataclasses.dataclass(eq=False)
class TorchUpstream:
    """Hidden states of a network behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      states: function from waves, batch x samples on the device, to the hidden states, batch x frames x dim, one for each layer.
      device: device on which it computes.
      autocast: `none`, `bf16` or `fp16`.
    """

    name: str
    title: str
    revision: str
    licence: str
    source: str
    n_parameters: int
    min_samples: int
    layers: tuple[str, ...]
    states: Callable[[torch.Tensor], Sequence[torch.Tensor]]
    device: torch.device
    autocast: str
    sample_rate: int = PAPER_SAMPLE_RATE
    segment_samples: int | None = PAPER_SEGMENT_SAMPLES
    packages: tuple[str, ...] = ("torch",)

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Frames of the requested layers; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if waves are shorter than `min_samples`.
        """
        require_known_layers(self.name, self.layers, layers)
        if waves.shape[1] < self.min_samples:
            raise UserError(
                f"{self.name} needs at least {self.min_samples} samples at {self.sample_rate} Hz; this wave has "
                f"{waves.shape[1]}. Let short clips be repeated to a segment, or leave them out"
            )
        with inference(self.device, self.autocast):
            states = self.states(torch.from_numpy(np.array(waves, np.float32)).to(self.device))
            by_name = dict(zip(self.layers, states, strict=True))
            return {layer: by_name[true_layer(self.layers, layer)].float().cpu().numpy() for layer in layers}
