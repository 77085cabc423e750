"""What all runs share, apart from pretraining: which checkpoints count as best, what a folder accepts, order of batches."""

import dataclasses
import errno
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jfewshot.commandline import explain_os_error
from jfewshot.errors import UserError
from jfewshot.training.checkpoints import Checkpoints, MemoryCheckpoints, steps_on_disk
from jfewshot.training.config import OptimiserConfig, as_record, differences, settle_record, settled
from jfewshot.training.loading import batches_ahead
from jfewshot.training.schedules import learning_rate, optimiser, warn_of_long_warmup
from jfewshot.training.step import first_state


def saved(folder, scores, **options):
    checkpoints = Checkpoints(folder, keep=1, keep_best=2, metric="development_uar", **options)
    state = first_state({"w": jnp.zeros(3)}, optax.sgd(1.0))
    checkpoints.save(state, None)
    for step, score in enumerate(scores, start=1):
        checkpoints.save(state._replace(step=jnp.int32(step), params={"w": jnp.full(3, float(step))}), score)
    return checkpoints, state


def test_the_best_checkpoints_are_kept_by_a_score_where_high_is_good(tmp_path):
    checkpoints, state = saved(tmp_path / "high", [0.5, 0.9, 0.2, 0.7, 0.1], higher_is_better=True)
    assert checkpoints.best(2) == [2, 4]
    assert checkpoints.scores()[2] == 0.9
    assert float(checkpoints.load(state, 2).params["w"][0]) == 2.0
    checkpoints.close()
    assert steps_on_disk(tmp_path / "high") == [0, 2, 4, 5]  # the untrained, the best, the latest


def test_of_equal_scores_the_earlier_checkpoint_wins(tmp_path):
    checkpoints, _ = saved(tmp_path / "equal", [0.5, 0.5, 0.4], higher_is_better=True)
    assert checkpoints.best(1) == [1]
    checkpoints.close()
    checkpoints, _ = saved(tmp_path / "low", [0.5, 0.3, 0.3])
    assert checkpoints.best(1) == [2]
    checkpoints.close()


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_among_many_equal_scores_the_same_checkpoints_stay_on_disk_in_memory_and_after_a_restart(
    tmp_path, higher_is_better
):
    scores = [0.3, 0.5, 0.3, 0.5, 0.5, 0.3, 0.5]
    expected = [2, 4] if higher_is_better else [1, 3]  # the first two of the best number
    checkpoints, state = saved(tmp_path / "run", scores, higher_is_better=higher_is_better)
    assert checkpoints.best(2) == expected
    checkpoints.close()
    assert steps_on_disk(tmp_path / "run") == [0, *expected, 7]
    again = Checkpoints(tmp_path / "run", 1, 2, "development_uar", higher_is_better)
    again.save(state._replace(step=jnp.int32(8)), 0.5 if higher_is_better else 0.3)
    assert again.best(2) == expected
    again.close()
    memory = MemoryCheckpoints(2, higher_is_better)
    for step, score in enumerate(scores, start=1):
        memory.save(state._replace(step=jnp.int32(step)), score)
    assert memory.best(2) == expected


def test_a_full_disk_is_called_by_its_name_and_earlier_checkpoints_stay(tmp_path, monkeypatch):
    checkpoints, state = saved(tmp_path / "run", [])

    def full(*_, **__):
        # What came of writing to a full tmpfs, word for word.
        raise ValueError(
            'RESOURCE_EXHAUSTED: Error writing local file "6.orbax-checkpoint-tmp/_sharding": Failed to write 2487 bytes to '
            "file 24: No space left on device [os_error_code='28']"
        )

    monkeypatch.setattr(checkpoints._checkpointer, "save", full)
    with pytest.raises(OSError, match="No space left") as caught:
        checkpoints.save(state._replace(step=jnp.int32(1)), None)
    assert caught.value.errno == errno.ENOSPC
    assert str(tmp_path / "run") in explain_os_error(caught.value)
    monkeypatch.undo()
    assert checkpoints.steps() == [0]
    checkpoints.close()


def test_a_folder_accepts_the_run_it_holds_and_names_what_differs_in_another(tmp_path):
    one, data = OptimiserConfig(), {"utterances": 7, "digest": "a"}
    settle_record(tmp_path, one, data)
    settle_record(tmp_path, one, data)
    assert json.loads((tmp_path / "config.json").read_text()) == {"config": as_record(one), "data": data}
    other = dataclasses.replace(one, rate=0.25)
    with pytest.raises(UserError, match=r"rate: 0\.25 here, 0\.5 there"):
        settle_record(tmp_path, other, data)
    settle_record(tmp_path, other, data, free=["rate"])
    with pytest.raises(UserError, match="9 utterances here, 7 there"):
        settle_record(tmp_path, one, {"utterances": 9, "digest": "b"})
    assert differences({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}) == [
        "a.b: 1 here, 2 there",
        "a.c: not set here, 3 there",
    ]


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"config": {}}', b'{"config": [], "data": {}}', b"\xff", b"[" * 100_000]
)
def test_a_damaged_configuration_is_named(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json is damaged \("):
        settle_record(tmp_path, OptimiserConfig(), {"utterances": 7, "digest": "a"})
    assert (tmp_path / "config.json").read_bytes() == content


@pytest.mark.parametrize("threads", [0, 2])
def test_batches_come_in_order_from_where_a_run_continues(threads):
    found = batches_ahead(lambda step: np.full(2, step), 3, 9, threads=threads)
    assert [int(batch[0]) for batch in found] == [3, 4, 5, 6, 7, 8]


def test_a_cosine_schedule_warms_up_from_its_first_step_and_ends_at_zero():
    rate = learning_rate(OptimiserConfig("cosine", rate=0.8, warmup_steps=10), 16, 110)
    # Warm-up is linear from rate / warmup; half-way down the cosine half of the rate is left.
    expected = {0: 0.08, 5: 0.44, 10: 0.8, 35: 0.4 * (1 + 0.5**0.5), 60: 0.4, 110: 0.0}
    np.testing.assert_allclose([rate(n) for n in expected], list(expected.values()), rtol=1e-5, atol=1e-7)
    with pytest.raises(UserError, match="ends within its warm-up of 10"):
        learning_rate(OptimiserConfig("cosine", warmup_steps=10), 16, 10)


def test_a_constant_schedule_warms_up_and_stays():
    rate = learning_rate(OptimiserConfig("constant", rate=0.8, warmup_steps=4), 16, 100)
    np.testing.assert_allclose([rate(jnp.int32(n)) for n in (0, 1, 3, 4, 90)], [0.2, 0.4, 0.8, 0.8, 0.8], rtol=1e-6)


def test_the_first_step_of_adam_is_kingma_and_bas():
    gradient = np.array([3e-8, -2.0], np.float32)
    settings = OptimiserConfig("constant", rate=0.5, warmup_steps=1, clip_norm=0.0, weight_decay=0.0)
    steps = optimiser(settings, learning_rate(settings, 16, 10))
    at = {"kernel": jnp.zeros(2)}
    with jax.numpy_dtype_promotion("standard"):  # optax divides by 1 - b1 ** count with an integer count
        moved, _ = steps.update({"kernel": jnp.asarray(gradient)}, steps.init(at), at)
    # Both moments are the first gradient's, and 1e-8 is added to the root of the second (2015, algorithm 1).
    np.testing.assert_allclose(moved["kernel"], -0.5 * gradient / (np.abs(gradient) + 1e-8), rtol=1e-5)


def test_noam_is_the_transformers_schedule():
    rate = learning_rate(OptimiserConfig("noam", rate=0.5, warmup_steps=100), 16, 1000)
    # Vaswani et al. (2017), equation 3, times 0.5; updates count from 1.
    expected = {0: 0.125 * 100**-1.5, 49: 0.125 * 50 * 100**-1.5, 99: 0.0125, 399: 0.00625}
    np.testing.assert_allclose([rate(n) for n in expected], list(expected.values()), rtol=1e-5)


def test_a_short_run_has_a_short_warm_up_and_no_higher_rate():
    short, paper = (learning_rate(OptimiserConfig("noam", rate=0.5), 768, steps) for steps in (1000, 70_300))
    # Vaswani et al. (2017), equation 3, times 0.5, with their warm-up as the paper's runs have it.
    highest = 0.5 * 768**-0.5 * 8000**-0.5
    np.testing.assert_allclose([paper(n) for n in (3999, 7999)], [highest / 2, highest], rtol=1e-5)
    # A fifth of 1,000 steps, up to the same rate, then down with the root of the step.
    np.testing.assert_allclose([short(n) for n in (99, 199, 799)], [highest / 2, highest, highest / 2], rtol=1e-5)
    cosine = learning_rate(OptimiserConfig("cosine", rate=0.8), 16, 10)
    np.testing.assert_allclose([cosine(n) for n in (1, 2)], [0.6, 0.8], rtol=1e-5)


def test_a_warm_up_longer_than_the_run_is_named_and_one_of_a_long_run_is_recorded(caplog):
    warn_of_long_warmup(OptimiserConfig(), 1000)
    warn_of_long_warmup(OptimiserConfig(warmup_steps=1000), 1000)
    assert not caplog.messages
    warn_of_long_warmup(OptimiserConfig(warmup_steps=8000), 1000)
    (message,) = caplog.messages
    assert "the run of 1,000 steps ends within its warm-up of 8,000 steps" in message
    assert "only 12% of its highest value" in message
    assert [settled(OptimiserConfig(), steps).warmup_steps for steps in (39_999, 40_000)] == [None, 8000]
    assert settled(OptimiserConfig(warmup_steps=5), 70_300).warmup_steps == 5
