"""VoxCeleb1: 1,251 speakers in interviews on video (Nagrani et al., 2017).

ROOT/
  wav/id10001/<video>/<n>.wav        both of the publisher's archives extracted into one folder, or
  dev/wav/...  and  test/wav/...     each into its own
"""

import dataclasses
import re
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.layout import require_folder, subfolders
from extraction.datasets.splits import class_splits
from jfewshot.audio import sound_below
from jfewshot.errors import UserError

_SPEAKER = re.compile(r"id1\d{4}")
_PLACES = ("", "wav", "dev", "test", "dev/wav", "test/wav")


@dataclasses.dataclass(frozen=True)
class VoxCeleb1:
    """A clip's class is the speaker, and its group is the video: the room and microphone of a video would reveal the speaker."""

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """List all utterances in the order of clip ids (`id10001/<video>/00001.wav`)."""
        require_folder(root, self.info)
        speakers = [
            folder
            for place in _PLACES
            if (root / place).is_dir()
            for folder in subfolders(root / place)
            if _SPEAKER.fullmatch(folder.name)
        ]
        if not speakers:
            raise UserError(
                f"{root} has no folders of speakers (id10001, ...), neither directly nor in {', '.join(_PLACES[1:])}; "
                f"docs/datasets/{self.info.name}.md shows how it must look"
            )
        splits = class_splits(self.info.class_list)
        found = []
        for speaker in speakers:
            for path in sound_below(speaker):
                below = path.relative_to(speaker.parent).as_posix()
                group = f"{speaker.name}/{path.parent.name}"
                found.append(Recording(below, path, speaker.name, group, splits.get(speaker.name, "")))
        return sorted(found, key=lambda recording: recording.clip_id)


def voxceleb1() -> VoxCeleb1:
    """The development and the test speakers together."""
    return VoxCeleb1(
        DatasetInfo(
            "voxceleb1",
            "VoxCeleb1",
            "CC BY 4.0 (the annotation; the videos are their owners')",
            "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html",
            "A. Nagrani, J. S. Chung, A. Zisserman. VoxCeleb: a large-scale speaker identification dataset. "
            "Interspeech, 2017.",
            n_clips=153_516,
            n_classes=1_251,
            class_list="VoxCeleb1",
            group_is="video",
        )
    )
