"""Which view of a Speech SimCLR encoder should be its default: their few-shot accuracy on the development tasks.

    python -m studies.simclr_views --development DEVELOPMENT --encoders ENCODER speech_simclr_small --json VIEWS.json

`jfewshot run` evaluates the default view of a store with L2-normalised embeddings and without whitening, so the views are
compared in that way: by the mean over one and five shots, half words, a quarter sounds, a quarter voices. The tasks are those
of studies.simclr_development, so no sample task decides which view an encoder gets.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.tools.measuring import write_json
from jfewshot.commandline import log_plainly
from jfewshot.simclr.export import load_encoder
from studies.simclr_readouts import SHOTS, WEIGHTS, accuracies, family, read_clips, readouts

log = logging.getLogger(__name__)

VIEWS = {"last.mean": "A", "last.mean_std": "last", "hidden.mean_std": "B"}


@dataclass(frozen=True)
class Views:
    """Which encoders, and where."""

    development: Path
    """Folder that studies.simclr_development wrote."""
    encoders: tuple[str, ...]
    """Exported encoders: folders, or names of encoders that come with jfewshot."""
    json: Path
    """File for the results."""
    episodes: int = 2000
    """Episodes of each task and number of shots."""


def score(accuracy: dict[str, Any], view: str) -> float:
    """Half words, a quarter sounds and a quarter voices, in percent; the mean over the numbers of shots."""
    values = [sum(weight * family(accuracy, view, kind, shots) for kind, weight in WEIGHTS.items()) for shots in SHOTS]
    return round(float(np.mean(values)), 2)


def main() -> None:
    """Score each view of each encoder, and write what was found."""
    options = tyro.cli(Views, description=__doc__)
    log_plainly()
    clips = read_clips(options.development)
    records = []
    for name in options.encoders:
        embeddings = readouts(load_encoder(name), clips.features)
        for view, readout in VIEWS.items():
            found: dict[str, dict[str, float]] = {}
            for task, shots, mean in accuracies(embeddings[readout], clips.tasks, options.episodes):
                found.setdefault(task, {})[str(shots)] = mean
            record = {"encoder": Path(name).name, "view": view, "score": score({view: found}, view), "accuracy": found}
            log.info("%s, %s: score %.2f", record["encoder"], view, record["score"])
            records.append(record)
    write_json(options.json, {"episodes": options.episodes, "views": records}, a_line_each=True)


if __name__ == "__main__":
    main()
