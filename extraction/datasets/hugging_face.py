"""A folder that Hugging Face's `datasets` wrote: `hf:FOLDER`, as `dataset.save_to_disk(FOLDER)` leaves it.

    FOLDER/
      dataset_info.json, state.json, data-00000-of-00002.arrow ...       a Dataset, or
      dataset_dict.json, train/..., test/...                             a DatasetDict: each part is a split

Read with pyarrow alone: the Arrow files are mapped into memory, and a clip's bytes are looked up when it is decoded. Recordings
that are not files of their own are named `data-00000-of-00002.arrow#audio#17`: file, column, row.
"""

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from extraction.datasets.base import Columns, DatasetInfo, Recording
from jfewshot.errors import UserError

_MARK = ".arrow#"
# Names that a split's clips are known by here.
_SPLITS = {"valid": "validation", "dev": "validation"}


@dataclasses.dataclass(frozen=True)
class SavedToDisk:
    """Clips of a saved Dataset or DatasetDict.

    Attributes:
      info: named after the folder.
      folder: where it is; no ROOT is needed.
      columns: which column holds what; the audio one is the only column of type Audio unless it is named.
    """

    info: DatasetInfo
    folder: Path
    columns: Columns

    @property
    def own_root(self) -> Path:
        """The folder of the recordings, which its name already gives; `--root` is not used."""
        return self.folder

    def recordings(self, root: Path) -> list[Recording]:
        """Every row, in the order of clip ids (`train/00000017`, or the column `clip_id` where there is one)."""
        found = [
            recording
            for split, folder in _parts(self.folder)
            for recording in _recordings(folder, f"{split}/" if split else "", _SPLITS.get(split, split), self.columns)
        ]
        return sorted(found, key=lambda recording: recording.clip_id)


def saved_to_disk(rest: str, columns: Columns) -> SavedToDisk:
    """The dataset in a folder; the store is named after the folder."""
    folder = Path(rest).expanduser().absolute()
    facts = _read_json(_parts(folder)[0][1] / "dataset_info.json")
    text = lambda key: str(facts.get(key) or "").strip()  # noqa: E731 - used below only
    info = DatasetInfo(folder.name, folder.name, text("license"), text("homepage"), text("citation"), group_is="group")
    return SavedToDisk(info, folder, columns)


def cell_content(path: Path) -> bytes | None:
    """The bytes of a recording inside an Arrow file; None if the path is that of an ordinary file."""
    if _MARK not in path.name:
        return None
    file, column, row = str(path).rsplit("#", 2)
    return _table(file).column(column)[int(row)].as_py()["bytes"]


@functools.lru_cache(maxsize=64)
def _table(file: str) -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise UserError(f"reading {file} needs the Python package pyarrow: pip install pyarrow") from error
    try:
        with pyarrow.memory_map(file) as source:
            return pyarrow.ipc.open_stream(source).read_all()
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise UserError(f"{file} cannot be read as an Arrow file of `datasets`: {error}") from error


def _parts(folder: Path) -> list[tuple[str, Path]]:
    """Split and folder of each Dataset."""
    if (folder / "dataset_dict.json").is_file():
        return [(split, folder / split) for split in _read_json(folder / "dataset_dict.json")["splits"]]
    if not (folder / "state.json").is_file():
        raise UserError(
            f"{folder} has neither state.json nor dataset_dict.json: it should be a folder that save_to_disk of `datasets` wrote"
        )
    return [("", folder)]


def _recordings(folder: Path, prefix: str, split: str, columns: Columns) -> Iterator[Recording]:
    features = _read_json(folder / "dataset_info.json").get("features") or {}
    audio = columns.audio or next((name for name, kind in features.items() if kind.get("_type") == "Audio"), None)
    if audio is None:
        raise UserError(f"{folder} has no column of audio; it has {', '.join(features)}. Name it with --column.audio")
    label = columns.label or ("class" if "label" not in features and "class" in features else "label")
    for asked in (audio, label, columns.group, columns.split, *columns.further):
        if asked and asked not in features:
            raise UserError(
                f"{folder} has no column '{asked}'; it has {', '.join(features)}. Name the right ones with --column.label, "
                "--column.group, --column.split, --column.audio, --column.further"
            )
    optional = {
        "group": columns.group or ("group" if "group" in features else None),
        "split": columns.split or ("split" if "split" in features else None),
        "clip_id": "clip_id" if "clip_id" in features else None,
    }
    row = 0
    for name in (entry["filename"] for entry in _read_json(folder / "state.json")["_data_files"]):
        table = _table(str(folder / name))
        told = {
            what: [_text(features[column], value) for value in table.column(column).to_pylist()]
            for what, column in {
                "label": label,
                **optional,
                **{f"further:{name}": name for name in columns.further},
            }.items()
            if column
        }
        # Only where the bytes are not in the table does the path matter.
        places = table.column(audio).combine_chunks().flatten()
        kinds = [field.name for field in table.schema.field(audio).type]
        has_bytes = places[kinds.index("bytes")].is_valid().to_pylist()
        paths = places[kinds.index("path")].to_pylist()
        for index in range(len(table)):
            path = folder / f"{name}#{audio}#{index}" if has_bytes[index] else folder / (paths[index] or "")
            values = {what: column[index] for what, column in told.items()}
            missing = "" if has_bytes[index] or path.is_file() else "file is missing"
            yield Recording(
                clip_id=values.get("clip_id") or f"{prefix}{row:08d}",
                path=path,
                label=values["label"],
                group=values.get("group", ""),
                split=values.get("split") or split,
                left_out=missing or ("" if values["label"] else "no label"),
                further=tuple((name, values[f"further:{name}"]) for name in columns.further),
            )
            row += 1


def _text(feature: dict[str, Any], value: Any) -> str:
    """A cell as text; a class by its name."""
    if value is None or (feature.get("_type") == "ClassLabel" and value < 0):
        return ""
    return str(feature["names"][value]) if feature.get("_type") == "ClassLabel" else str(value)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); save the dataset anew with save_to_disk") from error
