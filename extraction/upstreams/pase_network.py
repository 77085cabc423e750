"""The network of PASE+ in plain PyTorch: SincNet, seven convolutions, a QRNN, and skip connections from every block.

Ravanelli et al., "Multi-task self-supervised learning for robust speech recognition" (arXiv 2001.09239), with the sinc filters of
arXiv 1808.00158 and the recurrent layer of arXiv 1611.01576. If the released software differs from the papers, the network
computes the same as the software, with which the published weights were trained. Parameters have the names in the published
checkpoint.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

_RATE = 16_000
_WIDTHS = (251, 20, 11, 11, 11, 11, 11, 11)  # of the kernels, in samples (first block) or in steps of the block before
_STRIDES = (1, 10, 2, 1, 2, 1, 2, 2)
_CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)
_DIM = 256
_LOWEST_HZ = _NARROWEST_HZ = 50.0

# The last block pads its input by 5 frames by reflection, which needs an input of at least 6 frames.
MIN_SAMPLES = 471
N_LAYERS = 9


class SincFilters(nn.Module):
    """Band-pass filters. Each has two learnt frequencies in Hz: its lower edge and its width, both at least 50 Hz."""

    def __init__(self) -> None:
        super().__init__()
        self.low_hz_ = nn.Parameter(torch.zeros(_CHANNELS[0], 1))
        self.band_hz_ = nn.Parameter(torch.zeros(_CHANNELS[0], 1))
        half = _WIDTHS[0] // 2
        # The original rounds both to float32. The points of its window end at 124.5, so they are not whole numbers.
        points = torch.linspace(0, _WIDTHS[0] / 2 - 1, half, dtype=torch.float64)
        window = 0.54 - 0.46 * torch.cos(2 * math.pi * points / _WIDTHS[0])
        time = 2 * math.pi * torch.arange(-half, 0, dtype=torch.float64) / _RATE
        self.register_buffer("window", window.float()[None], persistent=False)
        self.register_buffer("time", time.float()[None], persistent=False)

    def kernels(self) -> torch.Tensor:
        """The impulse responses, filters x 1 x 251."""
        low = _LOWEST_HZ + self.low_hz_.abs()
        high = torch.clamp(low + _NARROWEST_HZ + self.band_hz_.abs(), _LOWEST_HZ, _RATE / 2)
        time: torch.Tensor = self.get_buffer("time")
        left = (torch.sin(high * time) - torch.sin(low * time)) / (time / 2) * self.get_buffer("window")
        centre = 2 * (high - low)
        whole = torch.cat([left, centre, left.flip(1)], 1) / (2 * (high - low))
        return whole[:, None]

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        return F.conv1d(waves, self.kernels())


class Block(nn.Module):
    """A block: padding by reflection, convolution, batch normalisation, PReLU."""

    def __init__(self, number: int) -> None:
        super().__init__()
        width, stride, channels = _WIDTHS[number], _STRIDES[number], _CHANNELS[number]
        plain = stride == 1 and width % 2 == 1
        self._edges = (width // 2, width // 2) if plain else (width // 2 - 1, width // 2)
        self.conv: nn.Module = nn.Conv1d(_CHANNELS[number - 1], channels, width, stride) if number else SincFilters()
        self.norm = nn.BatchNorm1d(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.norm(self.conv(F.pad(x, self._edges, mode="reflect"))))


class QrnnLayer(nn.Module):
    """A quasi-recurrent layer with a window of two frames; the forget gate is the weight of the new value."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * dim, 3 * dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map batch x frames x dim to batch x frames x dim."""
        before = F.pad(x, (0, 0, 1, 0))[:, :-1]
        value, forget, output = self.linear(torch.cat([x, before], 2)).chunk(3, 2)
        forget = torch.sigmoid(forget)
        new, kept = forget * torch.tanh(value), 1 - forget
        state = torch.zeros_like(new[:, 0])
        states = []
        for frame in range(x.shape[1]):
            state = new[:, frame] + kept[:, frame] * state
            states.append(state)
        return torch.sigmoid(output) * torch.stack(states, 1)


class Qrnn(nn.Module):
    """A QRNN of one layer, with the names in the checkpoint."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([QrnnLayer(dim)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class PaseNetwork(nn.Module):
    """Maps waves to the nine hidden states that s3prl returns."""

    def __init__(self) -> None:
        super().__init__()
        self.denseskips = nn.ModuleList([nn.Conv1d(channels, _DIM, 1, bias=False) for channels in _CHANNELS[:-1]])
        self.blocks = nn.ModuleList([Block(number) for number in range(len(_WIDTHS))])
        self.rnn = Qrnn(_CHANNELS[-1])
        self.W = nn.Conv1d(_CHANNELS[-1], _DIM, 1)
        self.norm_out = nn.BatchNorm1d(_DIM, affine=False)

    def forward(self, waves: torch.Tensor) -> Sequence[torch.Tensor]:
        """Compute all hidden states.

        Args:
          waves: batch x samples at 16 kHz, at least `MIN_SAMPLES` of them.

        Returns:
          batch x frames x 256 each, with a frame every 160 samples: the skip connections of blocks 0 to 6, averaged over time;
          the projection of the recurrent layer; and the normalised sum of all these, which is the encoder's output.
        """
        x, outputs = waves[:, None], []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        projected = self.W(self.rnn(x.mT).mT)
        frames = projected.shape[2]
        skips = [_averaged(skip(x), frames) for skip, x in zip(self.denseskips, outputs[:-1], strict=True)]
        total = projected
        for skip in skips:
            total = total + skip
        return [state.mT for state in (*skips, projected, self.norm_out(total))]


def _averaged(x: torch.Tensor, frames: int) -> torch.Tensor:
    """Means over groups of steps, one group per frame; steps after the last complete group are left out."""
    size = x.shape[2] // frames
    return x[:, :, : size * frames].unflatten(2, (frames, size)).mean(3)
