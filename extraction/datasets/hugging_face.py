"""A folder that Hugging Face's `datasets` wrote with `dataset.save_to_disk(FOLDER)`: `hf:FOLDER`.

    FOLDER/
      dataset_info.json, state.json, data-00000-of-00002.arrow ...       a Dataset, or
      dataset_dict.json, train/..., test/...                             a DatasetDict: each part is a split

Only pyarrow is needed. The Arrow files are mapped into memory, and the bytes of a clip are read when the clip is decoded. A
recording inside an Arrow file has a path such as `data-00000-of-00002.arrow#audio#17`: file, column, row.
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
_AGAIN = "save the dataset again with save_to_disk"
# Other names for splits, and the names that are used here.
_SPLITS = {"valid": "validation", "dev": "validation"}


@dataclasses.dataclass(frozen=True)
class SavedToDisk:
    """Clips of a saved Dataset or DatasetDict.

    Attributes:
      info: facts about the dataset, which is named after the folder.
      folder: the saved folder; ROOT is not needed.
      columns: names of the user's columns. Without a name for the audio, it is in the only column of type Audio.
    """

    info: DatasetInfo
    folder: Path
    columns: Columns

    @property
    def own_root(self) -> Path:
        """The folder of the recordings. The dataset's name contains this folder, so `--root` is not used."""
        return self.folder

    def recordings(self, root: Path) -> list[Recording]:
        """List all rows, in the order of clip ids (`train/00000017`, or the column `clip_id` if there is one)."""
        found = [
            recording
            for split, folder in _parts(self.folder)
            for recording in _recordings(folder, f"{split}/" if split else "", _SPLITS.get(split, split), self.columns)
        ]
        return sorted(found, key=lambda recording: recording.clip_id)


def saved_to_disk(rest: str, columns: Columns) -> SavedToDisk:
    """Open the dataset in a folder; the store is named after the folder."""
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
            table = pyarrow.ipc.open_stream(source).read_all()
        # In a damaged file, offsets may point outside of the data, and reading such a cell would end the process.
        table.validate(full=True)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{file} cannot be read as an Arrow file of `datasets`: {error}; {_AGAIN}") from error
    return table


def _parts(folder: Path) -> list[tuple[str, Path]]:
    """Name of the split, and folder, of each saved Dataset."""
    path = folder / "dataset_dict.json"
    if path.is_file():
        splits = _read_json(path).get("splits")
        if not isinstance(splits, list) or not splits or not all(isinstance(split, str) for split in splits):
            raise UserError(f"{path} lists no splits; {_AGAIN}")
        return [(split, folder / split) for split in splits]
    if not (folder / "state.json").is_file():
        raise UserError(
            f"{folder} has neither state.json nor dataset_dict.json: it should be a folder that save_to_disk of `datasets` wrote"
        )
    return [("", folder)]


def _recordings(folder: Path, prefix: str, split: str, columns: Columns) -> Iterator[Recording]:
    features = _read_json(folder / "dataset_info.json").get("features") or {}
    if not isinstance(features, dict):
        raise UserError(f"{folder / 'dataset_info.json'} has no valid 'features'; {_AGAIN}")
    audio = columns.audio or next((name for name, kind in features.items() if _kind(kind) == "Audio"), None)
    has = f"it has {', '.join(features) or 'no columns'}"
    if audio is None:
        raise UserError(f"{folder} has no column of audio; {has}. Name it with --column.audio")
    label = columns.label or ("class" if "label" not in features and "class" in features else "label")
    for asked in (audio, label, columns.group, columns.split, *columns.further):
        if asked and asked not in features:
            raise UserError(
                f"{folder} has no column '{asked}'; {has}. Name the right ones with --column.label, --column.group, "
                "--column.split, --column.audio, --column.further"
            )
    optional = {
        "group": columns.group or ("group" if "group" in features else None),
        "split": columns.split or ("split" if "split" in features else None),
        "clip_id": "clip_id" if "clip_id" in features else None,
    }
    named = {"label": label, **optional, **{f"further:{name}": name for name in columns.further}}
    row = 0
    for name in _data_files(folder / "state.json"):
        file = folder / name
        table = _table(str(file))
        texts = {what: _texts(file, table, column, features[column]) for what, column in named.items() if column}
        has_bytes, paths = _places(file, table, audio)
        for index in range(len(table)):
            path = folder / f"{name}#{audio}#{index}" if has_bytes[index] else folder / (paths[index] or "")
            values = {what: column[index] for what, column in texts.items()}
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


def _kind(feature: Any) -> str:
    """Type of a feature; empty for a feature that is a list, which older versions of `datasets` wrote for sequences."""
    return str(feature.get("_type", "")) if isinstance(feature, dict) else ""


def _data_files(path: Path) -> list[str]:
    """Names of the Arrow files of a saved Dataset, from its `state.json`."""
    entries = _read_json(path).get("_data_files")
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("filename"), str) for entry in entries
    ):
        raise UserError(f"{path} lists no Arrow files in '_data_files'; {_AGAIN}")
    return [entry["filename"] for entry in entries]


def _column(file: Path, table: Any, name: str) -> Any:
    if table.column_names.count(name) != 1:
        raise UserError(
            f"{file} should have one column '{name}', as dataset_info.json says; it has {', '.join(table.column_names)}. "
            f"The files are of different datasets: {_AGAIN}"
        )
    return table.column(name)


def _places(file: Path, table: Any, audio: str) -> tuple[list[bool], list[str | None]]:
    """For each row, whether the table has the bytes of the recording, and the path, which is needed if it has not."""
    import pyarrow

    column = _column(file, table, audio)
    kind = column.type
    fields = {field.name: field.type for field in kind} if pyarrow.types.is_struct(kind) else {}
    if not {"bytes", "path"} <= fields.keys():
        raise UserError(
            f"{file}: column '{audio}' holds {kind}, and recordings need a column of type Audio (bytes and path). Name the "
            "right one with --column.audio, or convert the column: dataset.cast_column(NAME, datasets.Audio())"
        )
    has_bytes: list[bool] = []
    paths: list[str | None] = []
    for chunk in column.chunks:  # chunk by chunk, since joining the chunks would copy all recordings into memory
        of_chunk = dict(zip(fields, chunk.flatten(), strict=True))
        has_bytes += of_chunk["bytes"].is_valid().to_pylist()
        paths += of_chunk["path"].to_pylist()
    return has_bytes, paths


def _texts(file: Path, table: Any, name: str, feature: Any) -> list[str]:
    """The cells of a column as text; for a class, its name."""
    import pyarrow

    column = _column(file, table, name)
    types = pyarrow.types
    if types.is_nested(column.type) or types.is_binary(column.type) or types.is_large_binary(column.type):
        raise UserError(
            f"{file}: column '{name}' holds {column.type}, but a class, group, split or further column needs one text or number "
            "in each row. Name another column with --column.label, --column.group, --column.split or --column.further"
        )
    values = column.to_pylist()
    if _kind(feature) != "ClassLabel":
        return ["" if value is None else str(value) for value in values]
    names = feature.get("names")
    if not isinstance(names, list):
        raise UserError(f"{file.with_name('dataset_info.json')} does not name the classes of column '{name}'; {_AGAIN}")
    wrong = next((v for v in values if v is not None and (not isinstance(v, int) or v >= len(names))), None)
    if wrong is not None:
        raise UserError(
            f"{file}: column '{name}' holds class {wrong!r}, and dataset_info.json names classes 0 to {len(names) - 1}. "
            f"The files are of different datasets: {_AGAIN}"
        )
    return ["" if value is None or value < 0 else str(names[value]) for value in values]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); {_AGAIN}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no JSON object; {_AGAIN}")
    return found
