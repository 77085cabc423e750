"""Does a training wait for its input or for the device? Measures how much speech a CPU core decodes, resamples and crops.

    python -m benchmarks.training.simclr_input --json benchmarks/measured/simclr_input_cpu.json

Rates are seconds of speech per second of CPU time, which other programs on the machine change little. The speech is generated: a
voice of harmonics with breath noise. FLAC compresses it; the JSON holds the ratio of sizes as `compressed`. `--speech FOLDER`
uses recordings instead. `simclr_hours` estimates how much speech a training uses per second on each machine.
"""

import functools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import tyro

from benchmarks.tools.measuring import markdown_table, write_json
from benchmarks.training.simclr_hours import MACHINES, needed_s_per_s
from jfewshot.audio import read_audio, sound_below
from jfewshot.commandline import run_cli
from jfewshot.simclr.data import BatchPlan, Utterance, load_batch

RATE, RESAMPLED = 16_000, 44_100


@dataclass(frozen=True)
class InputBenchmark:
    """Settings of the measurement."""

    clips: int = 24
    """Number of recordings at each sample rate."""
    seconds: float = 14.0
    """Length of each recording in seconds. Batches hold crops of 12 s."""
    rounds: int = 5
    """Number of rounds; the median is reported."""
    cores: int = 16
    """Number of CPU cores that prepare the input of a training."""
    speech: Path | None = None
    """Folder of recordings, which are joined to clips. Without this option, speech is generated."""
    json: Path | None = None
    """File for the measured numbers."""


def voice(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Samples of a voice with gliding pitch, pauses and breath noise, between -1 and 1."""
    t = np.arange(samples) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * rng.uniform(0.3, 0.9) * t)) / RATE
    wave = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3 * t) + 0.4, 0, 1)
    return 0.1 * wave * syllables + 0.004 * rng.standard_normal(samples)


def write_clips(settings: InputBenchmark, folder: Path, rate: int) -> list[Path]:
    """Write the clips as 16-bit FLAC; returns their paths."""
    rng, paths = np.random.default_rng(0), []
    sources = sound_below(settings.speech) if settings.speech else []
    samples = int(settings.seconds * rate)
    for number in range(settings.clips):
        if sources:
            parts = [np.zeros(0, np.float32)]
            while sum(map(len, parts)) < samples:
                parts.append(read_audio(sources[rng.integers(len(sources))], rate))
            wave = np.concatenate(parts)[:samples]
        else:
            wave = voice(samples, rng)
        paths.append(folder / f"{rate}-{number:03d}.flac")
        soundfile.write(paths[-1], np.clip(wave, -1, 1), rate, subtype="PCM_16")
    return paths


def real_time(work: Callable[[], object], seconds: float, rounds: int) -> list[float]:
    """Seconds of speech per second of CPU time, for each round."""
    work()
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append(seconds / (time.process_time() - began))
    return found


def read_all(paths: Sequence[Path]) -> None:
    """Decode recordings, and resample recordings at another rate."""
    for path in paths:
        read_audio(path, RATE)


def main() -> None:
    """Measure, print which side a training waits for, and write the JSON."""
    settings = tyro.cli(InputBenchmark, description=__doc__)
    spoken = settings.clips * settings.seconds
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = {rate: write_clips(settings, folder, rate) for rate in (RATE, RESAMPLED)}
        compressed = sum(path.stat().st_size for path in clips[RATE]) / (2 * RATE * spoken)
        for rate, what in ((RATE, "decode"), (RESAMPLED, "decode and resample from 44.1 kHz")):
            rates[what] = real_time(functools.partial(read_all, clips[rate]), spoken, settings.rounds)
        utterances = [Utterance(path, path.name, "", settings.seconds) for path in clips[RATE]]
        plan = BatchPlan(utterances, settings.clips, 12 * RATE, 1, RATE, 0)
        # Only the seconds of the crops count, because a step uses only these. The recordings are decoded whole.
        rates["a batch of crops of 12 s"] = real_time(
            lambda: load_batch(plan, 0, {}), 12.0 * settings.clips, settings.rounds
        )
    medians = {what: float(np.median(found)) for what, found in rates.items()}
    rows = [[what, f"{median:,.0f}", f"{settings.cores * median:,.0f}"] for what, median in medians.items()]
    print(markdown_table(["speech, s per s", "one core", f"{settings.cores} cores"], rows))
    ahead = settings.cores * medians["a batch of crops of 12 s"]
    needed = {machine.title: needed_s_per_s(machine) for machine in MACHINES.values()}
    for title, wanted in needed.items():
        print(
            f"{title} uses {wanted:,.0f} s of speech per s: training waits for {'the device' if wanted < ahead else 'its input'}"
        )
    result = {"compressed": compressed, "real_time_per_core": rates, "needed": needed, "cores": settings.cores}
    write_json(settings.json, result)


if __name__ == "__main__":
    run_cli(main)
