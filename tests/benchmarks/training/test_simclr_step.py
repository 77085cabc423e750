"""The step's benchmark compares one model, not two."""

import dataclasses

import jax
import numpy as np
import pytest

pytest.importorskip("torch", reason="the competitor of the pretraining step's benchmark")

from benchmarks.training import simclr_step
from benchmarks.training.simclr_step import (
    StepBenchmark,
    chunk_memory_mib,
    compare,
    installed_sides,
    make_given,
    our_step,
)
from jfewshot.simclr.encoder import EncoderConfig

TINY = StepBenchmark(batch=4, frames=24, encoder=EncoderConfig(n_layers=2, d_model=16, d_ff=32, n_heads=2, dropout=0.0))


@pytest.mark.filterwarnings("ignore:This overload of add_:UserWarning")  # s3prl's optimiser
def test_all_sides_have_one_loss_and_one_gradient_and_take_steps():
    given = make_given(TINY)
    sides = installed_sides(TINY, given)
    assert "torch" in sides
    found = compare(TINY, sides, given)
    assert set(found) == set(sides)
    for side in sides.values():
        side.step()
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam divides by `1 - b1 ** count` with an integer count
        our_step(TINY, given)()


def test_another_model_is_noticed():
    given = make_given(TINY)
    other = given._replace(target=given.target + np.float32(0.01))
    with pytest.raises(ValueError, match="torch is another model than ours"):
        compare(TINY, {"torch": simclr_step.plain_torch(TINY.encoder, *other)}, given)


@pytest.mark.slow
def test_chunks_need_less_memory():
    found = chunk_memory_mib(dataclasses.replace(TINY, batch=16, frames=100, chunks=(1, 4)))
    assert found[4] < found[1]
