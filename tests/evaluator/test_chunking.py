"""Memory that runs out, memory that is kept, and memory that a budget promises."""

import dataclasses
import gc

import jax
import numpy as np
import pytest

from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator import drawer, drawing_programs, evaluator, gram, programs, solver_programs, solving
from jfewshot.evaluator.chunking import chunk_shape
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.evaluator.programs import PROGRAMS, Programs
from tests.synthetic_stores import clip_table, embeddings

PROTOCOL = Protocol(n_way=3, k_shot=2, n_query=3, n_episodes=200)
NONE = Transform("none")
TABLE = clip_table((7, 8, 9, 10), n_segments=lambda clip: 1 + clip % 2)
X = embeddings(TABLE)


@pytest.fixture(autouse=True)
def _few_episodes_are_solved_as_many_are(monkeypatch):
    monkeypatch.setattr(solving, "_LOOK_UP_INSIDE_FROM", 0)


def small_evaluator():
    # Seven chunks' worth of blocks, in one chunk.
    return Evaluator(jax.devices()[:2], block=16)


def solve(found_by, protocol=PROTOCOL, on_progress=lambda episodes: None):
    spec = parse_classifier("ridge")
    (solved,) = found_by.evaluate(X, TABLE, NONE, protocol, [spec], on_progress=on_progress)
    return solved


@pytest.fixture(scope="module")
def undisturbed():
    return small_evaluator().draw(TABLE, PROTOCOL), solve(small_evaluator())


def out_of_memory():
    return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123456789 bytes.")


@pytest.fixture
def run_out(monkeypatch):
    """Let memory run out in the calls of compiled functions that a condition picks; returns the sizes of those chunks."""

    def arrange(condition):
        call, failed, seen = Programs.__call__, [], []

        def may_fail(self, function, *arguments, **options):
            episodes_of = {"draw_blocks": -1, "look_up_and_solve": 4}  # which argument has a chunk's blocks
            blocks = arguments[episodes_of.get(function.__name__, 0)].shape[0]
            seen.append(function.__name__)
            if condition(function.__name__, blocks, seen):
                failed.append((function.__name__, blocks))
                raise out_of_memory()
            return call(self, function, *arguments, **options)

        monkeypatch.setattr(Programs, "__call__", may_fail)
        return failed

    return arrange


@pytest.mark.parametrize("function", ["draw_blocks", "look_up_and_solve"])
def test_a_device_out_of_memory_gets_half_the_chunk_and_the_results_are_the_same(
    function, undisturbed, run_out, caplog
):
    draw, reference = undisturbed
    # 14 blocks are 2 devices' 7; at most 4 fit: 14 -> 6 -> 2.
    failed = run_out(lambda name, blocks, seen: name == function and blocks > 4)
    found_by, steps = small_evaluator(), []
    with caplog.at_level("WARNING"):
        solved = solve(found_by, on_progress=steps.append)
    assert len(failed) == 2
    assert "out of memory with 224 episodes at once; continuing with 96" in caplog.text
    assert "out of memory with 96 episodes at once; continuing with 32" in caplog.text
    np.testing.assert_array_equal(solved.predicted, reference.predicted)
    np.testing.assert_array_equal(found_by.draw(TABLE, PROTOCOL).clips, draw.clips)
    assert sum(steps) == PROTOCOL.n_episodes
    # It has learnt: the next cell starts with what fits, drawn anew or not.
    failed.clear()
    for protocol in (PROTOCOL, dataclasses.replace(PROTOCOL, seed=1)):
        solve(found_by, protocol)
    assert failed == []


def test_memory_that_runs_out_amid_a_cell_costs_no_episode_and_tells_none_twice(undisturbed, run_out):
    # With several chunks to a cell, one of the later ones fails, of blocks that can still be halved.
    found_by, steps = Evaluator(jax.devices()[:1], memory_bytes=150_000, block=16), []
    assert chunk_shape(PROTOCOL, 1, "cpu", 150_000, 16).blocks == 2
    failed = run_out(lambda name, blocks, seen: name == "look_up_and_solve" and blocks == 2 and seen.count(name) == 4)
    solved = solve(found_by, on_progress=steps.append)
    assert failed == [("look_up_and_solve", 2)]
    np.testing.assert_array_equal(solved.predicted, undisturbed[1].predicted)
    assert sum(steps) == PROTOCOL.n_episodes
    assert min(steps) > 0


def test_a_block_that_does_not_fit_ends_with_what_is_needed(run_out):
    run_out(lambda name, blocks, seen: name == "look_up_and_solve")
    with pytest.raises(
        UserError, match=r"one block of 16 episodes per device \(3-way 2-shot, 3 queries\) needs .* GiB"
    ):
        solve(small_evaluator())


def test_other_errors_of_the_devices_are_not_taken_for_a_lack_of_memory(monkeypatch):
    def fail(self, function, *arguments, **options):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(Programs, "__call__", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        solve(small_evaluator())


def test_embeddings_that_do_not_fit_a_device_stay_on_disk(undisturbed, monkeypatch, caplog):
    made = []

    class Greedy:
        def __init__(self, embeddings, *others):
            made.append(type(self).__name__)
            raise out_of_memory()

    monkeypatch.setattr(gram, "_fused_products", lambda: None)
    monkeypatch.setattr(gram, "Precomputed", type("Precomputed", (Greedy,), {}))
    monkeypatch.setattr(gram, "OnDevice", type("OnDevice", (Greedy,), {}))
    solved = solve(small_evaluator())
    assert solved.gram_kind == "streamed"
    assert {"Precomputed", "OnDevice"} == set(made)
    assert "out of memory for the embeddings" in caplog.text
    assert (solved.predicted == undisturbed[1].predicted).mean() > 0.999


def test_few_programs_are_kept_and_the_oldest_go_first():
    programs = Programs(most=2)
    function = jax.jit(lambda x: x + 1)
    for n in (1, 2, 1, 3, 1):
        programs(function, np.ones(n, np.float32))
    assert len(programs) == 2
    compile_s = programs.compile_s
    programs(function, np.ones(1, np.float32))
    programs(function, np.ones(3, np.float32))
    assert programs.compile_s == compile_s
    programs(function, np.ones(2, np.float32))
    assert programs.compile_s > compile_s


def test_tables_of_compiled_functions_have_a_limit():
    for function in (drawing_programs.jit_draw, drawing_programs.jit_rows, solver_programs.jit_solve):
        assert function.cache_info().maxsize == programs.MOST_FUNCTIONS
    for name in dir(gram):
        if name.startswith("_jit"):
            assert getattr(gram, name).cache_info().maxsize is not None
    assert not hasattr(evaluator.Evaluator, "cache_info")


def many_cells(n_cells):
    """Evaluate small cells, each of a store of its own, and watch what is left: arrays on devices, programs, resident KiB."""
    found_by = Evaluator(jax.devices()[:1], block=16)
    left = []
    for number in range(n_cells):
        table = clip_table((5 + number % 3, 6, 6), seed=number)
        protocol = Protocol(n_way=2, k_shot=1, n_query=2, n_episodes=32)
        list(
            found_by.evaluate(
                embeddings(table, 8 + number % 5, seed=number), table, NONE, protocol, [parse_classifier("centroid")]
            )
        )
        if number % 10 == 9:
            gc.collect()
            left.append((len(jax.live_arrays()), len(PROGRAMS), resident_kib()))
    return np.array(left)


def resident_kib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_forty_cells_leave_no_more_behind_than_twenty(monkeypatch):
    # With the usual number of kept draws, all forty would be kept.
    monkeypatch.setattr(drawer, "_MOST_KEPT", 8)
    left = many_cells(40)
    # Drawn episodes of the last few stores are kept, and no more.
    assert left[-1, 0] <= left[1, 0]
    assert left[-1, 1] == left[1, 1]


@pytest.mark.slow
def test_a_thousand_cells_leave_no_more_behind_than_two_hundred():
    left = many_cells(1000)
    assert left[-1, 0] <= left[19, 0]
    assert left[-1, 1] == left[19, 1]
    # KiB; Python's own allocator breathes by some of them.
    assert left[-1, 2] - left[19, 2] < 16 * 1024
