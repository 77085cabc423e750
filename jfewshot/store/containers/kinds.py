"""Which kind of container a file or a folder is, by its name and by what it holds. Nothing else is read."""

from pathlib import Path

from jfewshot.errors import UserError

# What people write before the path, and what such a container is.
KINDS = {
    "parquet": "a Parquet file",
    "npz": "an .npz file of NumPy",
    "hoplite": "a Hoplite database (perch-hoplite, BirdNET-Analyzer)",
}
# Kinds that hold windows of recordings.
OF_WINDOWS = ("hoplite",)
_ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".npz": "npz"}


def kind_of(path: Path) -> str | None:
    """The kind of a container; None where it is none."""
    if path.is_dir():
        return "hoplite" if (path / "hoplite.sqlite").is_file() else None
    if path.name == "hoplite.sqlite":
        return "hoplite"
    return _ENDINGS.get(path.suffix.lower())


def check_kind(path: Path, asked: str | None) -> str:
    """The kind of a container, which the user may have named.

    Raises:
      UserError: if the kind is unknown, nothing is at the path, or what is there is no container.
    """
    if asked is not None and asked not in KINDS:
        raise UserError(f"'{asked}' is no kind of container; there are {', '.join(KINDS)}")
    if not path.exists():
        raise UserError(f"{path} does not exist; name a container: {_listed()}")
    found = asked or kind_of(path)
    if found is None:
        raise UserError(
            f"{path} is no container: {_listed()}. Arrays beside a table of labels become a store by `jfewshot store create`"
        )
    return found


def _listed() -> str:
    return ", ".join(KINDS.values())
