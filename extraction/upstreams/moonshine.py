"""Moonshine tiny: the encoder of an English speech recogniser on raw waves (Jeffries et al., arXiv 2410.15608)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from extraction.upstreams.base import PAPER_SEGMENT_SAMPLES, UpstreamOptions, require_known_layers
from extraction.upstreams.onnx_session import open_onnx
from extraction.upstreams.packaged import packaged_weights


class Moonshine:
    """A frame of 288 numbers every 24 ms.

    The network takes utterances of any length (its positions are rotary), so a segment is a wave of 5 s without padding or
    windows.
    """

    name = "moonshine_tiny"
    title = "Moonshine tiny"
    licence = "MIT"
    source = "https://github.com/moonshine-ai/moonshine (PyPI: moonshine-voice 0.0.65)"
    n_parameters = None
    sample_rate = 16_000
    segment_samples = PAPER_SEGMENT_SAMPLES
    min_samples = 895
    layers = ("last",)
    packages = ("onnxruntime",)

    def __init__(self, options: UpstreamOptions):
        path, self.revision = packaged_weights(
            "moonshine-voice",
            "0.0.65",
            "moonshine_voice/assets/tiny-en/encoder_model.ort",
            "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
            options,
        )
        self._session = open_onnx(path, options.threads)

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames 288"]]:
        """The encoder's output."""
        require_known_layers(self.name, self.layers, layers)
        frames = [self._frames(wave[None, :]) for wave in waves]
        return dict.fromkeys(layers, np.concatenate(frames))

    def _frames(self, wave: Float32[np.ndarray, "1 samples"]) -> Float32[np.ndarray, "1 frames 288"]:
        # One wave at a time: a batch of eight moved these features by up to 30% (8-bit arithmetic scaled by the batch).
        everything = np.ones(wave.shape, np.int64)
        return self._session.run(None, {"input_values": wave, "attention_mask": everything})[0]


def moonshine_tiny(options: UpstreamOptions) -> Moonshine:
    """The pretrained encoder for English."""
    return Moonshine(options)
