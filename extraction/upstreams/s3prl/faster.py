"""Computes some modules of s3prl's encoders in another way, with the same features, because it is much faster on a
CPU.

- wav2vec's and vq-wav2vec's convolutions and NPC's masked ones take fewer products (`convolution.py`): features move by rounding.
- vq-wav2vec's quantizer multiplies its codebook by rows of one 1 and many 0s, for every frame; here that row is picked.

Everything else is s3prl's: modules, names, weights and hooks stay where they are. `--no-faster` leaves all as it is.
"""

from typing import Any

import torch

from extraction.upstreams.s3prl.convolution import FastConvolution, serves

# Folders of s3prl's whose convolutions gain: wide ones, whose stride divides their width.
CONVOLUTIONAL = ("wav2vec", "vq_wav2vec", "npc")


def speed_up(folder: str, expert: Any) -> int:
    """Change the forward passes of an expert's modules.

    Args:
      folder: where in s3prl the expert is from.
      expert: in evaluation mode, on a CPU.

    Returns:
      How many modules were changed.
    """
    if folder not in CONVOLUTIONAL:
        return 0
    changed = 0
    quantizer: Any = getattr(expert.model, "vector_quantizer", None)
    # Rounding would now and then let a quantizer choose another code: nothing before one is touched.
    untouched = set(expert.model.feature_extractor.modules()) if quantizer is not None else set()
    if type(quantizer).__name__ == "GumbelVectorQuantizer":
        quantizer.forward = _picking(quantizer)
        changed += 1
    module: Any
    for module in expert.modules():
        if module in untouched:
            continue
        # NPC's other convolutions are narrow: little to gain, and the masked ones would magnify their rounding.
        if type(module).__name__ == "MaskConvBlock":
            module.forward = _masked(module)
            changed += 1
        elif folder != "npc" and type(module) is torch.nn.Conv1d and serves(module):
            convolution: Any = module
            convolution.forward = FastConvolution(module, module.weight)
            changed += 1
    return changed


def _masked(block: Any) -> Any:
    """NPC's: the mask is multiplied into the weight once, not in every forward pass."""
    convolution = FastConvolution(block.conv, block.conv_mask * block.conv.weight)
    return lambda features: block.act(convolution(features).transpose(1, 2))


def _picking(quantizer: Any) -> Any:
    """Forward pass of s3prl's `GumbelVectorQuantizer` in evaluation mode, without what only training wants to know."""

    def forward(features: torch.Tensor, produce_targets: bool = False) -> dict[str, torch.Tensor]:
        ordered = features if quantizer.time_first else features.transpose(1, 2)
        batch, frames, _ = ordered.shape
        scores = quantizer.weight_proj(ordered.flatten(0, 1))
        chosen = scores.unflatten(1, (quantizer.groups, -1)).max(-1).indices
        offsets = 0 if quantizer.combine_groups else quantizer.num_vars * torch.arange(quantizer.groups)
        quantized = quantizer.vars[0][chosen + offsets].reshape(batch, frames, -1)
        result = {"x": quantized if quantizer.time_first else quantized.transpose(1, 2)}
        return result | ({"targets": chosen.unflatten(0, (batch, frames))} if produce_targets else {})

    return forward
