"""easyfsl's PrototypicalNetworks on embeddings, one episode after the other, as in easyfsl's evaluation loop."""

import importlib.machinery
import importlib.util
import sys
import types

import numpy as np

from benchmarks.suite.competitors.base import Competitor, Setting, Solver, missing
from benchmarks.suite.competitors.torch_common import Taker, torch_device, use_threads
from benchmarks.suite.problem import Problem


def prototypical_networks():
    """Import easyfsl's class PrototypicalNetworks, also without torchvision.

    The import of the class also imports easyfsl's image networks, which need torchvision's ResNet blocks. The image networks are
    not used here. If torchvision is not installed, empty classes take the place of these blocks during the import.
    """
    names = ("torchvision", "torchvision.models", "torchvision.models.resnet")
    stand_in = "torchvision" not in sys.modules and importlib.util.find_spec("torchvision") is None
    if stand_in:
        for name in names:
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
        for unused in ("BasicBlock", "Bottleneck", "conv1x1", "conv3x3"):
            setattr(sys.modules[names[-1]], unused, type(unused, (), {}))
    try:
        from easyfsl.methods import PrototypicalNetworks
    finally:
        if stand_in:
            # Remove the empty modules again: other packages check whether torchvision is installed, and would find them.
            for name in names:
                del sys.modules[name]
    return PrototypicalNetworks


def _one_by_one(problem: Problem, device: str, setting: Setting) -> Solver:
    import torch

    where = torch_device(device)
    take = Taker(problem, where)
    targets = torch.from_numpy(problem.targets).to(where)
    classifier = prototypical_networks()().to(where)

    def solve(n: int) -> np.ndarray:
        use_threads(setting.threads)
        answers = []
        with torch.inference_mode():
            for support, query in zip(problem.support[:n], problem.query[:n], strict=True):
                classifier.process_support_set(take(support), targets)
                answers.append(classifier(take(query)).argmax(1))
        return torch.stack(answers).cpu().numpy()

    return solve


COMPETITOR = Competitor(
    name="easyfsl",
    how="easyfsl's PrototypicalNetworks with an identity backbone, one episode after the other",
    classifiers=("centroid",),
    unavailable=missing("torch", "easyfsl"),
    make=_one_by_one,
)
