"""Resemblyzer: a speaker encoder of three LSTM layers, trained with the GE2E loss (Wan et al., arXiv 1710.10467).

The computation is that of its package: 40 mel bands (power, not log), quiet waves raised to -30 dBFS, partial utterances of 1.6 s
that begin every 0.77 s. Each partial utterance gives one unit vector, and the mean of these is the utterance's embedding. Two
things differ: there is no voice activity detection, and only partial utterances that are completely inside the wave are used
(a wave under 1.6 s is one shorter partial utterance), so nothing is padded.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32

from extraction.upstreams.base import PAPER_SEGMENT_SAMPLES, UpstreamOptions, require_known_layers
from extraction.upstreams.mel import power_spectrogram, slaney_filters
from extraction.upstreams.packaged import packaged_weights

_N_FFT = 400  # 25 ms
_HOP_LENGTH = 160  # 10 ms
_PARTIAL_FRAMES = 160  # 1.6 s
_PARTIAL_STEP = 77  # frames: 1.3 partials per second
_TARGET_DBFS = -30.0


class Resemblyzer:
    """Each frame is the unit vector of one partial utterance: 256 numbers, none of them negative."""

    name = "resemblyzer"
    title = "Resemblyzer"
    licence = "Apache-2.0"
    source = "https://github.com/resemble-ai/Resemblyzer (PyPI: resemblyzer 0.1.4)"
    sample_rate = 16_000
    segment_samples = PAPER_SEGMENT_SAMPLES
    min_samples = 400
    layers = ("last",)
    packages = ("torch",)

    def __init__(self, options: UpstreamOptions):
        path, self.revision = packaged_weights(
            "resemblyzer",
            "0.1.4",
            "resemblyzer/pretrained.pt",
            "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
            options,
        )
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        self._filters = slaney_filters(self.sample_rate, _N_FFT, n_mels=40)
        self._lstm = torch.nn.LSTM(40, 256, num_layers=3, batch_first=True)
        self._linear = torch.nn.Linear(256, 256)
        network = torch.nn.ModuleDict({"lstm": self._lstm, "linear": self._linear})
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        # The file also has the two parameters of the training loss, which the encoder does not need.
        network.load_state_dict({key: value for key, value in state.items() if not key.startswith("similarity_")})
        network.eval()
        self.n_parameters = sum(parameter.numel() for parameter in network.parameters())

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames 256"]]:
        """Compute the unit vectors of the partial utterances."""
        require_known_layers(self.name, self.layers, layers)
        mels = np.stack([self._mel(wave) for wave in waves])
        length = min(_PARTIAL_FRAMES, mels.shape[1])
        starts = range(0, mels.shape[1] - length + 1, _PARTIAL_STEP)
        partials = np.stack([mels[:, start : start + length] for start in starts], axis=1)
        with torch.inference_mode():
            _, (hidden, _) = self._lstm(torch.from_numpy(partials.reshape(-1, length, 40)))
            embeddings = torch.relu(self._linear(hidden[-1]))
            # If all 256 values of a partial utterance are zero, its vector stays zero.
            embeddings = torch.nn.functional.normalize(embeddings, dim=1)
        return dict.fromkeys(layers, embeddings.numpy().reshape(len(waves), len(starts), 256))

    def _mel(self, wave: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "frames 40"]:
        rms = float(np.sqrt(np.mean(wave.astype(np.float64) ** 2)))
        if rms > 0:
            wave = wave * np.float32(max(1.0, 10 ** (_TARGET_DBFS / 20) / rms))
        return (self._filters @ power_spectrogram(wave, _N_FFT, _HOP_LENGTH, "constant")).T


def resemblyzer(options: UpstreamOptions) -> Resemblyzer:
    """The pretrained GE2E speaker encoder."""
    return Resemblyzer(options)
