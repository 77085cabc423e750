"""Device, precision and isolation, as far as they can be seen without a GPU."""

import logging
import random
import warnings

import numpy as np
import pytest
import torch

from extraction.upstreams.isolation import quiet, random_states_kept
from extraction.upstreams.torch_runtime import inference, resolve_device, without_autocast
from jfewshot.errors import UserError


def test_on_a_gpu_tf32_is_off_inside_and_as_before_outside():
    """Only the setting is seen here; cuDNN itself needs a GPU."""
    before = torch.backends.cudnn.allow_tf32
    assert before  # torch's default, which would round convolutions
    with inference(torch.device("cuda"), "none"):
        assert not torch.backends.cudnn.allow_tf32
        assert torch.is_inference_mode_enabled()
    assert torch.backends.cudnn.allow_tf32 == before


def test_on_a_cpu_and_under_autocast_cudnns_settings_are_left_alone():
    for kind in ("none", "bf16"):
        with inference(torch.device("cpu"), kind):
            assert torch.backends.cudnn.allow_tf32
            assert torch.is_autocast_enabled("cpu") == (kind == "bf16")
    assert not torch.is_autocast_enabled("cpu")


def test_a_front_end_is_computed_in_float32_under_autocast():
    product = torch.randn(8, 8) @ torch.randn(8, 8)
    exact = without_autocast(torch.matmul)
    left, right = torch.randn(8, 8), torch.randn(8, 8)
    with inference(torch.device("cpu"), "bf16"):
        assert torch.matmul(left, right).dtype == torch.bfloat16
        assert exact(left, right).dtype == torch.float32
    assert torch.equal(exact(left, right), left @ right)
    assert product.dtype == torch.float32


def test_devices_by_name():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UserError, match="unknown device 'gpu'; choose auto, cpu, cuda"):
        resolve_device("gpu")


def test_prints_and_warnings_become_debug_messages(capfd, caplog):
    logger = logging.getLogger("some.encoder")
    with caplog.at_level(logging.DEBUG, logger="some.encoder"), quiet(logger):
        print("loading", "weights")  # noqa: T201
        print("no newline", end="")  # noqa: T201
        warnings.warn("old function", FutureWarning, stacklevel=1)
    assert capfd.readouterr().out == ""
    messages = [record.getMessage() for record in caplog.records]
    assert messages[:2] == ["loading weights", "no newline"]
    assert messages[2].startswith("FutureWarning: old function")


def test_random_states_are_given_back_after_an_error_too():
    for generator in (random.random, np.random.random, lambda: float(torch.rand(()))):
        before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
        with pytest.raises(ZeroDivisionError), random_states_kept():
            _ = generator() / 0
        assert random.getstate() == before[0]
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), before[2])
