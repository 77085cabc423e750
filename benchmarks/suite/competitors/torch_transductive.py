"""PyTorch, hundreds of episodes at once: the transductive heads by the equations of their papers, in two versions.

`torch transductive` batches episodes as the published implementations do, and keeps centroids in feature space: tensors of
episodes x points x features. `torch transductive, products` uses the fact that a centroid is a combination of the episode's
points, as jfewshot's heads do. It multiplies by the episode's inner products, 80 x 80 numbers instead of 80 x 768. The two
versions share all other code. The numbers of rounds are those of jfewshot's heads: 150 for both TIMs, 20 for `sinkhorn` with 30
balancings in each, and at most 100 for `laplacian_shot`, which ends early, as jfewshot and the public code do.
"""

import functools
from typing import Any

import numpy as np

from benchmarks.suite.competitors.base import Competitor, Setting, Solver
from benchmarks.suite.competitors.torch_common import Taker, cannot, in_chunks, precision, torch_device, use_threads
from benchmarks.suite.problem import Problem

_STILL = 1e-4  # a head has converged if nothing changes by more than this, as in jfewshot's `settled`


class _Features:
    """Points and centroids in feature space. Centroids are episodes x classes x features."""

    def __init__(self, x):
        self.transposed = x.mT
        self.x = x

    def combined(self, coefficients):
        """Centroids from coefficients on the points, episodes x classes x points."""
        import torch

        return torch.bmm(coefficients, self.x)

    def nearness(self, centroids):
        """Minus the squared distance of each point from each centroid, without the point's squared length."""
        import torch

        return 2.0 * torch.bmm(centroids, self.transposed) - centroids.square().sum(2, keepdim=True)

    def squared_distances(self):
        """Squared distances between all pairs of points, by one matrix product. `torch.cdist` took 1.5 times as long."""
        import torch

        return _distances(torch.bmm(self.x, self.transposed))


class _Products:
    """Inner products of the points. Centroids are coefficients on the points."""

    def __init__(self, x):
        import torch

        self.gram = torch.bmm(x, x.mT)

    def combined(self, coefficients):
        """Centroids from coefficients on the points, episodes x classes x points."""
        return coefficients

    def nearness(self, centroids):
        """Minus the squared distance of each point from each centroid, without the point's squared length."""
        import torch

        products = torch.bmm(centroids, self.gram)
        return 2.0 * products - (centroids * products).sum(2, keepdim=True)

    def squared_distances(self):
        """Squared distances between all pairs of points."""
        return _distances(self.gram)


def _distances(gram):
    squares = gram.diagonal(dim1=1, dim2=2)
    return (squares[:, :, None] + squares[:, None] - 2.0 * gram).clamp_min_(0.0)


def _start(space, support, query, targets):
    """The points, their spread, the supports' labels (episodes x classes x supports), and the class means."""
    import torch

    x = torch.cat([support, query], 1)
    x = x - x.mean(1, keepdim=True)
    spread = x.square().sum(2).mean(1)[:, None, None]
    labels = targets.mT.expand(len(x), -1, -1)
    means = labels / targets.sum(0)[:, None]
    points = space(x)
    return (
        points,
        spread,
        labels,
        points.combined(torch.cat([means, means.new_zeros(*means.shape[:2], query.shape[1])], 2)),
    )


def tim(space, support, query, targets, head):
    """TIM-ADM: proposition 1 and equation 8 of Boudiaf et al."""
    import torch

    points, spread, y, w = _start(space, support, query, targets)
    n, m = support.shape[1], query.shape[1]
    share = head.support_weight / (1 + head.entropy_weight)
    weights = torch.cat([y.new_full((n,), share / n), y.new_full((m,), 1 / m)])
    for _ in range(150):
        p = torch.softmax(head.sharpness / spread * points.nearness(w), 1)
        sharp = p[:, :, n:] ** (1 + head.entropy_weight)
        q = sharp / sharp.sum(2, keepdim=True).sqrt()
        q = q / q.sum(1, keepdim=True)
        wanted, held = weights * torch.cat([y, q], 2), weights * p
        w = (points.combined(wanted - held) + held.sum(2, keepdim=True) * w) / wanted.sum(2, keepdim=True)
    return p[:, :, n:]


def alpha_tim(space, support, query, targets, head):
    """alpha-TIM: gradient steps on the loss of Veilleux et al."""
    import torch

    points, spread, y, w = _start(space, support, query, targets)
    n, m, alpha = support.shape[1], query.shape[1], head.alpha
    for _ in range(150):
        p = torch.softmax(head.sharpness / spread * points.nearness(w), 1)
        p_q = p[:, :, n:]
        mean = p_q.mean(2, keepdim=True)
        by_p = alpha / (alpha - 1) * (mean ** (alpha - 1) - p_q ** (alpha - 1)) / m
        by_q = p_q * (by_p - (p_q * by_p).sum(1, keepdim=True))
        slope = torch.cat([head.support_weight * (p[:, :, :n] - y) / n, by_q], 2)
        slope = points.combined(slope) - slope.sum(2, keepdim=True) * w
        w = w - head.rate * slope / (head.support_weight / y.shape[1] + mean)
    return p_q


def sinkhorn(space, support, query, targets, head):
    """PT-MAP: centroids and Sinkhorn's iteration in turns, as in its public code."""
    import torch

    points, spread, y, w = _start(space, support, query, targets)
    n, each = support.shape[1], query.shape[1] / y.shape[1]

    def assign(w):
        mass = torch.softmax(head.sharpness / spread * points.nearness(w)[:, :, n:], 1)
        for _ in range(30):
            mass = mass * (each / mass.sum(2, keepdim=True).clamp_min(1e-30))
            mass = mass / mass.sum(1, keepdim=True).clamp_min(1e-30)
        return mass

    for _ in range(20):
        members = torch.cat([y, assign(w)], 2)
        w = w + head.rate * (points.combined(members / members.sum(2, keepdim=True)) - w)
    return assign(w)


def propagation(space, support, query, targets, head):
    """Label spreading by a Cholesky factorisation of its linear system."""
    import torch

    points, spread, y, _ = _start(space, support, query, targets)
    weights = torch.exp(-head.gamma / spread * points.squared_distances())
    weights.diagonal(dim1=1, dim2=2).zero_()
    scale = weights.sum(2).clamp_min(1e-30).rsqrt()
    system = (
        torch.eye(weights.shape[1], device=weights.device) - head.alpha * scale[:, :, None] * weights * scale[:, None]
    )
    labels = torch.cat([y.mT, y.new_zeros(len(y), query.shape[1], y.shape[1])], 1)
    return torch.cholesky_solve(labels, torch.linalg.cholesky_ex(system)[0])[:, support.shape[1] :].mT


def laplacian_shot(space, support, query, targets, head):
    """LaplacianShot: updates that minimise a bound of its objective."""
    import torch

    points, spread, _, w = _start(space, support, query, targets)
    n = support.shape[1]
    logits = head.sharpness / spread * points.nearness(w)[:, :, n:]
    distance = points.squared_distances()[:, n:, n:]
    distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    near = distance.topk(head.neighbours, 2, largest=False).indices
    graph = torch.zeros_like(distance).scatter_(2, near, 1.0).mT.contiguous()
    y = torch.softmax(logits, 1)
    for _ in range(100):
        before, y = y, torch.softmax(logits + head.smoothness * torch.bmm(y, graph), 1)
        if not ((y - before).abs() > _STILL).any():
            break
    return y


_FUNCTIONS: dict[str, Any] = {
    function.__name__: function for function in (tim, alpha_tim, sinkhorn, propagation, laplacian_shot)
}


def _make(space: Any, problem: Problem, device: str, setting: Setting) -> Solver:
    import torch

    from jfewshot.classifiers.specs import parse_classifier

    where = torch_device(device)
    use_threads(setting.threads)
    take = Taker(problem, where)
    head = parse_classifier(problem.question.classifier).classifier
    targets = torch.eye(problem.question.n_way, device=where)[torch.from_numpy(problem.targets).to(where)]
    function = functools.partial(_FUNCTIONS[problem.question.classifier], space, targets=targets, head=head)

    def solve(n: int) -> np.ndarray:
        use_threads(setting.threads)
        answers = []
        with torch.inference_mode(), precision(False):
            for wanted, (support, query) in in_chunks((problem.support, problem.query), n, setting.chunk):
                found = function(take(support), take(query)).argmax(1).to(torch.int8)
                answers.append(found.cpu().numpy()[:wanted])
        return np.concatenate(answers)

    return solve


def _competitor(name: str, space: Any, how: str) -> Competitor:
    return Competitor(
        name=name,
        how=f"a chunk of episodes as one problem {how}, the papers' equations, eager, float32",
        classifiers=tuple(_FUNCTIONS),
        unavailable=cannot("eager", False),
        make=functools.partial(_make, space),
        chunks=(16, 64, 256),
        gpu_chunks=(512, 2048, 5000),
        agreement=0.98,
    )


COMPETITORS = (
    _competitor("torch transductive", _Features, "in feature space"),
    _competitor("torch transductive, products", _Products, "on inner products"),
)
