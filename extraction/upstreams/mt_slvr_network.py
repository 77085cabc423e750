"""The network of MT-SLVR in plain PyTorch: a ResNet-18 for two tasks, which share convolutions and have separate adapters.

Heggan et al., "MT-SLVR: Multi-task self-supervised learning for transformation in(variant) representations" (arXiv 2305.17191).
The network computes the same as the public code. Parameters have the names in the published checkpoints, from which `variant_of`
determines the variant.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

Variant = Literal["parallel", "bn", "series", "split", "none"]
_CHANNELS = (64, 64, 128, 256, 512)  # of the first convolution, and of the four layers
_TASKS = 2
DIM = 1000


def variant_of(names: Iterable[str]) -> Variant | None:
    """The variant of the network to which the names in a checkpoint belong; None if they belong to none.

    Args:
      names: names of the checkpoint's tensors.
    """
    names = set(names)
    if "fc.weight" in names:
        return "none"
    if "layer1.0.conv1.weight" in names:
        return "split"
    if "layer1.0.conv1.parallel_conv.0.conv.weight" in names:
        return "parallel"
    if "layer1.0.conv1.bns.0.1.weight" in names:
        return "series"
    return "bn" if "layer1.0.conv1.bns.0.weight" in names else None


class ParallelAdapter(nn.Module):
    """A 1x1 convolution in parallel to a shared convolution; the caller adds both results."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, channels, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class SeriesAdapter(nn.Module):
    """A normalised 1x1 convolution after a shared convolution; its result is added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.BatchNorm2d(channels), nn.Conv2d(channels, channels, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x)


class AdaptedConvolution(nn.Module):
    """A 3x3 convolution that tasks share, followed by a normalisation for each task, and with adapters in some variants."""

    def __init__(self, variant: Variant, before: int, channels: int, stride: int, tasks: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        if variant == "parallel":
            self.parallel_conv = nn.ModuleList([ParallelAdapter(before, channels, stride) for _ in range(tasks)])
        norms = [nn.BatchNorm2d(channels) for _ in range(tasks)]
        if variant == "series":
            self.bns = nn.ModuleList([nn.Sequential(SeriesAdapter(channels), norm) for norm in norms])
        else:
            self.bns = nn.ModuleList(norms)
        self._is_parallel = variant == "parallel"

    def forward(self, x: torch.Tensor, task: int) -> torch.Tensor:
        y = self.conv(x)
        if self._is_parallel:
            y = y + self.parallel_conv[task](x)
        return self.bns[task](y)


class AdaptedBlock(nn.Module):
    """Two adapted convolutions and a shortcut without parameters."""

    def __init__(self, variant: Variant, before: int, channels: int, stride: int, tasks: int) -> None:
        super().__init__()
        self.conv1 = AdaptedConvolution(variant, before, channels, stride, tasks)
        self.conv2 = AdaptedConvolution(variant, channels, channels, 1, tasks)
        self._tasks, self._stride = tasks, stride

    def forward(self, x: torch.Tensor, task: int) -> torch.Tensor:
        task %= self._tasks  # in the first layer, both tasks use the same parameters
        y = self.conv2(F.relu(self.conv1(x, task)), task)
        if self._stride > 1:
            x = F.adaptive_avg_pool2d(x, y.shape[2:])
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(y + x)


class PlainBlock(nn.Module):
    """The block of a plain ResNet."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        if before != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: torch.Tensor, task: int) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class MtSlvrNetwork(nn.Module):
    """Maps features to the embeddings of both tasks, one after the other.

    Args:
      variant: the parameters that each task has for itself: an adapter in parallel to each convolution (`parallel`) or after it
        (`series`), the normalisations (`bn`), the last layer (`split`), or nothing (`none`).
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        self.is_adapted = variant in ("parallel", "bn", "series")
        self.conv1 = nn.Conv2d(3, _CHANNELS[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS[0])
        self.layer1, self.layer2, self.layer3, self.layer4 = (self._layer(number) for number in range(1, 5))
        if self.is_adapted:
            self.end_bns = nn.ModuleList([nn.Sequential(nn.BatchNorm2d(_CHANNELS[-1])) for _ in range(_TASKS)])
        if variant == "none":
            self.fc = nn.Linear(_CHANNELS[-1], DIM)
        else:
            self.fc_layers = nn.ModuleList([nn.Linear(_CHANNELS[-1], DIM // _TASKS) for _ in range(_TASKS)])

    def _layer(self, number: int) -> nn.ModuleList:
        before, channels = _CHANNELS[number - 1 : number + 1]
        stride = 1 if number == 1 else 2
        if self.is_adapted:
            tasks = 1 if number == 1 else _TASKS
            first = AdaptedBlock(self.variant, before, channels, stride, tasks)
            return nn.ModuleList([first, AdaptedBlock(self.variant, channels, channels, 1, tasks)])
        return nn.ModuleList([PlainBlock(before, channels, stride), PlainBlock(channels, channels, 1)])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute embeddings.

        Args:
          features: batch x 3 x 128 x frames, from `mt_slvr_features.features`.

        Returns:
          batch x 1000: 500 numbers from the last layer of each task, or 1,000 from the only last layer (`none`).
        """
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(features))), 3, 2, 1)
        x = _through(self.layer1, x, 0)
        if self.is_adapted:
            return torch.cat([self._of_task(x, task) for task in range(_TASKS)], 1)
        pooled = self._trunk(x, 0).mean((2, 3))
        if self.variant == "none":
            return self.fc(pooled)
        return torch.cat([layer(pooled) for layer in self.fc_layers], 1)

    def _of_task(self, x: torch.Tensor, task: int) -> torch.Tensor:
        end = F.relu(self.end_bns[task](self._trunk(x, task)))
        return self.fc_layers[task](end.mean((2, 3)))

    def _trunk(self, x: torch.Tensor, task: int) -> torch.Tensor:
        for layer in (self.layer2, self.layer3, self.layer4):
            x = _through(layer, x, task)
        return x


def _through(layer: nn.ModuleList, x: torch.Tensor, task: int) -> torch.Tensor:
    for block in layer:
        x = block(x, task)
    return x
