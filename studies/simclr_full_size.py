"""Speech SimCLR at the size of the paper: from the published folders to an exported encoder, in one command.

    python -m studies.simclr_full_size --librispeech LibriSpeech --musan musan --out RUN --machine h200
    python -m studies.simclr_full_size --librispeech LibriSpeech --musan musan --rooms RIRS_NOISES --out RUN --machine a100x8
    python -m studies.simclr_full_size --estimate

The folders are those that the archives of OpenSLR 12 (train-clean-100, train-clean-360, train-other-500), 17 and 28 unpack
to. The command first counts what they hold and stops if something is missing. Then it trains with the settings of the recipe
`pretrain_paper` (jfewshot/data/recipes), and exports the encoder to OUT/encoder and the untrained control to OUT/random. It can
be stopped at any time, and the same command continues.

`--trial` accepts folders that are incomplete and trains 3 steps of 8 utterances with the full network. `--estimate` prints how
long each machine would take, from the count of operations, and trains nothing. Options after `--` are options of
`jfewshot pretrain`, for instance `-- --seed 1 --tensorboard`.
"""

import dataclasses
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from benchmarks.tools.measuring import markdown_table
from benchmarks.training.simclr_projection import SIMCLR_STEPS, model_flops
from jfewshot.commandline import log_plainly, run_cli
from jfewshot.commandline.parsing import parse
from jfewshot.errors import UserError
from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.settings import FbankSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """What a training gets.

    Attributes:
      title: what people call it.
      devices: number of devices.
      peak: bfloat16 operations (without sparsity) a second of one device, from its maker's data sheet.
      flags: options that make a batch of 600 fit.
    """

    title: str
    devices: int
    peak: float
    flags: str


MACHINES = {
    "h200": Machine("one NVIDIA H200", 1, 989e12, "--chunks 10"),
    "tpu-v5e-8": Machine("TPU v5e-8", 8, 197e12, "--chunks 5"),
    "a100x8": Machine("eight NVIDIA A100", 8, 312e12, "--chunks 3"),
}

# Of TERA's step on one H200, 32 x 1,200 frames in bfloat16: 50.8 steps a second (docs/benchmarks.md).
MEASURED_STEPS_PER_S = 50.8

# (files, what): as published.
LIBRISPEECH = {"train-clean-100": 28_539, "train-clean-360": 104_014, "train-other-500": 148_688}
TRIAL = "--batch 8 --chunks 2 --steps 3 --checkpoint-every 1 --log-every 1 --data.buckets 1 --data.threads 1 --monitor.every 0"

MUSAN = {"music": 660, "noise": 930, "speech": 426}


@dataclass(frozen=True)
class FullSize:
    """Where the data is, and on what machine."""

    librispeech: Path | None = None
    """Folder LibriSpeech, with train-clean-100, train-clean-360 and train-other-500."""
    musan: Path | None = None
    """Folder musan, with music, noise and speech. Without this option, noise is generated."""
    rooms: Path | None = None
    """Folder RIRS_NOISES of room responses. Without this option, SoX's reverb, as in the paper."""
    out: Path = Path("full_size")
    """Folder for the run and the encoders."""
    machine: Literal["h200", "tpu-v5e-8", "a100x8"] = "h200"
    """Machine, which decides the number of chunks."""
    trial: bool = False
    """Train 3 steps of 8 utterances, whatever the folders hold."""
    estimate: bool = False
    """Print how long each machine takes, and train nothing."""


def published(folder: Path, parts: dict[str, int], suffix: str, trial: bool) -> None:
    """Count the recordings of a published folder.

    Args:
      folder: the folder.
      parts: number of recordings in each of its folders.
      suffix: of a recording's name.
      trial: whether incomplete folders are accepted.

    Raises:
      UserError: if recordings are missing.
    """
    found = Counter(path.relative_to(folder).parts[0] for path in folder.rglob(f"*{suffix}"))
    log.info("%s: %s", folder, ", ".join(f"{name} {found[name]:,} of {count:,}" for name, count in parts.items()))
    lacking = [f"{name} has {found[name]:,} of {count:,}" for name, count in parts.items() if found[name] != count]
    if lacking and not trial:
        raise UserError(
            f"{folder} is not as published: {'; '.join(lacking)} recordings. Unpack the archives again, or give --trial"
        )


def configuration(settings: FullSize, further: Sequence[str] = ()) -> TrainConfig:
    """The settings of the run.

    Args:
      settings: where the data is, and the machine.
      further: options of `jfewshot pretrain`, which win.

    Raises:
      UserError: if there is no folder of speech.
    """
    if settings.librispeech is None:
        raise UserError("--librispeech FOLDER is missing (the folder that LibriSpeech's archives unpack to)")
    flags = [
        "--config",
        "pretrain_paper",
        "--data.source",
        str(settings.librispeech),
        "--out",
        str(settings.out / "run"),
    ]
    # Decoding on so many threads keeps ahead of every machine of the table (docs/pretraining.md).
    flags += ["--data.threads", str(min(16, os.cpu_count() or 1))]
    flags += ["--augmentation.noise-folder", str(settings.musan)] if settings.musan else []
    flags += ["--augmentation.rooms-folder", str(settings.rooms)] if settings.rooms else []
    flags += MACHINES[settings.machine].flags.split()
    if settings.trial:
        flags += TRIAL.split()
    return parse(TrainConfig, [*flags, *further], "pretrain")


def sustained_share() -> float:
    """The share of an H200's peak that TERA's step reached."""
    base = configuration(FullSize(Path("LibriSpeech")))
    tera = dataclasses.replace(base, profile="tera", batch=32, chunks=1)
    return MEASURED_STEPS_PER_S * model_flops(tera, 1200) / MACHINES["h200"].peak


def hours(machine: Machine, steps: int = SIMCLR_STEPS) -> tuple[float, float]:
    """How long the training takes, from the count of operations.

    Args:
      machine: what it runs on.
      steps: number of steps.

    Returns:
      hours if the device sustains the measured share of its peak and computes nothing twice; hours if `--chunks` computes each
      forward pass again (4/3 of the operations). Augmentation is not counted.
    """
    config = configuration(FullSize(Path("LibriSpeech")))
    frames = 1 + int((config.data.crop_s * 1000 - FbankSettings().frame_ms) / FbankSettings().hop_ms)
    seconds = steps * model_flops(config, frames) / (sustained_share() * machine.peak * machine.devices)
    return seconds / 3600, seconds / 3600 * 4 / 3


def needed_s_per_s(machine: Machine) -> float:
    """Seconds of speech that a machine takes in a second, if nothing is computed twice."""
    return 600 * 12.0 * SIMCLR_STEPS / (hours(machine)[0] * 3600)


def estimate() -> str:
    """A table of hours, and of the speech that a machine takes in a second."""
    rows = []
    for machine in MACHINES.values():
        low, high = hours(machine)
        peak = f"{machine.peak * machine.devices / 1e12:,.0f}"
        rows.append([machine.title, peak, f"{low:.0f} to {high:.0f}", f"{needed_s_per_s(machine):,.0f}"])
    headings = ["machine", "peak, TFLOP/s", "hours", "speech, s per s"]
    share = f"at {sustained_share():.0%} of the peak in bfloat16, which TERA's step reached on an H200"
    return f"{markdown_table(headings, rows)}\n{SIMCLR_STEPS:,} steps of 600 utterances of 12 s, {share}\n"


def main() -> None:
    """Check, train, export."""
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    settings = tyro.cli(FullSize, description=__doc__, args=arguments[:cut])
    log_plainly()
    if settings.estimate:
        print(estimate())
        return
    config = configuration(settings, arguments[cut + 1 :])
    published(config.data.source, LIBRISPEECH, ".flac", settings.trial)
    if settings.musan is not None:
        published(settings.musan, MUSAN, ".wav", settings.trial)
    from jfewshot.simclr.export.run import ExportOptions, export
    from jfewshot.simclr.training.loop import train

    train(config)
    for name, step in (("encoder", None), ("random", 0)):
        if not (settings.out / name / "encoder.json").exists():
            export(ExportOptions(config.out, settings.out / name, name=f"speech_simclr_{name}", step=step))
    log.info("wrote %s and %s", settings.out / "encoder", settings.out / "random")


if __name__ == "__main__":
    run_cli(main)
