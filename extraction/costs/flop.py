"""Floating-point operations of an encoder for one wave, where they can be counted."""

import logging

import numpy as np

from extraction.upstreams.base import Upstream

logger = logging.getLogger(__name__)


def flop_of(upstream: Upstream, samples: int) -> int | None:
    """Count the multiplications and additions of one forward pass: those of matrix products and of convolutions.

    A multiplication and an addition are two operations. Filter banks, norms and activations are not counted; in networks they
    are about a hundredth of all operations. This function counts the operations of networks in PyTorch
    (`torch.utils.flop_counter`), JAX and ONNX. Integer operations of 8-bit networks count like others.

    Args:
      upstream: a loaded encoder.
      samples: length of the wave.

    Returns:
      operations for one wave; None if they cannot be counted.
    """
    packages = set(getattr(upstream, "packages", ()))
    wave = 0.1 * np.random.default_rng(0).standard_normal((1, samples), np.float32)

    def encode() -> object:
        return upstream.encode(wave, ["last"])

    try:
        if "torch" in packages:
            from extraction.costs.in_torch import count_torch

            return count_torch(encode) or None
        if "jax" in packages:
            from extraction.costs.in_jax import count_jax

            traced = getattr(upstream, "traced", None)
            return None if traced is None else count_jax(traced, wave) or None
        if "onnxruntime" in packages:
            from extraction.costs.in_onnx import count_onnx

            return count_onnx(upstream, encode) or None
    except Exception as error:
        # An error during counting must not end an extraction, and counting can fail in many ways: it runs code of other
        # packages under instrumentation for which that code was not written.
        logger.info("operations of %s were not counted (%s: %s)", upstream.name, type(error).__name__, error)
    return None
