"""Settings of the log-mel filterbank."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FbankSettings:
    """Settings of the filter bank; the defaults are those of Kaldi, with 80 bins at 16 kHz."""

    sample_rate: int = 16_000
    """Sample rate in Hz; audio of another rate is resampled."""
    n_mels: int = 80
    """Number of mel bins."""
    frame_ms: float = 25.0
    """Length of a frame in milliseconds."""
    hop_ms: float = 10.0
    """Distance between the starts of neighbouring frames in milliseconds."""
    low_hz: float = 20.0
    """Lower edge of the lowest mel filter in Hz."""
    high_hz: float | None = None
    """Upper edge of the highest mel filter in Hz. Without this option, half of the sample rate."""
    preemphasis: float = 0.97
    """Coefficient c of the pre-emphasis filter x[n] - c * x[n - 1]."""
    scale: float = 1.0
    """Factor for samples, which lie in [-1, 1]. Kaldi's tools read 16-bit integers (scale 32768), which adds 20.8 to every
    bin above the floor. At 1.0 the logarithm's floor of 1.2e-7 is close to 16-bit quantisation noise, so that digital silence
    is no outlier."""

    @property
    def frame_length(self) -> int:
        """Samples per frame."""
        return int(self.sample_rate * self.frame_ms / 1000)

    @property
    def hop_length(self) -> int:
        """Samples from the start of one frame to the start of the next."""
        return int(self.sample_rate * self.hop_ms / 1000)

    @property
    def n_fft(self) -> int:
        """Size of the Fourier transform: the smallest power of two that is at least the length of a frame."""
        return 1 << (self.frame_length - 1).bit_length()
