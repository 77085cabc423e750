"""Encoders of the user's own, by import path."""

import functools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from extraction.datasets import load_dataset
from extraction.datasets.base import Recording
from extraction.planning import make_plan
from extraction.settings import ExtractionSettings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions, fixed_length
from extraction.upstreams.probing import shortest_finite
from extraction.upstreams.self_check import self_check
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file

LEAST = """
import numpy as np

class MyEncoder:
    sample_rate = 32_000

    def encode(self, waves, layers):
        frames = np.lib.stride_tricks.sliding_window_view(waves, 400, axis=1)[:, ::320]
        return {layer: frames[:, :, :8].astype(np.float32) for layer in layers}
"""
MOST = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

class MyEncoder:
    name, title, revision, licence, source, n_parameters = "mine", "My encoder", "2.1", "MIT", "https://example.org", 12
    sample_rate, segment_samples, min_samples, layers = 48_000, None, 10, ("a", "b")

    def __init__(self, options):
        self.scale = float(options.checkpoint.read_text())

    def encode(self, waves, layers):
        return {layer: waves[:, :, None] * np.float32(self.scale if layer == "a" else 2) for layer in layers}

ready = None
def build():
    class Quiet:
        sample_rate = 16_000
        def encode(self, waves, layers):
            return {"0": waves[:, :, None]}
    return Quiet()

class Wrong:
    sample_rate = 16_000
"""


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch):
    """Write a module into an otherwise empty current folder; its name is new each time, since Python caches modules."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> str:
        name = f"module_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def test_the_least_that_is_needed_is_a_rate_and_a_method(write_module, tmp_path: Path):
    module = write_module(LEAST)
    upstream = load_upstream(f"{module}:MyEncoder")
    assert upstream.name == f"{module}_MyEncoder"
    assert (upstream.sample_rate, upstream.segment_samples, upstream.layers) == (32_000, 160_000, ("0",))
    assert upstream.min_samples == 400  # 12.5 ms at this rate
    assert upstream.revision == f"source sha256:{sha256_of_file(tmp_path / f'{module}.py')}"
    assert self_check(upstream).shapes == {"0": (99, 8)}


def test_everything_can_be_said(write_module, tmp_path: Path):
    checkpoint = tmp_path / "scale.txt"
    checkpoint.write_text("0.5")
    upstream = load_upstream(f"{write_module(MOST)}:MyEncoder", UpstreamOptions(checkpoint=checkpoint))
    assert (upstream.name, upstream.revision, upstream.n_parameters) == ("mine", "2.1", 12)
    assert (upstream.segment_samples, upstream.min_samples, upstream.layers) == (None, 10, ("a", "b"))
    frames = upstream.encode(np.ones((1, 10), np.float32), ["a", "last"])
    assert frames["a"].max() == 0.5
    assert frames["last"].max() == 2
    self_check(upstream)


def test_a_function_that_builds_one_will_do(write_module):
    assert load_upstream(f"{write_module(MOST)}:build").sample_rate == 16_000


@pytest.mark.parametrize(
    ("attribute", "message"),
    [("Nothing", "has no 'Nothing'"), ("Wrong", "has no method encode"), ("ready", "has no 'ready'")],
)
def test_what_is_not_there_is_named(write_module, attribute: str, message: str):
    with pytest.raises(UserError, match=message):
        load_upstream(f"{write_module(MOST)}:{attribute}")


def test_a_module_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(
        UserError, match=r"no module 'no_such_module' .* run the command in the folder that holds no_such_module\.py"
    ):
        load_upstream("no_such_module:Encoder")


def test_a_package_that_the_module_needs_is_named(write_module):
    with pytest.raises(UserError, match="needs the package 'no_such_package'"):
        load_upstream(f"{write_module('import no_such_package')}:Encoder")


def test_a_rate_is_needed(write_module):
    with pytest.raises(UserError, match="has sample_rate None; give the rate of the waves that it needs in Hz"):
        load_upstream(f"{write_module(LEAST.replace('sample_rate', 'rate'))}:MyEncoder")


@pytest.mark.parametrize(
    ("result", "message"),
    [("waves", "gives ndarray; a dictionary"), ("{'x': waves[:, :, None]}", "asked for layer '0' and gives x")],
)
def test_an_encode_that_gives_something_else_is_told_what_is_needed(write_module, result: str, message: str):
    text = f"class E:\n    sample_rate, min_samples = 16000, 1\n    def encode(self, waves, layers):\n        return {result}\n"
    upstream = load_upstream(f"{write_module(text)}:E")
    with pytest.raises(UserError, match=message):
        upstream.encode(np.ones((1, 100), np.float32), ["last"])


def test_probing_takes_the_first_length_from_which_features_are_finite():
    def states_of(waves: np.ndarray) -> list[np.ndarray]:
        if waves.shape[1] < 400:
            raise RuntimeError("kernel size")
        return [np.full((1, 2, 3), np.nan if waves.shape[1] < 800 else 1.0)]

    assert shortest_finite("it", states_of, 16_000) == 800


def test_probing_gives_up_with_the_cause():
    def states_of(waves: np.ndarray) -> list[np.ndarray]:
        raise RuntimeError("needs two microphones")

    with pytest.raises(UserError, match=r"no finite feature.*two microphones"):
        shortest_finite("it", states_of, 16_000)


FIXED = """
import numpy as np

class Fixed:
    sample_rate, segment_samples = 16_000, {segment}
    calls = []

    def encode(self, waves, layers):
        self.calls.append(waves.shape[1])
        if {condition}:
            raise {error}
        frames = waves[:, : waves.shape[1] // 160 * 160].reshape(len(waves), -1, 160)[:, :, :8]
        return {{layer: np.ascontiguousarray(frames) for layer in layers}}
"""


def fixed(write_module, segment, condition, error="RuntimeError('mat1 and mat2 shapes cannot be multiplied')"):
    return f"{write_module(FIXED.format(segment=segment, condition=condition, error=error))}:Fixed"


@pytest.mark.parametrize(
    ("segment", "error"),
    [
        (16_000, "RuntimeError('mat1 and mat2 shapes cannot be multiplied')"),
        (80_000, "ValueError('cannot reshape array')"),
        (15_600, "TypeError('expected (1, 15600)')"),
        (160_000, "Exception('any other error')"),
        (5_000, "KeyError('length')"),
    ],
)
def test_an_encoder_of_one_length_is_taken_as_such_and_refuses_others(write_module, tmp_path, segment, error):
    upstream = load_upstream(fixed(write_module, segment, f"waves.shape[1] != {segment}", error))
    assert (upstream.segment_samples, upstream.min_samples, upstream.max_samples) == (segment,) * 3
    assert fixed_length(upstream) == segment
    self_check(upstream)
    tone = tmp_path / "owl" / "a.wav"
    tone.parent.mkdir()
    soundfile.write(tone, np.sin(np.arange(200_000) / 9), 16_000)
    plan = functools.partial(
        make_plan, load_dataset("folder:birds"), [Recording("owl/a.wav", tone, "owl")], [], upstream
    )
    for other in ("whole", "0.7", "30"):
        with pytest.raises(
            UserError, match=rf"takes segments of {segment} samples \(.* s\) only: leave out --segment {other}"
        ):
            plan(ExtractionSettings(segment=other), tmp_path / "store")
    parts = plan(ExtractionSettings(), tmp_path / "store")
    assert parts.plan["upstream"]["fixed_segment_samples"] == segment
    plan(ExtractionSettings(segment=str(segment / 16_000)), tmp_path / "store")  # the same length in seconds


@pytest.mark.parametrize(
    "condition",
    ["False", "waves.shape[1] < 4_000", "waves.shape[1] % 1600", "waves.shape[1] < 80_000", "waves.shape[1] > 80_000"],
)
def test_an_encoder_of_several_lengths_is_not_taken_for_fixed(write_module, condition):
    upstream = load_upstream(fixed(write_module, 80_000, condition))
    assert fixed_length(upstream) is None
    assert upstream.max_samples is None


def test_one_length_that_is_not_the_segments_is_refused_with_the_attribute_to_give(write_module):
    with pytest.raises(UserError, match=r"takes only waves of 16000 samples \(1 s\).*segment_samples = 16000"):
        load_upstream(fixed(write_module, 80_000, "waves.shape[1] != 16_000"))


@pytest.mark.parametrize(
    ("condition", "shortest"), [("waves.shape[1] < 80_000", 80_000), ("waves.shape[1] < 4_000", 4_800)]
)
def test_the_shortest_wave_may_be_as_long_as_the_segment(write_module, condition, shortest):
    assert load_upstream(fixed(write_module, 80_000, condition)).min_samples == shortest
