"""A small encoder and a small dataset, for tests of everything around them."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np

from tests.extraction.recordings import write


class ToyEncoder:
    """Frames of 100 ms: their mean, loudness and peak. Named `tests.extraction.toy:ToyEncoder` on a command line."""

    sample_rate = 16_000
    name = "toy"
    title = "Toy"
    revision = "toy-1"
    licence = "Apache-2.0"
    source = "the tests"
    n_parameters = 0
    segment_samples: int | None = 8_000
    min_samples = 1_600
    layers = ("0", "1")

    def __init__(self, options=None):
        self.batches: list[tuple[int, int]] = []

    def encode(self, waves, layers):
        self.batches.append(waves.shape)
        n_frames = waves.shape[1] // 1_600
        frames = waves[:, : n_frames * 1_600].reshape(len(waves), n_frames, 1_600).astype(np.float64)
        first = np.stack([frames.mean(2), np.sqrt((frames**2).mean(2)), np.abs(frames).max(2)], axis=2)
        values = {"0": first.astype(np.float32), "1": (2 * first).astype(np.float32)}
        return {layer: values["1" if layer == "last" else layer] for layer in layers}


class SlowToyEncoder(ToyEncoder):
    """Slow enough to be killed at work."""

    def encode(self, waves, layers):
        time.sleep(0.1)
        return super().encode(waves, layers)


class FatalToyEncoder(ToyEncoder):
    """Ends the process that encodes, as the system does when memory runs out."""

    def encode(self, waves, layers):
        os.kill(os.getpid(), signal.SIGKILL)


def files_of(store: Path) -> dict[str, object]:
    """A store's files by name, the manifest without the measured cost, which is another one each time."""
    found: dict[str, object] = {path.name: path.read_bytes() for path in store.iterdir()}
    manifest = json.loads((store / "manifest.json").read_text("utf-8"))
    return found | {"manifest.json": {name: value for name, value in manifest.items() if name != "cost"}}


def class_folders(root: Path, n_classes: int = 3, clips_per_class: int = 4) -> Path:
    """Clips of different kinds and lengths, some with two segments of 0.5 s, in class folders."""
    for label in range(n_classes):
        for clip in range(clips_per_class):
            number = label * clips_per_class + clip
            write(root / f"class{label}" / f"clip{clip}.x", number, 0.3 + 0.1 * (number % 5), kind=number)
    return root
