"""How many times faster than real time are FBANK and each augmentation, compared with common audio libraries?

    python -m benchmarks.training.simclr_signal [--seconds 12] [--batch 8] [--json simclr_signal.json]

Our functions run compiled and on a batch of clips, on JAX's default device. The other libraries process one clip at a time on the
CPU, because their interfaces take one clip. Each row is the fastest of a few rounds. Libraries that are not installed are listed
and not measured.
"""

import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.tools.measuring import write_json
from jfewshot.simclr import augmentation
from jfewshot.simclr.features import fbank

RATE = 16_000


@dataclass(frozen=True)
class SignalBenchmark:
    """Settings of the measurement."""

    seconds: float = 12.0
    """Length of a clip in seconds."""
    batch: int = 8
    """Number of clips in our batch."""
    rounds: int = 3
    """Number of rounds; the fastest round is reported."""
    json: Path | None = None
    """File for the measured rows."""


def fastest(run: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round, after a first round that is not measured."""
    run()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def ours(settings: SignalBenchmark) -> dict[str, Callable[[], object]]:
    """Functions that apply FBANK and each of our augmentations to a batch."""
    samples = int(settings.seconds * RATE)
    config = augmentation.AugmentationConfig()
    banks = augmentation.make_banks(config, samples, RATE, seed=0)
    keys = jax.random.split(jax.random.key(0), settings.batch)
    waves = 0.1 * jax.random.normal(jax.random.key(1), (settings.batch, samples))
    lengths = jnp.full(settings.batch, samples, jnp.int32)
    functions = {
        "fbank": lambda key, wave, length: fbank(wave, length),
        "speed": augmentation.speed,
        "pitch": augmentation.pitch,
        "reverb (bank)": lambda key, wave, length: augmentation.reverb(key, wave, length, banks.rooms),
        "reverb (continuous)": augmentation.reverb_continuous,
        "noise": lambda key, wave, length: augmentation.add_noise(key, wave, length, banks.noises),
        "a whole view": lambda key, wave, length: augmentation.augment_wave(key, wave, length, banks, config),
    }
    jitted = {name: jax.jit(jax.vmap(function)) for name, function in functions.items()}
    return {
        name: functools.partial(lambda function: jax.block_until_ready(function(keys, waves, lengths)), function)
        for name, function in jitted.items()
    }


def theirs(wave: np.ndarray) -> tuple[dict[str, Callable[[], object]], list[str]]:
    """Functions that apply other libraries to one clip, and the names of libraries that are not installed."""
    runs: dict[str, Callable[[], object]] = {}
    missing = []
    try:
        import kaldi_native_fbank

        def kaldi():
            options = kaldi_native_fbank.FbankOptions()
            options.frame_opts.dither, options.mel_opts.num_bins = 0.0, 80
            computer = kaldi_native_fbank.OnlineFbank(options)
            computer.accept_waveform(RATE, wave)
            return computer.get_frame(computer.num_frames_ready - 1)

        runs["fbank: kaldi-native-fbank"] = kaldi
    except ImportError:
        missing.append("kaldi-native-fbank")
    try:
        import torch

        from extraction.upstreams.s3prl.compat import prepare_torchaudio

        prepare_torchaudio()  # makes torchaudio importable where torch cannot load its compiled part, which is not used here
        import torchaudio

        signal = torch.from_numpy(wave)[None]
        rooms = torch.from_numpy(np.ascontiguousarray(augmentation.impulse_responses(RATE)[50:51]))
        runs["speed: torchaudio"] = lambda: torchaudio.functional.speed(signal, RATE, 1.1)
        runs["reverb (convolution): torchaudio"] = lambda: torchaudio.functional.fftconvolve(signal, rooms)
        noise, snr = torch.randn_like(signal), torch.tensor([7.0])
        runs["noise: torchaudio"] = lambda: torchaudio.functional.add_noise(signal, noise, snr)
        runs["fbank: torchaudio"] = lambda: torchaudio.compliance.kaldi.fbank(signal, num_mel_bins=80, dither=0.0)
    except (ImportError, OSError):
        missing.append("torchaudio")
    if shutil.which("sox"):
        import soundfile

        folder = Path(tempfile.mkdtemp())
        soundfile.write(folder / "in.wav", wave, RATE)
        for name, effect in {
            "speed: SoX": "speed 1.1 rate 16000",
            "pitch: SoX -q": "pitch -q 200 rate 16000",
            "reverb: SoX": "reverb 50 50 50",
        }.items():
            command = ["sox", str(folder / "in.wav"), "-t", "raw", os.devnull, *effect.split()]
            runs[name] = functools.partial(subprocess.run, command, check=True, stderr=subprocess.DEVNULL)
    else:
        missing.append("SoX")
    try:
        import audiomentations

        parts = {
            "speed: audiomentations": audiomentations.TimeStretch(0.8, 1.2, leave_length_unchanged=False, p=1.0),
            "pitch: audiomentations": audiomentations.PitchShift(-3, 3, p=1.0),
            "noise: audiomentations": audiomentations.AddGaussianSNR(5.0, 10.0, p=1.0),
        }
        for name, part in parts.items():
            runs[name] = functools.partial(part, samples=wave, sample_rate=RATE)
    except ImportError:
        missing.append("audiomentations")
    return runs, missing


def main() -> None:
    """Measure, print, and write the JSON."""
    settings = tyro.cli(SignalBenchmark, description=__doc__)
    rows = []
    for name, run in ours(settings).items():
        seconds = fastest(run, settings.rounds)
        rows.append(
            {
                "what": name,
                "times_real_time": settings.batch * settings.seconds / seconds,
                "device": jax.default_backend(),
            }
        )
    wave = (0.1 * np.random.default_rng(0).standard_normal(int(settings.seconds * RATE))).astype(np.float32)
    runs, missing = theirs(wave)
    for name, run in runs.items():
        rows.append(
            {"what": name, "times_real_time": settings.seconds / fastest(run, settings.rounds), "device": "cpu"}
        )
    for row in rows:
        print(f"{row['what']:34s} {row['times_real_time']:10.0f} x real time  ({row['device']})")
    if missing:
        print(f"not installed, not measured: {', '.join(missing)}")
    if settings.json:
        write_json(settings.json, {"settings": {"seconds": settings.seconds, "batch": settings.batch}, "rows": rows})


if __name__ == "__main__":
    main()
