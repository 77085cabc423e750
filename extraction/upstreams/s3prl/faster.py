"""Compute some modules of s3prl's encoders in another way that gives the same features and is much faster on a CPU.

- The convolutions of wav2vec and vq-wav2vec, and the masked ones of NPC, use fewer products (`convolution.py`). Features change
  only by rounding.
- For every frame, the quantizer of vq-wav2vec multiplies its codebook by a row of zeros with a single 1. Here that row of the
  codebook is selected.

Everything else is unchanged: modules, names, weights and hooks. `--no-faster` leaves all modules unchanged.
"""

from typing import Any

import torch

from extraction.upstreams.s3prl.convolution import FastConvolution, serves

# Folders of s3prl whose convolutions become faster: wide ones whose width is a multiple of their stride.
CONVOLUTIONAL = ("wav2vec", "vq_wav2vec", "npc")


def speed_up(folder: str, expert: Any) -> int:
    """Change the forward passes of an expert's modules.

    Args:
      folder: the folder in s3prl that defines the expert.
      expert: the expert, in evaluation mode, on a CPU.

    Returns:
      the number of changed modules.
    """
    if folder not in CONVOLUTIONAL:
        return 0
    changed = 0
    quantizer: Any = getattr(expert.model, "vector_quantizer", None)
    # A change by rounding could make a quantizer choose another code, so no module before a quantizer is changed.
    untouched = set(expert.model.feature_extractor.modules()) if quantizer is not None else set()
    if type(quantizer).__name__ == "GumbelVectorQuantizer":
        quantizer.forward = _picking(quantizer)
        changed += 1
    module: Any
    for module in expert.modules():
        if module in untouched:
            continue
        # NPC's other convolutions are narrow: they gain little, and the masked ones would amplify their rounding errors.
        if type(module).__name__ == "MaskConvBlock":
            module.forward = _masked(module)
            changed += 1
        elif folder != "npc" and type(module) is torch.nn.Conv1d and serves(module):
            convolution: Any = module
            convolution.forward = FastConvolution(module, module.weight)
            changed += 1
    return changed


def _masked(block: Any) -> Any:
    """The forward pass of NPC's masked convolution. The weight is masked once, and not in every forward pass."""
    convolution = FastConvolution(block.conv, block.conv_mask * block.conv.weight)
    return lambda features: block.act(convolution(features).transpose(1, 2))


def _picking(quantizer: Any) -> Any:
    """The forward pass of s3prl's `GumbelVectorQuantizer` in evaluation mode, without the results that only training needs."""

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
