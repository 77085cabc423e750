"""Recordings to build datasets of: real ones where they are at hand, else synthetic bursts."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

REPOSITORY = Path(__file__).parents[2]


@cache
def real_folder() -> Path | None:
    """The folder of real recordings: `JFEWSHOT_AUDIO`, or `shared/audio` beside the repository; None where neither is."""
    for folder in (os.environ.get("JFEWSHOT_AUDIO"), REPOSITORY.parent / "shared" / "audio"):
        if folder and (Path(folder) / "esc10" / "audio").is_dir():
            return Path(folder)
    return None


@cache
def wave(number: int, rate: int = 16_000, duration_s: float = 0.3) -> np.ndarray:
    """The number-th recording, cut or tiled to a duration; samples in [-1, 1]."""
    n_samples = round(rate * duration_s)
    if real_folder() is not None:
        files = sorted((real_folder() / "esc10" / "audio").iterdir())
        samples, _ = soundfile.read(files[number * 7 % len(files)], dtype="float32", always_2d=True)
        loudest = int(np.abs(samples[:, 0]).argmax())
        return np.resize(samples[max(0, loudest - 2_000) :, 0], n_samples)
    rng = np.random.default_rng(number)
    return (rng.standard_normal(n_samples) * 0.1 * np.hanning(n_samples)).astype(np.float32)


# Every kind of file that a publisher ships: cycled through by `write`.
KINDS = (
    {"ending": "wav", "rate": 16_000, "channels": 1, "subtype": "PCM_16"},
    {"ending": "flac", "rate": 44_100, "channels": 2, "subtype": "PCM_24"},
    {"ending": "ogg", "rate": 48_000, "channels": 1, "subtype": "VORBIS"},
    {"ending": "mp3", "rate": 22_050, "channels": 2, "subtype": None},
    {"ending": "wav", "rate": 8_000, "channels": 6, "subtype": "FLOAT"},
)


def write(path: Path, number: int, duration_s: float = 0.3, kind: int | None = None) -> Path:
    """Write recording `number` to a path; with a `kind` (an index of `KINDS`) the path's ending becomes that kind's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = dict(KINDS[0]) if kind is None else dict(KINDS[kind % len(KINDS)])
    if kind is None:
        facts["ending"] = path.suffix[1:]
        facts["subtype"] = {"mp3": None, "ogg": "VORBIS"}.get(facts["ending"], "PCM_16")
    path = path.with_suffix(f".{facts['ending']}")
    samples = wave(number, facts["rate"], duration_s)
    channels = np.stack([samples * (1 - 0.1 * channel) for channel in range(facts["channels"])], axis=1)
    soundfile.write(path, channels, facts["rate"], subtype=facts["subtype"])
    return path
