"""Log-mel filter banks as Kaldi computes them, jitted and batched.

The steps are those of Kaldi's `compute-fbank-feats --dither=0 --snip-edges=true`: frames, removal of the mean of each frame,
pre-emphasis, window, power spectrum, triangular filters on the mel axis, logarithm.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jfewshot.simclr.settings import FbankSettings

# Smallest energy before the logarithm: Kaldi's std::numeric_limits<float>::epsilon().
LOG_FLOOR = float(np.finfo(np.float32).eps)


def n_frames(n_samples, settings: FbankSettings = FbankSettings()):
    """Number of whole frames (`snip_edges`): 1 + (n - frame) // hop, or 0 for less than a frame.

    Works on Python integers and on arrays of any shape.
    """
    frames = 1 + (n_samples - settings.frame_length) // settings.hop_length
    if isinstance(n_samples, int):
        return max(frames, 0)
    return jnp.maximum(frames, 0)


@functools.partial(jax.jit, static_argnames="settings")
def fbank(
    wave: Float[Array, "*batch samples"],
    length: Int[Array, "*batch"] | None = None,
    settings: FbankSettings = FbankSettings(),
) -> tuple[Float[Array, "*batch frames mels"], Int[Array, "*batch"]]:
    """Compute the log-mel energies of a batch of padded waves.

    Args:
      wave: samples in [-1, 1].
      length: number of true samples of each wave; None if all samples are true.
      settings: settings of the filter bank; static.

    Returns:
      features, natural logarithms, zero in frames that reach past the end of a wave; and the number of true frames of each
      wave. A wave shorter than a frame has no true frames.
    """
    length = jnp.full(wave.shape[:-1], wave.shape[-1]) if length is None else length
    total = n_frames(wave.shape[-1], settings)
    true_frames = n_frames(length, settings)
    if total == 0:
        return jnp.zeros((*wave.shape[:-1], 0, settings.n_mels), jnp.float32), true_frames

    frames = _frames(wave * settings.scale, total, settings)
    frames = frames - jnp.mean(frames, axis=-1, keepdims=True)
    # Kaldi repeats the first sample before the first: x[0] -= 0.97 x[0].
    previous = jnp.concatenate([frames[..., :1], frames[..., :-1]], axis=-1)
    frames = (frames - settings.preemphasis * previous) * povey_window(settings.frame_length)
    spectrum = jnp.fft.rfft(frames, n=settings.n_fft)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    energies = jnp.matmul(power[..., :-1], mel_filters(settings), precision=jax.lax.Precision.HIGHEST)
    features = jnp.log(jnp.maximum(energies, LOG_FLOOR))
    return jnp.where(jnp.arange(total)[:, None] < true_frames[..., None, None], features, 0.0), true_frames


def _frames(
    wave: Float[Array, "*batch samples"], total: int, settings: FbankSettings
) -> Float[Array, "*batch frames frame"]:
    """Cut waves into overlapping frames, which are joined from reshaped hops, since a gather of all samples is far slower."""
    frame, hop = settings.frame_length, settings.hop_length
    hops_per_frame = -(-frame // hop)
    n_hops = total - 1 + hops_per_frame
    missing = max(n_hops * hop - wave.shape[-1], 0)
    padded = jnp.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, missing)])[..., : n_hops * hop]
    hops = padded.reshape(*wave.shape[:-1], n_hops, hop)
    pieces = [hops[..., k : k + total, :] for k in range(hops_per_frame)]
    return jnp.concatenate(pieces, axis=-1)[..., :frame]


@functools.cache
def povey_window(n: int) -> np.ndarray:
    """Kaldi's window: a symmetric Hann window, zero at both ends, to the power 0.85."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n - 1))).__pow__(0.85).astype(np.float32)


def _mel(hz):
    return 1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0)


def _edges(settings: FbankSettings) -> np.ndarray:
    """Edges and centres of the triangular filters on the mel axis: filter k has entries k, k + 1 and k + 2."""
    return np.linspace(_mel(settings.low_hz), _mel(settings.high_hz or settings.sample_rate / 2), settings.n_mels + 2)


@functools.cache
def mel_centres(settings: FbankSettings = FbankSettings()) -> np.ndarray:
    """Centres of the triangular filters in Hz: float32, (n_mels,)."""
    return (700.0 * np.expm1(_edges(settings)[1:-1] / 1127.0)).astype(np.float32)


@functools.cache
def mel_filters(settings: FbankSettings = FbankSettings()) -> np.ndarray:
    """Make triangular filters of equal width and height one on the axis mel = 1127 ln(1 + f / 700).

    Returns:
      float32, (n_fft / 2, n_mels); the bin at half the sample rate is left out, as in Kaldi.
    """
    edges = _edges(settings)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = _mel(np.arange(settings.n_fft // 2) * settings.sample_rate / settings.n_fft)[:, None]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
