"""The paper's emotion head is PyTorch's transformer, with the same weights: logits and gradients."""

import pytest

from benchmarks.training.emotion import EmotionBenchmark, compare, make_batch


def test_logits_and_gradients_are_pytorch_s():
    pytest.importorskip("torch")
    settings = EmotionBenchmark(batch=3, frames=12, layers=2)
    found = compare(settings, make_batch(settings))
    assert found["logits"] < 1e-4
    assert found["gradient"] < 1e-4
