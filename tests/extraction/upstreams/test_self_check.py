"""The second of sound before the hours of work: what passes, and every promise that can be broken."""

import numpy as np
import pytest

from extraction.upstreams.self_check import artificial_sounds, self_check
from jfewshot.errors import UserError


class Good:
    """Energies of 10 ms frames, in two layers."""

    name, title, revision, licence, source, n_parameters = "good", "Good", "1", "MIT", "here", 0
    sample_rate, segment_samples, min_samples = 8000, 40_000, 80
    layers = ("energy", "log.energy")

    def encode(self, waves, layers):
        frames = waves[:, : waves.shape[1] // 80 * 80].reshape(len(waves), -1, 80)
        energy = (frames**2).mean(axis=2, keepdims=True).astype(np.float32)
        states = {"energy": energy, "log.energy": np.log(energy + 1e-6).astype(np.float32)}
        return {layer: states[self.layers[-1] if layer == "last" else layer] for layer in layers}


def broken(**changes):
    """A `Good` with attributes replaced; `frames` changes what encode returns, layer by layer."""
    frames = changes.pop("frames", None)
    bad = type("Bad", (Good,), {"name": "bad"} | changes)()
    if frames:
        good = Good()
        bad.encode = lambda waves, layers: {
            layer: frames(waves, array) for layer, array in good.encode(waves, layers).items()
        }
    return bad


def test_a_good_encoder_passes_and_its_shapes_are_told():
    seen = self_check(Good())
    assert seen.shapes == {"energy": (100, 1), "log.energy": (100, 1)}
    assert seen.batch_difference < 1e-6
    assert seen.rate > 0


def test_a_longest_wave_is_kept_to():
    lengths = []
    self_check(broken(max_samples=4000, frames=lambda waves, array: lengths.append(waves.shape[1]) or array))
    assert max(lengths) == 4000


def test_a_declared_tolerance_is_accepted():
    def company(waves, array):
        return array * np.float32(1 + 1e-3 * len(waves))

    with pytest.raises(UserError, match=r"changes by 2\.0e-03 of its largest value with the other waves in the batch"):
        self_check(broken(frames=company))
    assert self_check(broken(frames=company, batch_tolerance=1e-2)).batch_difference == pytest.approx(2e-3, rel=0.01)
    assert self_check(broken(frames=company, autocast="bf16")).batch_difference == pytest.approx(2e-3, rel=0.01)
    with pytest.raises(UserError, match="changes by"):
        self_check(broken(frames=company, autocast="none"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"revision": None}, "its revision is None; a value of type str"),
        ({"sample_rate": "16k"}, "its sample_rate is '16k'"),
        ({"sample_rate": 0}, "not positive"),
        ({"layers": ()}, r"its layers are \(\); a tuple of at least one name"),
        ({"layers": ["energy"]}, "a tuple of at least one name"),
        ({"layers": ("energy", "energy")}, "names must differ"),
        ({"layers": ("last", "energy")}, "'last' always means the last"),
        ({"layers": ("a/b",)}, "layer 'a/b' cannot be part of a file name"),
        ({"name": "my encoder"}, "name 'my encoder' cannot be part of a file name"),
        ({"encode": lambda self, waves, layers: waves}, "encode gives ndarray when asked for"),
        ({"encode": lambda self, waves, layers: {}}, r"encode gives \[\] when asked for"),
        ({"frames": lambda waves, array: array.astype(np.float64)}, "layer energy is float64; .* float32 is needed"),
        ({"frames": lambda waves, array: array.tolist()}, "layer energy is list"),
        ({"frames": lambda waves, array: array[:, :, 0]}, r"has shape \(3, 100\); batch x frames x dim"),
        ({"frames": lambda waves, array: array[:, :0]}, r"has shape \(3, 0, 1\)"),
        (
            {"frames": lambda waves, array: array * np.float32(np.nan)},
            "300 values that are NaN or infinite; check its weights",
        ),
        ({"frames": lambda waves, array: np.ones_like(array)}, "the same for three unlike sounds"),
        (
            {"frames": lambda waves, array: array[:, : 100 if len(waves) > 1 else 99]},
            "has 100 frames in a batch and 99 alone",
        ),
        ({"frames": lambda waves, array: np.divide(waves, 2, out=waves) is None or array}, "changes the waves"),
    ],
)
def test_every_broken_promise_is_named(changes: dict, message: str):
    with pytest.raises(UserError, match=f"failed its self-check: .*{message}"):
        self_check(broken(**changes))


def test_randomness_is_noticed():
    rng = np.random.default_rng(0)

    def dropout(waves, array):
        return array * rng.integers(0, 2, array.shape).astype(np.float32)

    with pytest.raises(UserError, match=r"when the same waves are encoded twice; switch off dropout"):
        self_check(broken(frames=dropout))


def test_a_shortest_wave_that_gives_nan_is_noticed():
    def needs_ten(waves, array):
        return array if waves.shape[1] >= 800 else array * np.float32(np.nan)

    with pytest.raises(UserError, match=r"of 80 samples has 3 values .* raise min_samples \(80\)"):
        self_check(broken(frames=needs_ten))


def test_last_must_be_the_last_layer():
    def encode(self, waves, layers):
        return {layer: Good().encode(waves, ["energy"])["energy"] + (layer == "log.energy") for layer in layers}

    bad = broken(
        encode=lambda self, waves, layers: {k: v.astype(np.float32) for k, v in encode(self, waves, layers).items()}
    )
    with pytest.raises(UserError, match=r"'last' is another layer than its last one, 'log.energy'"):
        self_check(bad)


def test_the_sounds_are_unlike_and_fit_the_range():
    sounds = artificial_sounds(16_000, 16_000)
    assert sounds.dtype == np.float32
    assert 0.01 < np.abs(sounds).max() <= 1
    assert np.abs(np.corrcoef(sounds)[np.triu_indices(3, 1)]).max() < 0.2
