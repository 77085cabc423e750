"""Run an encoder on a second of sound, and check that it keeps the promises of `base.Upstream`, before hours of extraction."""

import dataclasses
import re
import time

import numpy as np
from jaxtyping import Float32

from extraction.upstreams.base import Upstream, batch_tolerance
from jfewshot.errors import UserError

FILE_NAME = re.compile(r"[A-Za-z0-9_.+-]+")


@dataclasses.dataclass(frozen=True)
class SelfCheck:
    """The findings of a self-check.

    Attributes:
      shapes: numbers of frames and dimensions of each layer, for a second of sound (or the encoder's only length).
      batch_difference: largest difference between a frame in a batch and the same frame alone, relative to the largest frame.
      rate: seconds of sound encoded per second, one wave at a time.
    """

    shapes: dict[str, tuple[int, int]]
    batch_difference: float
    rate: float


def self_check(upstream: Upstream) -> SelfCheck:
    """Run an encoder on a second of artificial sound and check the promises of the interface.

    The promises are: names and types of attributes; shape and dtype of every layer; finite frames, also for the shortest wave;
    the same frames when the encoder runs twice; the same frames in a batch as one by one; and different frames for different
    sounds.

    Args:
      upstream: an encoder. If its frames differ by more than 1e-5 between batch and single waves (half precision), its attribute
        `batch_tolerance` must say so. Its attribute `max_samples` gives its longest wave.

    Raises:
      UserError: if a promise is broken; the message says which one, what was found and what is needed.
    """
    _check_attributes(upstream)
    length = max(upstream.min_samples, min(upstream.sample_rate, getattr(upstream, "max_samples", None) or 2**31))
    waves = artificial_sounds(upstream.sample_rate, length)
    layers = list(upstream.layers)
    together = _encode(upstream, waves, layers)
    _check_repeatable(upstream, waves, layers, together)
    start = time.perf_counter()
    alone = [_encode(upstream, wave[None], layers) for wave in waves]
    rate = waves.size / upstream.sample_rate / (time.perf_counter() - start)
    difference = _check_batch(upstream, together, alone)
    _check_not_constant(upstream, together)
    last = _encode(upstream, waves[:1], ["last"])["last"]
    if not np.array_equal(last, alone[0][layers[-1]]):
        raise _broken(
            upstream, f"'last' is another layer than its last one, '{layers[-1]}'", "give layers[-1] for 'last'"
        )
    _encode(upstream, np.ascontiguousarray(waves[:, : upstream.min_samples]), layers)
    shapes = {layer: (frames.shape[1], frames.shape[2]) for layer, frames in together.items()}
    return SelfCheck(shapes, difference, rate)


def change_by_autocast(upstream: Upstream, exact: Upstream) -> float:
    """Measure how much half precision changes the mean over time of a second of sound, in the last layer.

    Args:
      upstream: the encoder under autocast.
      exact: the same encoder in float32.

    Returns:
      norm of the change divided by the norm of the mean, the largest of three sounds.
    """
    length = max(exact.min_samples, min(exact.sample_rate, getattr(exact, "max_samples", None) or 2**31))
    waves = artificial_sounds(exact.sample_rate, length)
    means = [_encode(encoder, waves, ["last"])["last"].mean(axis=1, dtype=np.float64) for encoder in (upstream, exact)]
    return float((np.linalg.norm(means[0] - means[1], axis=1) / np.linalg.norm(means[1], axis=1)).max())


def artificial_sounds(sample_rate: int, length: int) -> Float32[np.ndarray, "3 samples"]:
    """Make three different sounds without silence: a rising tone, a chord with a beat, and noise with a hum."""
    time_s = np.arange(length) / sample_rate
    noise = np.random.default_rng(1).standard_normal(length)
    rising = np.sin(2 * np.pi * (100 + sample_rate / 8 * time_s) * time_s)
    chord = sum(np.sin(2 * np.pi * pitch * time_s) for pitch in (220.0, 277.2, 329.6)) * (1 + np.sin(11 * time_s)) / 6
    hum = 0.5 * np.sin(2 * np.pi * 50 * time_s) + 0.2 * noise
    return (0.3 * np.stack([rising, chord, hum]) + 0.001 * noise).astype(np.float32)


def _check_attributes(upstream: Upstream) -> None:
    wanted = {
        "name": str,
        "title": str,
        "revision": str,
        "licence": str,
        "source": str,
        "sample_rate": int,
        "min_samples": int,
    }
    for attribute, kind in wanted.items():
        value = getattr(upstream, attribute, None)
        if not isinstance(value, kind):
            raise _broken(upstream, f"its {attribute} is {value!r}", f"a value of type {kind.__name__} is needed")
    layers = upstream.layers
    if not isinstance(layers, tuple) or not layers or not all(isinstance(layer, str) for layer in layers):
        raise _broken(upstream, f"its layers are {layers!r}", "a tuple of at least one name is needed")
    for what, text in [("name", upstream.name), *(("layer", layer) for layer in layers)]:
        if not FILE_NAME.fullmatch(text):
            raise _broken(
                upstream, f"its {what} {text!r} cannot be part of a file name", "use letters, digits, _, - and ."
            )
    if len(set(layers)) < len(layers) or "last" in layers[:-1]:
        raise _broken(
            upstream, f"its layers are {layers}", "names must differ, and 'last' always means the last of them"
        )
    if upstream.sample_rate <= 0 or upstream.min_samples <= 0:
        raise _broken(upstream, "its sample_rate or min_samples is not positive", "give Hz and samples")


def _encode(
    upstream: Upstream, waves: Float32[np.ndarray, "batch samples"], layers: list[str]
) -> dict[str, np.ndarray]:
    kept = waves.copy()
    frames = upstream.encode(waves, layers)
    if not np.array_equal(kept, waves):
        raise _broken(upstream, "it changes the waves that it gets", "work on a copy")
    if not isinstance(frames, dict) or set(frames) != set(layers):
        seen = sorted(frames) if isinstance(frames, dict) else type(frames).__name__
        raise _broken(
            upstream, f"encode gives {seen} when asked for {layers}", "a dictionary with exactly these is needed"
        )
    for layer, array in frames.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.float32:
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise _broken(upstream, f"layer {layer} is {kind}", "a NumPy array of float32 is needed")
        if array.ndim != 3 or len(array) != len(waves) or 0 in array.shape:
            raise _broken(
                upstream,
                f"layer {layer} of {len(waves)} waves has shape {array.shape}",
                "batch x frames x dim is needed",
            )
        if not np.isfinite(array).all():
            raise _broken(
                upstream,
                f"layer {layer} of {waves.shape[1]} samples has {np.sum(~np.isfinite(array))} values that are NaN or infinite",
                f"check its weights, or raise min_samples ({upstream.min_samples})",
            )
    return frames


def _check_repeatable(upstream: Upstream, waves: np.ndarray, layers: list[str], before: dict[str, np.ndarray]) -> None:
    again = _encode(upstream, waves, layers)
    for layer in layers:
        if not np.array_equal(before[layer], again[layer]):
            raise _broken(
                upstream,
                f"layer {layer} differs by {_relative(before[layer], again[layer]):.1e} when the same waves are encoded twice",
                "switch off dropout and other randomness (.eval() in torch)",
            )


def _check_batch(upstream: Upstream, together: dict[str, np.ndarray], alone: list[dict[str, np.ndarray]]) -> float:
    tolerance = batch_tolerance(upstream)
    largest = 0.0
    for layer, frames in together.items():
        for row, single in enumerate(alone):
            if single[layer][0].shape != frames[row].shape:
                raise _broken(
                    upstream,
                    f"layer {layer} has {frames.shape[1]} frames in a batch and {single[layer].shape[1]} alone",
                    "waves of the same length need the same number of frames",
                )
            difference = _relative(frames[row], single[layer][0])
            largest = max(largest, difference)
            if difference > tolerance:
                raise _broken(
                    upstream,
                    f"layer {layer} changes by {difference:.1e} of its largest value with the other waves in the batch",
                    f"rounding explains at most {tolerance:.0e}; normalise each wave by itself, or encode one wave at a time",
                )
    return largest


def _check_not_constant(upstream: Upstream, frames: dict[str, np.ndarray]) -> None:
    for layer, array in frames.items():
        if np.array_equal(array[0], array[1]) and np.array_equal(array[0], array[2]):
            raise _broken(
                upstream, f"layer {layer} is the same for three unlike sounds", "check that it depends on the input"
            )


def _relative(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one - other).max() / max(float(np.abs(other).max()), np.finfo(np.float32).tiny))


def _broken(upstream: Upstream, seen: str, needed: str) -> UserError:
    return UserError(
        f"upstream {getattr(upstream, 'name', type(upstream).__name__)} failed its self-check: {seen}; {needed}"
    )
