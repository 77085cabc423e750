"""Small folders of recordings for the tests of `jfewshot try`."""

import numpy as np
import soundfile

from extraction.datasets.base import Columns
from extraction.trying.examining import examine
from extraction.trying.finding import find_clips
from extraction.trying.findings import find_findings

RATE = 8000


def tone(pitch, seed=0, seconds=0.4, rate=RATE):
    """A note with overtones and a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch *= 1 + 0.01 * rng.standard_normal()
    sound = sum(np.sin(2 * np.pi * pitch * k * time + rng.random()) / k for k in (1, 2, 3) if pitch * k < rate / 2)
    return 0.2 * sound * np.exp(-3 * time) + 0.01 * rng.standard_normal(len(time))


def write(path, wave, rate=RATE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, **options)
    return path


def make_folder(root, pitches=(300, 450, 700, 1100), n=6):
    for number, pitch in enumerate(pitches):
        for take in range(n):
            write(root / f"bird {number}" / f"{take:02d}.wav", tone(pitch, 100 * number + take))
    return root


def facts_of(root, **changes):
    found = find_clips(root, None, Columns(), None)
    facts = examine(found.used)
    return found, facts, find_findings(found, facts)
