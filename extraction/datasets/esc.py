"""ESC-50 and its subset ESC-10: environmental sounds, 40 clips of 5 s a class (Piczak, 2015).

ROOT/
  meta/esc50.csv     filename, fold, target, category, esc10, src_file, take
  audio/*.wav        (or .ogg, in re-packed copies)
"""

from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.layout import read_table, require_folder
from extraction.datasets.splits import class_splits

_SOURCE = "https://github.com/karolpiczak/ESC-50"
_CITATION = "K. J. Piczak. ESC: Dataset for Environmental Sound Classification. ACM Multimedia, 2015."


class Esc:
    """A clip's class is the kind of sound; its group is the recording from which the clip was cut (`src_file`)."""

    def __init__(self, info: DatasetInfo, only_esc10: bool):
        self.info = info
        self._only_esc10 = only_esc10

    def recordings(self, root: Path) -> list[Recording]:
        """List all clips that the table names, in the order of clip ids."""
        require_folder(root, self.info, "meta/esc50.csv", "audio")
        splits = {} if self._only_esc10 else class_splits(self.info.class_list)
        rows = [
            row
            for row in read_table(root / "meta" / "esc50.csv", ("filename", "category", "esc10", "src_file"))
            if not self._only_esc10 or row["esc10"].lower() == "true"
        ]
        found = []
        for row in sorted(rows, key=lambda row: row["filename"]):
            path = root / "audio" / row["filename"]
            found.append(
                Recording(
                    clip_id=f"audio/{row['filename']}",
                    path=path,
                    label=row["category"],
                    group=row["src_file"],
                    split=splits.get(row["category"], ""),
                    left_out="" if path.is_file() else "file is missing",
                )
            )
        return found


def esc50() -> Esc:
    """All 50 classes, with the few-shot paper's split."""
    return Esc(
        DatasetInfo(
            "esc50",
            "ESC-50",
            "CC BY-NC 3.0",
            _SOURCE,
            _CITATION,
            n_clips=2_000,
            n_classes=50,
            class_list="ESC-50",
            group_is="source recording",
        ),
        only_esc10=False,
    )


def esc10() -> Esc:
    """The ten classes with a more liberal licence."""
    return Esc(
        DatasetInfo(
            "esc10", "ESC-10", "CC BY 3.0", _SOURCE, _CITATION, n_clips=400, n_classes=10, group_is="source recording"
        ),
        only_esc10=True,
    )
