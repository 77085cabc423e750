"""Manifests of lhotse: cuts, or supervisions together with their recordings.

    --datasets lhotse:FILE --column.label speaker

Each supervision is a clip: its stretch of the recording, whichever cut contains it. A cut without supervisions is a clip itself.
`--column.label`, `--column.group`, `--column.split` and `--column.further` name fields of a supervision (`speaker`, `language`,
`gender`, `text`) or of its `custom` fields. The package lhotse reads the files; it is imported only when a manifest is read.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from extraction.datasets.annotations import Names
from extraction.datasets.base import Columns, DatasetInfo, Recording
from extraction.datasets.layout import name_below, require_folder, require_package
from extraction.datasets.own import stretch, without_doubles
from jfewshot.audio import sound_below
from jfewshot.errors import UserError

_FIELDS = ("speaker", "language", "gender", "text")
# By lhotse's convention, the names of the two files differ only in this word.
_SUPERVISIONS, _RECORDINGS = "supervisions", "recordings"


@dataclasses.dataclass(frozen=True)
class LhotseManifest:
    """The supervisions of a manifest.

    Attributes:
      info: facts about the dataset, which is named after the file.
      path: the file.
      columns: names of the fields with the class, group, split and further columns.
    """

    info: DatasetInfo
    path: Path
    columns: Columns

    @property
    def annotation_folder(self) -> Path:
        """The folder of the manifest, which may have no recordings."""
        return self.path.parent

    def recordings(self, root: Path) -> list[Recording]:
        """List all supervisions in the order of clip ids; unusable ones are marked as left out."""
        require_folder(root, self.info)
        named = self.columns
        found = list(self._stretches(root))
        if not found:
            raise UserError(f"{self.path} holds no supervision and no cut")
        label = named.label or self._label_field([source for _, source in found])
        for name in (label, *filter(None, (named.group, named.split)), *named.further):
            if name not in _FIELDS and not any(name in _custom(source) for _, source in found):
                raise UserError(f"{self.path} has no field {name}; {_described(source for _, source in found)}")
        clips = []
        for clip, source in found:
            clips.append(
                dataclasses.replace(
                    clip,
                    label=_value(source, label),
                    left_out=clip.left_out or ("" if _value(source, label) else f"{source.id} has no {label}"),
                    group=_value(source, named.group) if named.group else clip.group,
                    split=_value(source, named.split) if named.split else "",
                    further=tuple((name, _value(source, name)) for name in named.further),
                )
            )
        return without_doubles(clips)

    def _stretches(self, root: Path) -> Iterator[tuple[Recording, Any]]:
        """Clips, still without a class, together with the supervision or cut of each clip."""
        lhotse = require_package("lhotse", "lhotse", self.path, "lhotse")
        manifest = self._load(lhotse, self.path)
        if isinstance(manifest, lhotse.CutSet):
            for cut in manifest:
                if not isinstance(cut, (lhotse.MonoCut, lhotse.MultiCut)):
                    # Mixed cuts consist of several recordings, and padding cuts of none.
                    reason = f"is a {type(cut).__name__}, no part of one recording"
                    yield Recording(cut.id, root / cut.id, "", left_out=reason), cut
                    continue
                for one in cut.supervisions or [cut]:
                    start_s = cut.start + (0.0 if one is cut else one.start)
                    yield _clip(root, cut.recording, one, max(0.0, start_s), start_s + one.duration), one
        elif isinstance(manifest, lhotse.SupervisionSet):
            beside = self.path.with_name(self.path.name.replace(_SUPERVISIONS, _RECORDINGS))
            known = (
                {one.id: one for one in self._load(lhotse, beside)} if beside != self.path and beside.is_file() else {}
            )
            names = None if known else Names(sound_below(root), root)
            for one in manifest:
                if names is None:
                    yield _clip(root, known.get(one.recording_id), one, one.start, one.end), one
                else:
                    audio = names.find(one.recording_id, self.path)
                    name = name_below(root, audio, one.recording_id) if audio else one.recording_id
                    path = audio or root / one.recording_id
                    yield _rounded(path, name, one.start, one.end), one
        else:
            raise UserError(f"{self.path} holds {type(manifest).__name__}; cuts or supervisions are needed")

    @staticmethod
    def _load(lhotse: Any, path: Path) -> Any:
        if not path.is_file():
            raise UserError(f"{path} does not exist; give a manifest of lhotse (cuts.jsonl.gz)")
        try:
            return lhotse.serialization.load_manifest(path)
        except Exception as error:  # lhotse's parsers and constructors raise many kinds of errors
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(f"{path} is no manifest that lhotse reads: {reason}") from error

    def _label_field(self, sources: list[Any]) -> str:
        for name in ("label", "class"):
            if any(name in _custom(source) for source in sources):
                return name
        raise UserError(
            f"name the field of the class, for instance --column.label speaker; {self.path}: {_described(sources)}"
        )


def lhotse_manifest(file: str, columns: Columns) -> LhotseManifest:
    """Cuts or supervisions from a manifest of lhotse.

    Args:
      file: the manifest.
      columns: names of the fields with class, group, split and further columns.
    """
    path = Path(file)
    name = path.name.split(".")[0]
    info = DatasetInfo(name, name, "", "", "", group_is=columns.group or "recording")
    return LhotseManifest(info, path, columns)


def _clip(root: Path, recording: Any, one: Any, start_s: float, end_s: float) -> Recording:
    """A stretch of one of lhotse's recordings; it is marked as left out if the audio is not a plain file."""
    if recording is None:
        missing = _rounded(root / one.recording_id, one.recording_id, start_s, end_s)
        return dataclasses.replace(missing, left_out=f"recording {one.recording_id} is not in the manifest")
    sources = recording.sources
    reason = ""
    if len(sources) != 1 or sources[0].type != "file":
        reason = f"recording {recording.id} is no single file ({', '.join(source.type for source in sources)})"
    elif recording.transforms:
        reason = f"recording {recording.id} is altered by lhotse's transforms; save it as a file"
    elif set(_as_list(one.channel)) != set(recording.channel_ids or ()):
        reason = f"is channel {one.channel} of {len(recording.channel_ids)}; write each channel to a separate file"
    path = root / (str(sources[0].source) if sources and sources[0].type == "file" else recording.id)
    clip = _rounded(path, name_below(root, path, recording.id), start_s, end_s)
    return dataclasses.replace(clip, left_out=reason or clip.left_out)


def _rounded(path: Path, name: str, start_s: float, end_s: float) -> Recording:
    """A stretch whose times are rounded to nanoseconds, since lhotse's sums of times have rounding errors."""
    return stretch(path=path, name=name, start_s=round(start_s, 9), end_s=round(end_s, 9), label="")


def _as_list(channel: Any) -> list[int]:
    return list(channel) if isinstance(channel, list | tuple) else [channel]


def _value(source: Any, name: str) -> str:
    own = getattr(source, name, None) if name in _FIELDS else None
    value = _custom(source).get(name) if own is None else own
    return "" if value is None else str(value)


def _custom(source: Any) -> dict[str, Any]:
    return getattr(source, "custom", None) or {}


def _described(sources: Iterable[Any]) -> str:
    """Say which fields have values."""
    held: dict[str, None] = {}
    for source in sources:
        held |= dict.fromkeys(name for name in (*_FIELDS, *_custom(source)) if _value(source, name))
    return f"its supervisions have {', '.join(held) or 'no fields with values'}"
