"""Common Voice, delta segment 12.0: sentences that volunteers read between two releases, in 88 languages (Ardila et al.,
2020).

    ROOT/
      <locale>/clips/*.mp3
      <locale>/validated.tsv, other.tsv, invalidated.tsv     client_id, path, ...

There is one archive per language. Each unpacks to cv-corpus-12.0-delta-2022-12-07/<locale>, and ROOT is this common folder.
"""

import dataclasses
from pathlib import Path

from extraction.datasets.base import DatasetInfo, Recording
from extraction.datasets.layout import read_table, require_folder, subfolders
from extraction.datasets.splits import class_splits
from jfewshot.errors import UserError

_TABLES = ("validated.tsv", "other.tsv", "invalidated.tsv")


@dataclasses.dataclass(frozen=True)
class CommonVoice:
    """A clip's class is the language, and its group is the speaker (`client_id`).

    The paper used 256,243 of these clips and does not say which ones; this dataset has all clips that the tables name. Languages
    that the paper did not use are marked as left out.
    """

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """List all clips that the languages' tables name, in the order of clip ids."""
        require_folder(root, self.info)
        locales = [folder for folder in subfolders(root) if (folder / "clips").is_dir()]
        if not locales:
            raise UserError(
                f"{root} has no folders of languages with clips in them; "
                f"docs/datasets/{self.info.name}.md shows how it must look"
            )
        splits = class_splits(self.info.class_list)
        found = [recording for locale in locales for recording in _of_language(root, locale, splits)]
        return sorted(found, key=lambda recording: recording.clip_id)


def _of_language(root: Path, locale: Path, splits: dict[str, str]) -> list[Recording]:
    tables = [locale / name for name in _TABLES if (locale / name).is_file()]
    if not tables:
        raise UserError(f"{locale} has none of {', '.join(_TABLES)}; extract the publisher's archive again")
    columns = ("client_id", "path")
    # Common Voice writes its tables without quoting: a sentence may begin with a quote that is never closed.
    rows = [row for table in tables for row in read_table(table, columns, "\t", quoting=False)]
    speakers = {row["path"]: row["client_id"] for row in rows}
    there = {path.name for path in (locale / "clips").iterdir()}
    unused = "" if locale.name in splits else f"language '{locale.name}' is not among the paper's {len(splits)}"
    return [
        Recording(
            clip_id=f"{locale.name}/clips/{name}",
            path=root / locale.name / "clips" / name,
            label=locale.name,
            group=speaker,
            split=splits.get(locale.name, ""),
            left_out=unused or ("" if name in there else "file is missing"),
        )
        for name, speaker in speakers.items()
    ]


def commonvoice() -> CommonVoice:
    """The delta segment of December 2022."""
    return CommonVoice(
        DatasetInfo(
            "commonvoice",
            "Common Voice v12 delta",
            "CC0 1.0",
            "https://commonvoice.mozilla.org/datasets (Delta Segment 12.0)",
            "R. Ardila et al. Common Voice: A Massively-Multilingual Speech Corpus. LREC, 2020.",
            n_classes=88,
            class_list="Common Voice v12 Delta",
            group_is="speaker",
        )
    )
