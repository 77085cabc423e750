"""The fast program for small stores: it computes rows, looks up inner products and solves a block in one compiled program.

If all inner products are in one matrix, the inner products of a block need not be written to memory. A chunk's inner
products would be several times as large as all other arrays, and on CPUs writing them to new memory took as long as
looking them up.
"""

import functools

import jax
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jfewshot.classifiers.base import Classifier
from jfewshot.classifiers.kernels import wants_squared_lengths
from jfewshot.classifiers.linalg import computed_once
from jfewshot.evaluator.devices import AXIS, shard_over_episodes
from jfewshot.evaluator.drawing_programs import rows_of_block
from jfewshot.evaluator.gram import look_up
from jfewshot.evaluator.lengths import look_up_squared_lengths
from jfewshot.evaluator.programs import MOST_FUNCTIONS, TRACES
from jfewshot.evaluator.solver_programs import block_solver


@functools.lru_cache(MOST_FUNCTIONS)
def jit_look_up_and_solve(
    mesh: Mesh,
    classifier: Classifier,
    n_way: int,
    k_shot: int,
    want_scores: bool,
    drawn: tuple[bool, bool],
    want_model: bool,
    calibrate: bool = False,
    has_unknown: bool = False,
):
    """Compile a function from drawn clips and the matrix of all inner products to the results of `jit_solve`.

    Args:
      mesh: of devices, over episodes.
      classifier: solves the episodes.
      n_way: classes per episode.
      k_shot: supports per class.
      want_scores: whether scores are returned instead of predictions.
      drawn: whether supports, and whether queries, take a segment at random.
      want_model: whether models are returned, and before all other results the supports' rows, which are needed to
          classify further segments.
      calibrate: whether the two factors that turn scores into probabilities are returned.
      has_unknown: whether more classes are drawn than have supports.

    Returns:
      a function from the matrix of inner products, the clips' first segments and numbers of segments, two keys, drawn
      clips, episode numbers and strengths to the results of `jit_solve`.
    """
    solve = block_solver(classifier, n_way, k_shot, want_scores, want_model=want_model, calibrate=calibrate)
    of_queries = (look_up_squared_lengths,) if wants_squared_lengths(classifier) else ()

    def look_up_and_solve(gram, first, n_segments, draw_key, clips, numbers, key, strengths):
        TRACES["solve"] += 1

        def one_block(block):
            clips, numbers = block
            ways = n_way if has_unknown else None
            support, query = rows_of_block(
                first, n_segments, draw_key, clips, numbers, k_shot=k_shot, drawn=drawn, n_way=ways
            )
            # Many operations of the solver use the supports' products, but only one uses the queries' products.
            gram_ss = computed_once(lambda support, gram: look_up(gram, support, support), support, gram)
            more = (find(gram, query) for find in of_queries)
            out = solve(gram_ss, look_up(gram, query, support), numbers, key, strengths, *more)
            return (support, *out) if want_model else out

        return lax.map(one_block, (clips, numbers))

    specs = (P(), P(), P(), P(), P(AXIS), P(AXIS), P(), P())
    return jax.jit(shard_over_episodes(look_up_and_solve, mesh, specs, P(AXIS)))
