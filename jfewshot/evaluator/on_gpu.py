"""Solve a chunk by the Pallas kernel on an NVIDIA GPU: rows, inner products, solution and predictions in one program."""

import functools
import logging
import warnings
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jfewshot.classifiers.base import Classifier
from jfewshot.classifiers.logistic import Logistic
from jfewshot.classifiers.transductive import Transductive
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator.chunking import is_out_of_memory
from jfewshot.evaluator.devices import AXIS, shard_over_episodes
from jfewshot.evaluator.drawing_programs import rows_of_block
from jfewshot.evaluator.gram import GramSource, OnDevice, Precomputed
from jfewshot.evaluator.programs import MOST_FUNCTIONS, PROGRAMS, TRACES

log = logging.getLogger(__name__)

# An episode with a larger residual did not converge in the kernel. logistic.py explains the smallest residual that
# float32 allows.
CONVERGED = 1e-4


class Kernels:
    """Decides whether the kernels can solve a chunk, and calls them.

    Args:
      mesh: the devices.
      interpret: run kernels as ordinary JAX operations, for tests.
    """

    def __init__(self, mesh: Mesh, interpret: bool = False):
        self._mesh, self._interpret = mesh, interpret
        self._usable = interpret or all(
            device.platform == "gpu" and "NVIDIA" in device.device_kind for device in mesh.devices.flat
        )

    def plan(
        self,
        classifier: Classifier | Transductive,
        source: GramSource,
        protocol: Protocol,
        episodes: int,
        n_strengths: int,
    ) -> Any:
        """Choose the layout of an episode in a kernel.

        Args:
          classifier: the classifier.
          source: the source of the inner products.
          protocol: what an episode is.
          episodes: of a chunk.
          n_strengths: of the classifier.

        Returns:
          the layout; None if the kernels cannot solve such episodes.
        """
        if not self._usable or not isinstance(classifier, Logistic):
            return None
        if not isinstance(source, Precomputed | OnDevice) or source.array.size >= 2**31:
            return None
        try:
            from jfewshot.evaluator import kernel
        except ImportError as error:
            self._give_up(error)
            return None
        return kernel.plan(protocol.n_way, protocol.k_shot, protocol.n_queries, episodes, n_strengths)

    def solve(self, plan: Any, source: GramSource, drawn: tuple[bool, bool], arguments: tuple[Any, ...]):
        """Solve a chunk.

        Args:
          plan: the layout.
          source: of the inner products.
          drawn: whether supports, and whether queries, take a segment at random.
          arguments: the clips' first segments and numbers of segments, the key of the draw, drawn clips, episode numbers and
            strengths.

        Returns:
          predictions, residuals, products and rounding errors (strengths, episodes, ...). None if the kernels could not
          be compiled; then they are not tried again.
        """
        assert isinstance(source, Precomputed | OnDevice)
        function = jit_solve_in_kernel(
            self._mesh, plan, isinstance(source, Precomputed), drawn, interpret=self._interpret
        )
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The Pallas Triton backend is deprecated", DeprecationWarning)
                return PROGRAMS(function, source.array, *arguments)
        except Exception as error:
            # Another version of JAX may refuse the kernel with any kind of error; the general solver works without it.
            if is_out_of_memory(error):
                raise
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self._usable = False
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        log.warning(
            "the GPU kernel of logistic cannot be compiled; continuing without it, several times slower (%s)", reason
        )


@functools.lru_cache(MOST_FUNCTIONS)
def jit_solve_in_kernel(mesh: Mesh, plan, looked_up: bool, drawn: tuple[bool, bool], interpret: bool):
    """Compile the solution of a chunk by a kernel.

    Args:
      mesh: the devices.
      plan: the layout of an episode.
      looked_up: whether inner products are looked up in one matrix; otherwise they are computed from embeddings.
      drawn: whether supports, and whether queries, take a segment at random.
      interpret: run kernels as ordinary JAX operations.

    Returns:
      a function from that matrix or the embeddings, and the arguments of `Kernels.solve`, to its results.
    """
    from jfewshot.evaluator import gathered, kernel

    def solve(array, first, n_segments, draw_key, clips, numbers, strengths):
        TRACES["solve"] += 1
        find = functools.partial(rows_of_block, first, n_segments, draw_key, k_shot=plan.k_shot, drawn=drawn)
        support, query = lax.map(lambda block: find(*block), (clips, numbers))
        if looked_up:
            return tuple(kernel.solve_looked_up(plan, array, support, query, strengths, interpret))
        rows = jnp.moveaxis(jnp.concatenate([support, query], 1), 0, 1)
        rows = rows.reshape(len(rows), -1)
        products = gathered.multiply(array, rows, plan.n_support, gathered.tile(plan.n_support), interpret)
        return tuple(kernel.solve_side_by_side(plan, products, strengths, interpret))

    specs = (P(), P(), P(), P(), P(AXIS), P(AXIS), P())
    return jax.jit(shard_over_episodes(solve, mesh, specs, P(None, AXIS)))
