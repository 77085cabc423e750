"""PyTorch, hundreds of episodes at once in feature space: the transductive heads as their papers' public code computes them.

The published implementations batch episodes in the same way: centroids and embeddings as tensors of episodes x points x
features. The rounds are those of our heads (150 of both TIMs, 20 of `sinkhorn` with 30 balancings each, 100 of `laplacian_shot`),
without our early end where nothing moves any more. `propagation` is solved by a factorisation.
"""

import functools
from typing import Any

import numpy as np

from benchmarks.suite.competitors.base import Competitor, Setting, Solver
from benchmarks.suite.competitors.torch_common import Taker, cannot, in_chunks, precision, torch_device, use_threads
from benchmarks.suite.problem import Problem


def _start(support, query, targets):
    """Class means, the points' spread, and the labels of all supports."""
    import torch

    points = torch.cat([support, query], 1)
    spread = (points - points.mean(1, keepdim=True)).square().sum(2).mean(1)[:, None, None]
    labels = targets.expand(len(support), -1, -1)
    return torch.bmm(labels.mT, support) / targets.sum(0)[:, None], spread, labels


def _probabilities(x, centroids, scale):
    import torch

    # Without the squared length of x, which all classes share.
    return torch.softmax(scale * (2.0 * torch.bmm(x, centroids.mT) - centroids.square().sum(2)[:, None]), 2)


def tim(support, query, targets, head):
    """TIM-ADM: proposition 1 and equation 8 of Boudiaf et al."""
    import torch

    w, spread, y = _start(support, query, targets)
    scale, share = head.sharpness / spread, head.support_weight / (1 + head.entropy_weight)
    ratio = support.shape[1] / query.shape[1]
    p_q = None
    for _ in range(150):
        p_s, p_q = _probabilities(support, w, scale), _probabilities(query, w, scale)
        sharp = p_q ** (1 + head.entropy_weight)
        q = sharp / sharp.sum(1, keepdim=True).sqrt()
        q = q / q.sum(2, keepdim=True)
        own = share * (y - p_s).sum(1) + ratio * (q - p_q).sum(1)
        weight = (share * y.sum(1) + ratio * q.sum(1))[:, :, None]
        top = share * torch.bmm((y - p_s).mT, support) + ratio * torch.bmm((q - p_q).mT, query)
        w = (top + (weight - own[:, :, None]) * w) / weight
    return p_q


def alpha_tim(support, query, targets, head):
    """Gradient steps on alpha-TIM's loss."""
    import torch

    w, spread, y = _start(support, query, targets)
    scale, alpha, p_q = head.sharpness / spread, head.alpha, None
    for _ in range(150):
        p_s, p_q = _probabilities(support, w, scale), _probabilities(query, w, scale)
        mean = p_q.mean(1, keepdim=True)
        by_p = alpha / (alpha - 1) * (mean ** (alpha - 1) - p_q ** (alpha - 1)) / query.shape[1]
        by_q = p_q * (by_p - (p_q * by_p).sum(2, keepdim=True))
        by_s = head.support_weight * (p_s - y) / support.shape[1]
        slope = torch.bmm(by_s.mT, support) + torch.bmm(by_q.mT, query) - (by_s.sum(1) + by_q.sum(1))[:, :, None] * w
        w = w - head.rate * slope / (head.support_weight / y.shape[2] + mean.mT)
    return p_q


def sinkhorn(support, query, targets, head):
    """Centroids and Sinkhorn's iteration in turns, as in the public code of PT-MAP."""
    import torch

    w, spread, y = _start(support, query, targets)
    each = query.shape[1] / y.shape[2]

    def assign(w):
        mass = _probabilities(query, w, head.sharpness / spread)
        for _ in range(30):
            mass = mass * (each / mass.sum(1, keepdim=True).clamp_min(1e-30))
            mass = mass / mass.sum(2, keepdim=True).clamp_min(1e-30)
        return mass

    for _ in range(20):
        q = assign(w)
        means = (torch.bmm(y.mT, support) + torch.bmm(q.mT, query)) / (y.sum(1) + q.sum(1))[:, :, None]
        w = w + head.rate * (means - w)
    return assign(w)


def propagation(support, query, targets, head):
    """Label spreading by solving its linear system."""
    import torch

    points = torch.cat([support, query], 1)
    _, spread, y = _start(support, query, targets)
    weights = torch.exp(-head.gamma / spread * torch.cdist(points, points).square())
    weights = weights * (1 - torch.eye(points.shape[1], device=points.device))
    scale = weights.sum(2).clamp_min(1e-30).rsqrt()
    system = (
        torch.eye(points.shape[1], device=points.device) - head.alpha * scale[:, :, None] * weights * scale[:, None]
    )
    labels = torch.cat([y, y.new_zeros(len(y), query.shape[1], y.shape[2])], 1)
    return torch.linalg.solve(system, labels)[:, support.shape[1] :]


def laplacian_shot(support, query, targets, head):
    """Bound updates of LaplacianShot."""
    import torch

    w, spread, _ = _start(support, query, targets)
    unary = head.sharpness / spread * torch.cdist(query, w).square()
    distance = torch.cdist(query, query)
    distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    near = distance.topk(head.neighbours, 2, largest=False).indices
    graph = torch.zeros_like(distance).scatter_(2, near, 1.0)
    y = torch.softmax(-unary, 2)
    for _ in range(100):
        y = torch.softmax(-unary + head.smoothness * torch.bmm(graph, y), 2)
    return y


_FUNCTIONS: dict[str, Any] = {
    function.__name__: function for function in (tim, alpha_tim, sinkhorn, propagation, laplacian_shot)
}


def _make(problem: Problem, device: str, setting: Setting) -> Solver:
    import torch

    from jfewshot.classifiers.specs import parse_classifier

    where = torch_device(device)
    use_threads(setting.threads)
    take = Taker(problem, where)
    head = parse_classifier(problem.question.classifier).classifier
    targets = torch.eye(problem.question.n_way, device=where)[torch.from_numpy(problem.targets).to(where)]
    function = functools.partial(_FUNCTIONS[problem.question.classifier], targets=targets, head=head)

    def solve(n: int) -> np.ndarray:
        use_threads(setting.threads)
        answers = []
        with torch.inference_mode(), precision(False):
            for wanted, (support, query) in in_chunks((problem.support, problem.query), n, setting.chunk):
                found = function(take(support), take(query)).argmax(2).to(torch.int8)
                answers.append(found.cpu().numpy()[:wanted])
        return np.concatenate(answers)

    return solve


COMPETITOR = Competitor(
    name="torch transductive",
    how="a chunk of episodes as one problem in feature space, the papers' equations, eager, float32",
    classifiers=tuple(_FUNCTIONS),
    unavailable=cannot("eager", False),
    make=_make,
    chunks=(16, 64, 256),
    gpu_chunks=(512, 2048, 5000),
    agreement=0.98,
)
