"""A data folder of Kaldi: `wav.scp`, optionally `segments`, and a file with the class of each utterance.

    --datasets kaldi:FOLDER --column.label utt2lang [--column.group utt2spk]

`--column.label`, `--column.group`, `--column.split` and `--column.further` name files of the folder (`utt2lang`, `utt2spk`,
`text`) whose lines hold an utterance and its value. Relative paths in `wav.scp` are relative to ROOT. Lines with a command (they
end in `|`) or a place in an archive are listed and left out: jfewshot runs no commands from data files.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from extraction.datasets.base import Columns, DatasetInfo, Recording
from extraction.datasets.layout import name_below, require_folder
from extraction.datasets.own import seconds_of, stretch, without_doubles
from jfewshot.audio import AudioError, duration_s
from jfewshot.errors import UserError
from jfewshot.files.not_tables import text_of_table

_LABELS = ("utt2label", "utt2class", "utt2lang")


@dataclasses.dataclass(frozen=True)
class KaldiFolder:
    """The utterances of a data folder.

    Attributes:
      info: facts about the dataset, which is named after the folder.
      folder: the data folder.
      columns: names of the files with the class, group, split and further columns.
    """

    info: DatasetInfo
    folder: Path
    columns: Columns

    @property
    def annotation_folder(self) -> Path:
        """The data folder, which may have no recordings."""
        return self.folder

    def recordings(self, root: Path) -> list[Recording]:
        """List all utterances in the order of clip ids; unusable ones are marked as left out."""
        require_folder(root, self.info)
        named = self.columns
        label_of = self._values(named.label or self._label_file())
        group_of = self._values(named.group) if named.group else None
        split_of = self._values(named.split) if named.split else {}
        further = {name: self._values(name) for name in named.further}
        clips = []
        for utterance, clip in self._utterances(root):
            label = label_of.get(utterance, "")
            left_out = clip.left_out or ("" if label else f"utterance {utterance} has no label")
            clips.append(
                dataclasses.replace(
                    clip,
                    label=label,
                    left_out=left_out,
                    group=clip.group if group_of is None else group_of.get(utterance, ""),
                    split=split_of.get(utterance, ""),
                    further=tuple((name, values.get(utterance, "")) for name, values in further.items()),
                )
            )
        return without_doubles(clips)

    def _utterances(self, root: Path) -> Iterator[tuple[str, Recording]]:
        """Utterances and their clips, still without a class."""
        sources = self._values("wav.scp")
        if not (self.folder / "segments").is_file():
            for utterance, source in sources.items():
                path, reason = _audio(root, source)
                yield utterance, Recording(name_below(root, path, utterance), path, "", left_out=reason)
            return
        for utterance, line in self._values("segments").items():
            where = f"{self.folder / 'segments'}, utterance {utterance}"
            if len(parts := line.split()) < 3:
                raise UserError(f"{where}: '{line}' is not a recording, its begin and its end")
            recording, begin, end = parts[:3]
            if recording not in sources:
                missing = Recording(f"{recording}:{begin}-{end}", root / recording, "", left_out="is not in wav.scp")
                yield utterance, missing
                continue
            path, reason = _audio(root, sources[recording])
            # As in Kaldi's extract-segments, a negative end means the end of the recording.
            to_end = end.startswith("-")
            end_s = _length(path, reason) if to_end else seconds_of(end, where)
            name = name_below(root, path, recording)
            clip = stretch(path=path, name=name, start_s=seconds_of(begin, where), end_s=end_s, label="")
            yield utterance, dataclasses.replace(clip, left_out=reason or clip.left_out)

    def _values(self, name: str) -> dict[str, str]:
        """Read a file whose lines hold the name of an utterance or recording, and its value."""
        path = self.folder / name
        if not path.is_file():
            raise UserError(f"{self.folder} has no file {name}; it has {self._listed()}")
        values = {}
        for number, line in enumerate(text_of_table(path, "write it again as UTF-8 text").splitlines(), 1):
            key, *rest = line.split(maxsplit=1)[:2] or [""]
            if not key:
                continue
            if key in values:
                raise UserError(
                    f"{path}, line {number}: '{key}' is there twice; Kaldi's files have one line for each name"
                )
            values[key] = rest[0].strip() if rest else ""
        return values

    def _label_file(self) -> str:
        found = [name for name in _LABELS if (self.folder / name).is_file()]
        if len(found) != 1:
            raise UserError(
                f"{self.folder} has {'no' if not found else 'more than one'} file of {', '.join(_LABELS)}; it has "
                f"{self._listed()}. Name the file of the classes, for instance --column.label utt2spk"
            )
        return found[0]

    def _listed(self) -> str:
        return ", ".join(sorted(path.name for path in self.folder.iterdir() if path.is_file())) or "no files"


def kaldi(folder: str, columns: Columns) -> KaldiFolder:
    """A data folder of Kaldi.

    Args:
      folder: the data folder.
      columns: names of the files with classes, groups, splits and further columns.
    """
    path = Path(folder)
    if not (path / "wav.scp").is_file():
        raise UserError(f"{path} has no file wav.scp; give a data folder of Kaldi")
    name = path.resolve().name
    info = DatasetInfo(name, name, "", "", "", group_is=columns.group or "recording")
    return KaldiFolder(info, path, columns)


def _audio(root: Path, source: str) -> tuple[Path, str]:
    """The audio file in a line of `wav.scp`, and the reason if there is none."""
    if source.endswith("|"):
        return (
            root / "command",
            f"is the output of a command ({source[:60]}); write it to a file and name that in wav.scp",
        )
    path = root / source
    if not path.is_file() and ":" in source and source.rpartition(":")[2].isdigit():
        return path, f"lies in an archive ({source[-60:]}); write it to a file and name that in wav.scp"
    return path, "" if path.is_file() else "file is missing"


def _length(path: Path, reason: str) -> float:
    try:
        return 0.0 if reason else duration_s(path)
    except AudioError:
        return 0.0  # the clip then counts as too short and is listed as left out
