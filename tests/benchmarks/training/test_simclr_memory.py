"""How much memory a training step needs, by the compiler's count, and how large a batch fits."""

import dataclasses

import jax
import pytest

from benchmarks.training.simclr_memory import (
    GB,
    IN_A_CHUNK,
    WAYS,
    Line,
    agreement,
    compiled_step,
    configuration,
    line_of,
    planned_bytes,
    run_cell,
)
from jfewshot.simclr.encoder import EncoderConfig

SMALL = EncoderConfig(n_layers=2, d_model=32, d_ff=64, n_heads=2, dropout=0.0)
PLAIN, REMAT, IN_CHUNKS = WAYS[0], WAYS[1], WAYS[4]


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax adds counts to numbers."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_the_largest_batch_that_fits_is_the_last_one_below_the_memory():
    line = Line(fixed=100.0, per_utterance=7.0)
    assert line.fitting(121.0, 1) == 3  # 100 + 3 x 7 = 121
    assert line.fitting(120.9, 1) == 2
    assert line.fitting(100.0 + 7 * 23, 8) == 16  # whole chunks of 8
    assert line.fitting(99.0, 1) == 0


def test_chunks_are_whole_and_other_ways_have_one():
    assert IN_CHUNKS.chunks(5 * IN_A_CHUNK) == 5
    assert PLAIN.chunks(40) == 1
    config = configuration(IN_CHUNKS, 16, 1.0, SMALL)
    assert (config.batch, config.chunks, config.encoder.remat) == (16, 2, False)
    assert configuration(REMAT, 16, 1.0, SMALL).encoder == dataclasses.replace(SMALL, remat=True)


@pytest.mark.slow  # compiles a dozen steps
def test_the_count_grows_along_the_line_and_each_way_saves_memory():
    lines = {way.options: line_of(way, 0.5, SMALL) for way in (PLAIN, REMAT, IN_CHUNKS)}
    for way in (PLAIN, IN_CHUNKS):
        counted = planned_bytes(compiled_step(configuration(way, 64, 0.5, SMALL)))
        # NT-Xent's matrix grows with the square of the batch; it is small compared with the activations.
        assert lines[way.options].bytes(64) == pytest.approx(counted, rel=0.05)
    slopes = [lines[way.options].per_utterance for way in (PLAIN, REMAT, IN_CHUNKS)]
    assert slopes[0] > slopes[1] > slopes[2] > 0


@pytest.mark.slow  # compiles and runs a few steps
def test_the_count_is_near_the_measured_peak_and_all_ways_give_the_same_gradient():
    found = run_cell(PLAIN, 64, 1.0, SMALL)
    assert found["measured_gb"] == pytest.approx(found["planned_gb"], rel=0.3, abs=0.05)
    for options, each in agreement(16, 0.5, SMALL).items():
        most = 0.1 if "bfloat16" in options else 1e-4  # bfloat16 has 8 bits of mantissa, float32 sums in another order
        assert each["loss"] < most, options
        assert each["gradient"] < most, options
    assert found["planned_gb"] * GB > 64 * 16_000 * 4  # the utterances alone
