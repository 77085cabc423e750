"""Speech SimCLR at the size of the paper: from the published folders to an exported encoder, in one command.

    python -m studies.simclr_full_size --librispeech LibriSpeech --musan musan --out RUN --machine h200
    python -m studies.simclr_full_size --librispeech LibriSpeech --musan musan --rooms RIRS_NOISES --out RUN --machine a100x8
    python -m studies.simclr_full_size --estimate

The folders are the unpacked archives of OpenSLR 12 (train-clean-100, train-clean-360, train-other-500), 17 and 28. The command
first counts the recordings in these folders, and stops if some are missing. Then it trains with the settings of the recipe
`pretrain_paper` (jfewshot/data/recipes). At the end it exports the encoder to OUT/encoder, and the untrained encoder, which is
the control, to OUT/random. The command can be stopped at any time, and the same command continues.

`--trial` accepts folders that are incomplete and trains 3 steps of 8 utterances with the full network. `--estimate` prints how
long each machine would take, from the count of operations, and trains nothing. Options after `--` are options of
`jfewshot pretrain`, for instance `-- --seed 1 --tensorboard`.
"""

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
from benchmarks.training.simclr_hours import MACHINES, hours, needed_s_per_s, sustained_share
from benchmarks.training.simclr_projection import SIMCLR_STEPS
from jfewshot.commandline import log_plainly, run_cli
from jfewshot.commandline.parsing import parse
from jfewshot.errors import UserError
from jfewshot.simclr.config import TrainConfig

log = logging.getLogger(__name__)


# Number of recordings in each folder, as published.
LIBRISPEECH = {"train-clean-100": 28_539, "train-clean-360": 104_014, "train-other-500": 148_688}
TRIAL = "--batch 8 --chunks 2 --steps 3 --checkpoint-every 1 --log-every 1 --data.buckets 1 --data.threads 1 --monitor.every 0"

MUSAN = {"music": 660, "noise": 930, "speech": 426}


@dataclass(frozen=True)
class FullSize:
    """Folders of the data, and the machine."""

    librispeech: Path | None = None
    """The folder LibriSpeech with train-clean-100, train-clean-360 and train-other-500."""
    musan: Path | None = None
    """The folder musan with music, noise and speech. Without this option, noise is generated."""
    rooms: Path | None = None
    """The folder RIRS_NOISES of room responses. Without this option, reverberation is SoX's reverb, as in the paper."""
    out: Path = Path("full_size")
    """Folder for the run and the encoders."""
    machine: Literal["h200", "tpu-v5e-8", "a100x8"] = "h200"
    """The machine to train on, which decides the number of chunks."""
    trial: bool = False
    """Train 3 steps of 8 utterances, also with incomplete folders."""
    estimate: bool = False
    """Print the estimated time on each machine, and train nothing."""


def published(folder: Path, parts: dict[str, int], suffix: str, trial: bool) -> None:
    """Count the recordings of a published folder.

    Args:
      folder: the published folder.
      parts: expected number of recordings in each of its subfolders.
      suffix: suffix of a recording's file name.
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
    """The settings of the training.

    Args:
      settings: folders of the data, and the machine.
      further: options of `jfewshot pretrain`, which override the settings of the recipe.

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
    # With this many threads, decoding is faster than training on every machine in the table of docs/pretraining.md.
    flags += ["--data.threads", str(min(16, os.cpu_count() or 1))]
    flags += ["--augmentation.noise-folder", str(settings.musan)] if settings.musan else []
    flags += ["--augmentation.rooms-folder", str(settings.rooms)] if settings.rooms else []
    flags += MACHINES[settings.machine].flags.split()
    if settings.trial:
        flags += TRIAL.split()
    return parse(TrainConfig, [*flags, *further], "pretrain")


def estimate() -> str:
    """A table of the hours of training, and of the seconds of speech that a training uses per second, for each machine."""
    rows = []
    for machine in MACHINES.values():
        low, high = hours(machine)
        peak = f"{machine.peak * machine.devices / 1e12:,.0f}"
        rows.append([machine.title, peak, f"{low:.0f} to {high:.0f}", f"{needed_s_per_s(machine):,.0f}"])
    headings = ["machine", "peak, TFLOP/s", "hours", "speech, s per s"]
    share = f"at {sustained_share():.0%} of the peak in bfloat16, which TERA's step reached on an H200"
    return f"{markdown_table(headings, rows)}\n{SIMCLR_STEPS:,} steps of 600 utterances of 12 s, {share}\n"


def main() -> None:
    """Check the folders, train, and export the encoders."""
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
