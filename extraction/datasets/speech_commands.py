"""Speech Commands, and datasets with the same layout: one folder per word; file names contain the speaker.

ROOT/
  <word>/<speaker>_nohash_<take>.wav       (Arabic: <speaker>_<word>_<take>.wav)
  _background_noise_/                      left out, since it has no words
"""

import dataclasses
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.layout import clip_id_below, require_folder, subfolders
from jfewshot.audio import sound_below
from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True)
class SpeechCommands:
    """A clip's class is the word, and its group is the speaker. All classes have the same `split`."""

    info: DatasetInfo
    split: str = "test"

    def recordings(self, root: Path) -> list[Recording]:
        """List all clips in the order of clip ids."""
        require_folder(root, self.info)
        words = [folder for folder in subfolders(root) if not folder.name.startswith("_")]
        if not words:
            raise UserError(f"{root} has no folders of words; docs/datasets/{self.info.name}.md shows how it must look")
        return [
            Recording(clip_id_below(root, path), path, word.name, path.name.split("_")[0], self.split)
            for word in words
            for path in sound_below(word)
        ]


def scv2() -> SpeechCommands:
    """Google's 35 English words, version 2."""
    return SpeechCommands(
        DatasetInfo(
            "scv2",
            "Speech Commands v2",
            "CC BY 4.0",
            "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            "P. Warden. Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition. arXiv 1804.03209, 2018.",
            n_clips=105_829,
            n_classes=35,
            class_list="SpeechCommandsV2",
            group_is="speaker",
        )
    )


def arabic_commands() -> SpeechCommands:
    """Twenty of the forty Arabic Speech Commands by 30 speakers, two takes of each word and speaker."""
    return SpeechCommands(
        DatasetInfo(
            "arabic_commands",
            "Arabic Speech Commands (20 words)",
            "CC BY 4.0",
            "https://github.com/abdulkaderghandoura/arabic-speech-commands-dataset",
            "A. Ghandoura, F. Hjabo, O. Al Dakkak. Building and benchmarking an Arabic Speech Commands dataset for "
            "small-footprint keyword spotting. Engineering Applications of Artificial Intelligence 102, 2021.",
            n_clips=1_200,
            n_classes=20,
            group_is="speaker",
        ),
        split="",
    )
