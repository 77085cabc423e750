"""Names of rows and columns: as short as tells one from another."""

from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def upstream_labels(records: Sequence[Record]) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    """The row of each record, the rows' labels in alphabetical order, and notes on labels that had to say more.

    A row is an upstream (name and revision) in one view. Its label is the title, with the view, the revision, and the
    name in brackets where another row would read the same.
    """
    return _label([_upstream_names(record) for record in records])


def dataset_labels(records: Sequence[Record]) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    """The column of each record, the columns' labels, and notes, likewise. A column is a dataset with one clip
    table."""
    return _label([_dataset_names(record) for record in records])


def _upstream_names(record: Record) -> tuple[str, ...]:
    upstream = record["upstream"]
    title, name = str(upstream.get("title") or upstream["name"]), str(upstream["name"])
    view, revision = str((record.get("view") or {}).get("name", "")), str(upstream.get("revision") or "")
    full = ", ".join(part for part in (view, revision, name) if part)
    return title, f"{title} ({view})", f"{title} ({view}, {revision[:12]})", f"{title} ({full})"


def _dataset_names(record: Record) -> tuple[str, ...]:
    dataset, clip_table = record["dataset"], str(record["identity"]["clip_table"])
    title, name = str(dataset.get("title") or dataset["name"]), str(dataset["name"])
    return (
        title,
        f"{title} ({name})",
        f"{title} ({name}, clips {clip_table[:8]})",
        f"{title} ({name}, clips {clip_table})",
    )


def _label(names: list[tuple[str, ...]]) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    """Each item comes with ever longer names, the last of which is its identity. Items that share a short name all
    take a longer one."""
    distinct = sorted(set(names))
    owners: dict[str, int] = {}
    for one in distinct:
        for name in set(one):
            owners[name] = owners.get(name, 0) + 1
    label = {one: next((name for name in one if owners[name] == 1), one[-1]) for one in distinct}
    ordered = sorted(distinct, key=lambda one: label[one].casefold())
    place = {one: number for number, one in enumerate(ordered)}
    shared = sorted({one[0] for one in distinct if label[one] != one[0]})
    notes = tuple(f"'{name}' stands for more than one; the brackets tell them apart." for name in shared)
    return [place[one] for one in names], tuple(label[one] for one in ordered), notes
