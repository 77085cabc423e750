"""An s3prl expert as an upstream: it computes the true frames of waves of equal length."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from extraction.upstreams.base import PAPER_SEGMENT_SAMPLES, require_known_layers, true_layer
from extraction.upstreams.isolation import random_states_kept
from extraction.upstreams.s3prl.paper import S3PRL_RATE
from extraction.upstreams.torch_runtime import inference, without_autocast
from jfewshot.errors import UserError

# Measured with two processes of one thread each: APC encodes 10, 25, 35 and 36 segments per second in batches of 1, 8, 32 and 64.
RECURRENT_BATCH = 32


@dataclasses.dataclass(eq=False)
class S3prlUpstream:
    """One of s3prl's experts behind the interface of `extraction.upstreams.base.Upstream`.

    The expert's own code is called directly, and not `s3prl.nn.S3PRLUpstream`, which pads the frames of each layer to a common
    number by repeating the last frame. This would change the features.

    Attributes beyond the interface:
      expert: s3prl's module, in evaluation mode, on `device`.
      autocast: `none`, `bf16` or `fp16`.
      max_samples: longer waves are refused, since s3prl would silently cut them into pieces; None if s3prl does not cut.
    """

    name: str
    title: str
    revision: str
    licence: str
    source: str
    n_parameters: int | None
    min_samples: int
    layers: tuple[str, ...]
    expert: torch.nn.Module
    device: torch.device
    autocast: str
    max_samples: int | None
    sample_rate: int = S3PRL_RATE
    segment_samples: int | None = PAPER_SEGMENT_SAMPLES
    packages: tuple[str, ...] = ("s3prl", "torch", "torchaudio")

    @property
    def cpu_batch_size(self) -> int | None:
        """The batch size on a CPU. Larger batches are faster for a recurrent network, since it reads its weights again at
        each of 500 steps."""
        recurrent = any(isinstance(module, torch.nn.RNNBase) for module in self.expert.modules())
        return RECURRENT_BATCH if recurrent else None

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Frames of the requested layers; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if waves are shorter than `min_samples` or longer than `max_samples`.
        """
        require_known_layers(self.name, self.layers, layers)
        length = waves.shape[1]
        if length < self.min_samples:
            raise UserError(
                f"{self.name} needs at least {self.min_samples} samples at {self.sample_rate} Hz for finite features; this wave "
                f"has {length}. Let short clips be repeated to a segment, or leave them out"
            )
        if self.max_samples is not None and length > self.max_samples:
            raise UserError(
                f"s3prl cuts waves of more than {self.max_samples / self.sample_rate:.2f} s into pieces for {self.name}, "
                f"and this one has {length / self.sample_rate:.2f} s. Cut clips into segments, as the paper did (5 s)"
            )
        with random_states_kept(), inference(self.device, self.autocast), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Support for mismatched key_padding_mask"
            )  # WavLM's masks, which are all False here
            states = hidden_states(self.expert, torch.from_numpy(np.array(waves, np.float32)).to(self.device))
            return {layer: _to_numpy(states[int(true_layer(self.layers, layer))]) for layer in layers}


def hidden_states(expert: torch.nn.Module, waves: torch.Tensor) -> Sequence[torch.Tensor]:
    """All hidden states of equally long waves, each batch x frames x dim.

    Raises:
      UserError: if the expert returns something else.
    """
    output: dict[str, Any] = expert(list(waves))
    states = output.get("hidden_states", (output["last_hidden_state"],) if "last_hidden_state" in output else ())
    if not states or any(state.dim() != 3 or len(state) != len(waves) for state in states):
        seen: list[Any] = [tuple(state.shape) for state in states] or sorted(output)
        raise UserError(
            f"{type(expert).__module__} returns {seen} for {len(waves)} waves; hidden states of batch x frames x dim are needed"
        )
    return states


def as_arrays(
    expert: torch.nn.Module, device: torch.device
) -> Callable[[Float32[np.ndarray, "batch samples"]], list[Float32[np.ndarray, "batch frames dim"]]]:
    """A function like `hidden_states` that takes and returns NumPy arrays."""
    return lambda waves: [_to_numpy(state) for state in hidden_states(expert, torch.from_numpy(waves).to(device))]


def _to_numpy(state: torch.Tensor) -> Float32[np.ndarray, "batch frames dim"]:
    return state.float().cpu().numpy()


def settle(expert: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Prepare an expert for inference: evaluation mode, on the device, filter banks in float32, without the loaded checkpoint.

    s3prl returns experts in training mode. In this mode dropout is on, and NPC's batch statistics change even without gradients.
    """
    expert.eval().requires_grad_(False).to(device)
    module: Any
    for module in list(expert.modules()):
        if hasattr(module, "all_states"):
            del module.all_states  # the whole checkpoint, including the optimizer
        for name in ("preprocessor", "extracter"):
            front_end = getattr(module, name, None)
            if isinstance(front_end, torch.nn.Module):
                front_end.forward = without_autocast(front_end.forward)
    return expert


def longest_uncut(expert: Any) -> int | None:
    """The longest wave that the code of TERA and Mockingjay does not cut into pieces; None for other encoders.

    n samples give 1 + n // 160 frames, so a wave of exactly 15 s has 1,501 frames and is cut in two.
    """
    transformer = getattr(expert, "transformer", None)
    frames = getattr(transformer, "max_input_length", 0)
    return frames * expert.get_downsample_rates("") - 1 if frames else None
