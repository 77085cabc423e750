"""NSynth: single notes of 1,006 instruments, 4 s each (Engel et al., 2017).

ROOT/
  nsynth-train/  nsynth-valid/  nsynth-test/
    examples.json      by note: instrument_str, ...
    audio/<note>.wav
"""

import dataclasses
import json
import os
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.layout import require_folder
from extraction.datasets.splits import class_splits
from jfewshot.errors import UserError

_PARTS = ("nsynth-test", "nsynth-train", "nsynth-valid")


@dataclasses.dataclass(frozen=True)
class NSynth:
    """A clip's class is the instrument (`instrument_str`). The publisher's three parts are pooled. There are no groups."""

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """List all notes that the tables name, in the order of clip ids."""
        require_folder(root, self.info)
        parts = [part for part in _PARTS if (root / part).is_dir()]
        if not parts:
            require_folder(root, self.info, *_PARTS)
        splits = class_splits(self.info.class_list)
        found = []
        for part in parts:
            require_folder(root, self.info, f"{part}/examples.json", f"{part}/audio")
            # List the folder once: checking 300,000 files one by one takes minutes on a network file system.
            there = set(os.listdir(root / part / "audio"))
            for note, label in sorted(_instruments(root / part / "examples.json").items()):
                name = f"{note}.wav"
                found.append(
                    Recording(
                        clip_id=f"{part}/audio/{name}",
                        path=root / part / "audio" / name,
                        label=label,
                        split=splits.get(label, ""),
                        left_out="" if name in there else "file is missing",
                    )
                )
        return found


def _instruments(path: Path) -> dict[str, str]:
    """The instrument of each note."""
    try:
        return {note: facts["instrument_str"] for note, facts in json.loads(path.read_text("utf-8")).items()}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}); extract the publisher's archive again"
        ) from error


def nsynth() -> NSynth:
    """All three parts of the dataset."""
    return NSynth(
        DatasetInfo(
            "nsynth",
            "NSynth",
            "CC BY 4.0",
            "https://magenta.tensorflow.org/datasets/nsynth",
            "J. Engel et al. Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders. ICML, 2017.",
            n_clips=305_979,
            n_classes=1_006,
            class_list="NSynth",
        )
    )
