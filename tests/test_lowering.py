"""The evaluator for accelerators that no test machine has: its compiled functions are lowered for TPU and CUDA, and not run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.classifiers.auto import Auto
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.drawing import draw_arguments, pool_arrays
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator import gram
from jfewshot.evaluator.chunking import ChunkShape
from jfewshot.evaluator.devices import episode_mesh
from jfewshot.evaluator.drawer import episode_numbers
from jfewshot.evaluator.drawing_programs import jit_draw, jit_rows, jit_segments
from jfewshot.evaluator.looked_up import jit_look_up_and_solve
from jfewshot.evaluator.solver_programs import jit_score, jit_solve
from tests.synthetic_stores import clip_table

PLATFORMS = ("tpu", "cuda")
PROTOCOL = Protocol(n_way=5, k_shot=5, n_query=15, n_episodes=64)
SHAPE = ChunkShape(blocks=4, block=16)
TABLE = clip_table((30,) * 6, n_segments=2, groups_of=2)
N, M = PROTOCOL.n_support, PROTOCOL.n_queries

CLASSIFIERS = [
    "logistic",
    "logistic:C=0.1,1,10",
    "ridge",
    "svm",
    "centroid",
    "centroid:metric=cosine",
    "knn",
    "knn:k=3:metric=cosine",
    "sgd:epochs=2",
]


@pytest.fixture(scope="module")
def mesh():
    return episode_mesh(jax.devices()[:2])


def lowers(function, *arguments):
    """Export a function and find it in the exported module, for every platform and all devices of the mesh."""
    for platform in PLATFORMS:
        exported = jax.export.export(function, platforms=[platform])(*arguments)
        assert exported.platforms == (platform,)
        assert exported.nr_devices == 2
        assert "func.func public @main" in exported.mlir_module()


def shapes(*sizes, dtype=np.float32):
    return [jax.ShapeDtypeStruct((SHAPE.blocks, *size, SHAPE.block), dtype) for size in sizes]


@pytest.mark.parametrize("settings", [{}, {"group_aware": True}, {"n_way": 2, "n_query": 20, "k_shot": 25}])
def test_drawing_lowers(mesh, settings):
    protocol = dataclasses.replace(PROTOCOL, **({"n_query": 2} if "group_aware" in settings else {}) | settings)
    table = clip_table((50,) * 6) if protocol.k_shot > 5 else TABLE
    pool = class_pool(table, protocol)
    arguments = tuple(sorted(draw_arguments(protocol, pool).items(), key=lambda item: item[0]))
    numbers = episode_numbers(0, SHAPE, mesh)
    lowers(jit_draw(mesh, arguments, "uint16"), pool_arrays(pool, protocol, table.digest), numbers)


@pytest.mark.parametrize("drawn", [(False, False), (True, False), (True, True)])
def test_finding_rows_lowers(mesh, drawn):
    first, key = jnp.zeros(len(TABLE), jnp.int32), np.zeros(2, np.uint32)
    clips, numbers = shapes((5, 20), dtype=np.uint16) + shapes((), dtype=np.uint32)
    lowers(jit_rows(mesh, 5, *drawn), first, first, key, clips, numbers)


def test_drawing_segments_lowers(mesh):
    lowers(jit_segments(mesh, 5, 5, 15, 15), np.zeros(2, np.uint32), *shapes((), dtype=np.uint32))


def test_looking_up_and_multiplying_inner_products_lowers(mesh):
    support, query = shapes((N,), (M,), dtype=np.int32)
    lowers(gram._jit_lookup(mesh), jax.ShapeDtypeStruct((1024, 1024), np.float32), support, query)
    lowers(gram._jit_gather_and_multiply(mesh), jax.ShapeDtypeStruct((1024, 512), np.float32), support, query)


@pytest.mark.parametrize(("classifier", "want_scores"), [*((name, False) for name in CLASSIFIERS), ("logistic", True)])
def test_every_classifier_lowers(mesh, classifier, want_scores):
    spec = parse_classifier(classifier)
    gram_ss, gram_qs = shapes((N, N), (M, N))
    numbers = jax.ShapeDtypeStruct((SHAPE.blocks, SHAPE.block), np.uint32)
    key, strengths = np.zeros(2, np.uint32), np.ones(len(spec.strengths), np.float32)
    lowers(jit_solve(mesh, spec.classifier, 5, 5, want_scores), gram_ss, gram_qs, numbers, key, strengths)


@pytest.mark.parametrize("classifier", ["ridge:kernel=rbf", "logistic:kernel=rbf"])
def test_a_kernel_lowers(mesh, classifier):
    gram_ss, gram_qs, squared_lengths = shapes((N, N), (M, N), (M,))
    numbers = jax.ShapeDtypeStruct((SHAPE.blocks, SHAPE.block), np.uint32)
    solve = jit_solve(mesh, parse_classifier(classifier).classifier, 5, 5, False)
    key, strengths = np.zeros(2, np.uint32), np.ones(1, np.float32)
    lowers(solve, gram_ss, gram_qs, numbers, key, strengths, squared_lengths)


@pytest.mark.parametrize("classifier", ["propagation", "sinkhorn", "tim", "alpha_tim", "laplacian_shot"])
def test_every_transductive_classifier_lowers(mesh, classifier):
    gram_ss, gram_qs, gram_qq, counts = shapes((N, N), (M, N), (M, M), (M,))
    numbers = jax.ShapeDtypeStruct((SHAPE.blocks, SHAPE.block), np.uint32)
    solve = jit_solve(mesh, parse_classifier(classifier).classifier, 5, 5, False)
    key, strengths = np.zeros(2, np.uint32), np.ones(1, np.float32)
    lowers(solve, gram_ss, gram_qs, numbers, key, strengths, gram_qq, counts)


@pytest.mark.parametrize("classifier", ["ridge", "logistic"])
def test_choosing_a_strength_lowers(mesh, classifier):
    gram_ss, gram_qs = shapes((N, N), (M, N))
    numbers = jax.ShapeDtypeStruct((SHAPE.blocks, SHAPE.block), np.uint32)
    solve = jit_solve(mesh, Auto(parse_classifier(classifier).classifier), 5, 5, False)
    lowers(solve, gram_ss, gram_qs, numbers, np.zeros(2, np.uint32), np.ones(1, np.float32))


@pytest.mark.parametrize("want_scores", [False, True])
def test_scoring_further_segments_lowers(mesh, want_scores):
    spec = parse_classifier("logistic:C=0.1,1")
    gram_ss, gram_qs = shapes((N, N), (M, N))
    numbers = jax.ShapeDtypeStruct((SHAPE.blocks, SHAPE.block), np.uint32)
    key, strengths = np.zeros(2, np.uint32), np.ones(2, np.float32)
    solve = jit_solve(mesh, spec.classifier, 5, 5, want_scores, want_model=True)
    *_, models = jax.eval_shape(solve, gram_ss, gram_qs, numbers, key, strengths)
    models = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), models)
    lowers(jit_score(mesh, spec.classifier, 5, 5, want_scores), gram_ss, gram_qs, numbers, key, models)


def test_taking_all_inner_products_lowers():
    for platform in PLATFORMS:
        exported = jax.export.export(gram._all_products, platforms=[platform])(
            jax.ShapeDtypeStruct((1024, 512), np.float32)
        )
        assert exported.platforms == (platform,)


@pytest.mark.parametrize("classifier", ["logistic", "ridge"])
def test_solvers_of_large_supports_lower(mesh, classifier):
    # Large enough for another way to invert matrices than by unrolled elimination.
    n_way, k_shot, n = 20, 20, 400
    gram_ss, gram_qs = shapes((n, n), (n_way, n))
    numbers = jax.ShapeDtypeStruct((SHAPE.blocks, SHAPE.block), np.uint32)
    function = jit_solve(mesh, parse_classifier(classifier).classifier, n_way, k_shot, False)
    lowers(function, gram_ss, gram_qs, numbers, np.zeros(2, np.uint32), np.ones(1, np.float32))


@pytest.mark.parametrize("several", [False, True])
def test_looking_up_and_solving_in_one_program_lowers(mesh, several):
    spec = parse_classifier("logistic")
    lists, keys = jnp.zeros(len(TABLE), jnp.int32), np.zeros(2, np.uint32)
    clips, numbers = shapes((5, 20), dtype=np.uint16) + shapes((), dtype=np.uint32)
    function = jit_look_up_and_solve(mesh, spec.classifier, 5, 5, several, (several, False), several)
    matrix = jax.ShapeDtypeStruct((512, 512), np.float32)
    lowers(function, matrix, lists, lists, keys, clips, numbers, keys, np.ones(1, np.float32))
