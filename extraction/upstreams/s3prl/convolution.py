"""Convolutions of long sequences with fewer products, equal to torch's convolutions up to rounding.

A convolution of width k computes k matrix products (input channels x output channels) for each frame. Frames in blocks of m can
share products. The k taps and the block's n inputs, m + k - 1 or more, are transformed by small constant matrices, multiplied
element by element, and transformed back:

    m frames = A' ((G taps) * (B' inputs)),    A': m x r, G: r x k, B': r x n

This needs r products instead of m k (Winograd 1980; for networks Lavin and Gray, arXiv 1509.09308): 1.5 products per frame for
three taps, and 2.4 for thirteen. Strides are removed first: with stride s, every s-th tap is applied to every s-th input, so that
a convolution of width 8 and stride 4 becomes one of width 2 with four times the channels.

Use this only on CPUs and in float32: GPUs are fast enough at products, and in half precision the transforms lose too many digits.
"""

import dataclasses

import numpy as np
import torch
from jaxtyping import Float, Float64

# Rows of a matrix product: enough to be efficient, and few enough for the caches.
_ROWS = 512
# Frames per block for two or three taps, where we interpolate at rational points.
_RATIONAL_BLOCK = 4
_POINTS = (0.0, 1.0, -1.0, 0.5, -0.5)
# Lengths of the Fourier transforms for wider convolutions. They are so long that at least half of a block's inputs are new.
_FOURIER_LENGTHS = (16, 32)
_MOST_TAPS = 16
_LEAST_TAPS = 2


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """The matrices A' (`outputs`), G (`taps`) and B' (`inputs`) of the formula above."""

    outputs: Float64[np.ndarray, "block products"]
    taps: Float64[np.ndarray, "products width"]
    inputs: Float64[np.ndarray, "products reach"]


def algorithm(width: int) -> Algorithm:
    """The algorithm for `width` taps, 2 to 16."""
    if width <= 3:
        return rational(_RATIONAL_BLOCK, width)
    return fourier(next(length for length in _FOURIER_LENGTHS if length >= 2 * width), width)


def rational(block: int, width: int) -> Algorithm:
    """The algorithm of Toom and Cook: polynomials are evaluated at `block + width - 2` rational points and at infinity.

    The algorithm is the transpose of the product of a polynomial with `block` coefficients and one with `width`.
    """
    n = block + width - 1
    powers = np.array(_POINTS[: n - 1])[:, None] ** np.arange(n)
    at = lambda length: np.vstack([powers[:, :length], np.eye(length)[-1]])  # noqa: E731 - used below only
    return Algorithm(at(block).T, at(width), np.linalg.inv(at(n)).T)


def fourier(n: int, width: int) -> Algorithm:
    """The algorithm with a Fourier transform of length n. Each complex product is computed from three real ones (Gauss).

    The values at the frequencies f and n - f are conjugates, so only one of them is computed.
    """
    block = n - width + 1
    values = np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
    outputs: list[np.ndarray] = []
    taps: list[np.ndarray] = []
    inputs: list[np.ndarray] = []
    for frequency in range(n // 2 + 1):
        out, tap, given = values[frequency, :block], values[frequency, :width], values[frequency].conj() / n
        if frequency in (0, n // 2):
            outputs, taps, inputs = [*outputs, out.real], [*taps, tap.real], [*inputs, given.real]
            continue
        outputs += [2 * (out.real - out.imag), -2 * out.imag, -2 * out.real]
        taps += [tap.real, tap.imag - tap.real, tap.real + tap.imag]
        inputs += [given.real + given.imag, given.real, given.imag]
    return Algorithm(np.array(outputs).T, np.array(taps), np.array(inputs))


def serves(convolution: torch.nn.Conv1d) -> bool:
    """Whether `FastConvolution` can replace a convolution and is faster."""
    width, stride = convolution.kernel_size[0], convolution.stride[0]
    return (
        convolution.groups == 1
        and convolution.dilation == (1,)
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
        and convolution.in_channels > 1
        and width % stride == 0
        and _LEAST_TAPS <= width // stride <= _MOST_TAPS
    )


class FastConvolution:
    """Replaces a `torch.nn.Conv1d` for which `serves` is true.

    Args:
      convolution: the convolution, from which stride, padding and bias are taken.
      weight: the convolution's weight, or another weight to use instead.
    """

    def __init__(self, convolution: torch.nn.Conv1d, weight: Float[torch.Tensor, "out in width"]):
        assert not isinstance(convolution.padding, str)  # see `serves`
        self._stride, self._padding = convolution.stride[0], convolution.padding[0]
        self._width = weight.shape[2]
        self._bias = convolution.bias
        way = algorithm(self._width // self._stride)
        self._block, self._products = way.outputs.shape
        self._reach = way.inputs.shape[1]
        by_phase = weight.detach().double().cpu().unflatten(2, (-1, self._stride))  # out x in x taps x phases
        transformed = torch.einsum("rk,oikp->rpio", torch.from_numpy(way.taps), by_phase)
        self._taps = transformed.flatten(1, 2).float().contiguous()
        self._inputs = torch.from_numpy(way.inputs).float()
        self._outputs = torch.from_numpy(way.outputs).float()

    def __call__(self, given: Float[torch.Tensor, "batch in samples"]) -> Float[torch.Tensor, "batch out frames"]:
        """Compute the convolution. In memory, the channels of a frame are adjacent, and frames follow each other."""
        channels, samples = given.shape[1], given.shape[2] + 2 * self._padding
        frames = (samples - self._width) // self._stride + 1
        if frames < 1:
            raise RuntimeError(f"{samples} samples are fewer than the {self._width} taps of a convolution")
        blocks = -(-frames // self._block)
        needed = self._stride * (self._block * (blocks - 1) + self._reach)
        ordered = given.new_zeros(len(given), max(needed, samples), channels)
        ordered[:, self._padding : self._padding + given.shape[2]] = given.transpose(1, 2)
        # Remove the stride: for each frame, one row with the channels of all phases.
        ordered = ordered[:, : needed // self._stride * self._stride].unflatten(1, (-1, self._stride)).flatten(2)
        result = given.new_empty(len(given), blocks * self._block, self._taps.shape[2])
        waves = max(1, _ROWS // blocks)
        for wave in range(0, len(given), waves):
            for block in range(0, blocks, _ROWS):
                self._some_blocks(ordered[wave : wave + waves], result[wave : wave + waves], block)
        result = result[:, :frames]
        return (result if self._bias is None else result.add_(self._bias)).transpose(1, 2)

    def _some_blocks(self, ordered: torch.Tensor, result: torch.Tensor, first: int) -> None:
        """Compute up to `_ROWS` blocks of each wave's result."""
        count = min(_ROWS, result.shape[1] // self._block - first)
        rows = ordered.new_empty(len(ordered) * count, self._products, ordered.shape[2])
        for wave, of_wave in enumerate(ordered):
            # Overlapping blocks, without copying: each begins `block` rows after the previous one.
            (step, within), start = of_wave.stride(), of_wave.storage_offset()
            overlapping = of_wave.as_strided(
                (count, self._reach, of_wave.shape[1]),
                (self._block * step, step, within),
                start + first * self._block * step,
            )
            here = slice(wave * count, (wave + 1) * count)
            torch.bmm(self._inputs.expand(count, -1, -1), overlapping, out=rows[here])
        products = torch.bmm(rows.transpose(0, 1), self._taps)
        for wave, of_wave in enumerate(result):
            here = slice(wave * count, (wave + 1) * count)
            frames = of_wave[first * self._block : (first + count) * self._block].unflatten(0, (count, self._block))
            torch.bmm(self._outputs.expand(count, -1, -1), products[:, here].transpose(0, 1), out=frames)
