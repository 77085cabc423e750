"""FBANK and MFCC with deltas: s3prl's baselines without weights, but without normalisation per utterance.

The settings are s3prl's (upstream/baseline/fbank.yaml, mfcc.yaml): Kaldi's filter banks of 25-ms frames every 10 ms, first and
second deltas over 5 frames. s3prl then subtracts every utterance's mean and divides by its standard deviation (CMVN). This makes
the mean over time, and so the pooled embedding, zero for every clip. Therefore these encoders do not normalise.
"""

from collections.abc import Sequence

import kaldi_native_fbank
import numpy as np
from jaxtyping import Float32

from extraction.upstreams.base import PAPER_SEGMENT_SAMPLES, UpstreamOptions, require_known_layers


class KaldiBaseline:
    """`fbank` gives 80 log mel bands, `mfcc` 13 coefficients: the layer `static`. The layer `deltas` adds s3prl's two deltas.

    The last layer is `static`. The mean over time of a delta is the difference between a clip's ends divided by its length,
    which is nearly zero (on ESC-10 a norm of 0.06, compared with 58). Without the deltas, accuracy changes by less than 0.01%.
    """

    licence = "no weights"
    source = "s3prl's baseline settings, computed by kaldi-native-fbank"
    n_parameters = 0
    sample_rate = 16_000
    segment_samples = PAPER_SEGMENT_SAMPLES
    min_samples = 400
    layers = ("deltas", "static")
    threads = 1
    packages = ("kaldi-native-fbank",)

    def __init__(self, kind: str):
        self.name = kind
        self.title = {"fbank": "FBANK", "mfcc": "MFCC"}[kind]
        self.revision = f"kaldi {kind}, 25/10 ms, deltas of order 2 over 5 frames, no CMVN; 1"
        self._extractor, self._settings = _settings(kind)

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Frames of the static features; for the layer `deltas`, followed by first and second deltas."""
        require_known_layers(self.name, self.layers, layers)
        static = np.stack([self._static(wave) for wave in waves])
        frames = {"static": static, "last": static}
        if "deltas" in layers:
            first = deltas(static)
            frames["deltas"] = np.concatenate([static, first, deltas(first)], axis=2)
        return {layer: frames[layer] for layer in layers}

    def _static(self, wave: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "frames dim"]:
        computer = self._extractor(self._settings)
        computer.accept_waveform(self.sample_rate, wave)
        computer.input_finished()
        return np.stack([computer.get_frame(frame) for frame in range(computer.num_frames_ready)])


def deltas(features: Float32[np.ndarray, "batch frames dim"]) -> Float32[np.ndarray, "batch frames dim"]:
    """Slope of the least-squares line through 5 frames, the ends repeated: sum_n n (x[t+n] - x[t-n]) / 10 for n = 1, 2."""
    x = np.pad(features, ((0, 0), (2, 2), (0, 0)), mode="edge")
    return ((x[:, 3:-1] - x[:, 1:-3]) + 2 * (x[:, 4:] - x[:, :-4])) / np.float32(10)


def _settings(kind: str):
    if kind == "fbank":
        settings, extractor = kaldi_native_fbank.FbankOptions(), kaldi_native_fbank.OnlineFbank
        settings.mel_opts.num_bins = 80
    else:
        settings, extractor = kaldi_native_fbank.MfccOptions(), kaldi_native_fbank.OnlineMfcc
        settings.mel_opts.num_bins = 23
        settings.num_ceps = 13
    settings.frame_opts.samp_freq = KaldiBaseline.sample_rate
    settings.frame_opts.dither = 0.0  # by default Kaldi adds noise; torchaudio, which s3prl uses, does not
    settings.use_energy = False
    return extractor, settings


def fbank(options: UpstreamOptions) -> KaldiBaseline:
    """80 log mel bands with deltas."""
    return KaldiBaseline("fbank")


def mfcc(options: UpstreamOptions) -> KaldiBaseline:
    """13 cepstral coefficients with deltas."""
    return KaldiBaseline("mfcc")
