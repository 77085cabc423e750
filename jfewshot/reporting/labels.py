"""Names of upstreams and datasets in a report: as short as possible, all different, and the same in all parts of the report."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
Identity = tuple[str, str, str]
_DIGITS = 12  # digits of a revision, if so many distinguish all revisions


def upstream_identity(record: Record) -> Identity:
    """The identity of a record's upstream: its name, revision and title.

    Args:
      record: a result record.

    Returns:
      The name, the revision ("" if the record has none) and the title (the name if the record has none).
    """
    upstream = record["upstream"]
    name = str(upstream["name"])
    return name, str(upstream.get("revision") or ""), str(upstream.get("title") or name)


def dataset_identity(record: Record) -> Identity:
    """The identity of a record's dataset: its name, its clip table and its title.

    Args:
      record: a result record.

    Returns:
      The name, the digest of the clip table and the title (the name if the record has none).
    """
    dataset = record["dataset"]
    name = str(dataset["name"])
    return name, str(record["identity"]["clip_table"]), str(dataset.get("title") or name)


class UpstreamNames:
    """Names for all upstreams of a report, no two of them equal.

    The name of an upstream is its title. If another upstream has the same title, the revision or the name follows in
    brackets.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        """Find a name for each upstream.

        Args:
          records: all records of the report, so that each of its parts uses the same names.
        """
        found = sorted({upstream_identity(record) for record in records})
        self._names = distinct({one: [_bracketed(one[2], parts) for parts in _parts(one)] for one in found})
        # What follows the title, so that a row can put its view in the same brackets.
        self._said = {
            one: next((parts for parts in _parts(one) if _bracketed(one[2], parts) == name), ())
            for one, name in self._names.items()
        }

    def of(self, record: Record) -> str:
        """The name of a record's upstream.

        Args:
          record: one of those that the names were made for.
        """
        return self._names[upstream_identity(record)]

    def with_view(self, record: Record) -> str:
        """The name of a record's upstream together with the view: `HuBERT (last.mean, 3f2a)`.

        Args:
          record: one of those that the names were made for.
        """
        one, view = upstream_identity(record), str((record.get("view") or {}).get("name", ""))
        said = self._said[one]
        base = one[2] if said or self._names[one] == one[2] else self._names[one]
        return _bracketed(base, (view, *said))


def upstream_labels(
    records: Sequence[Record], names: UpstreamNames | None = None
) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    """The row of each record, the labels of the rows in alphabetical order, and notes on labels that had to be extended.

    A row is an upstream in one view. Its label is the upstream's name, with the view if the upstream has several.

    Args:
      records: of one table or figure.
      names: names of the upstreams of the whole report; None for names that distinguish the upstreams of `records`.

    Returns:
      The row of each record, the labels of the rows, and the notes.
    """
    names = names or UpstreamNames(records)
    rows = [(upstream_identity(record), str((record.get("view") or {}).get("name", ""))) for record in records]
    of_row = dict(zip(rows, records, strict=True))
    candidates = {row: [names.of(record), names.with_view(record)] for row, record in of_row.items()}
    return _placed(rows, candidates, {row: row[0][2] for row in candidates})


def dataset_labels(records: Sequence[Record]) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    """The column of each record, the labels of the columns, and notes on labels that had to be extended.

    A column is a dataset with one clip table.

    Args:
      records: of one table or figure.

    Returns:
      The column of each record, the labels of the columns, and the notes.
    """
    columns = [dataset_identity(record) for record in records]
    candidates = {}
    for one in columns:
        name, clip_table, title = one
        candidates[one] = [
            title,
            f"{title} ({name})",
            f"{title} ({name}, clips {clip_table[:8]})",
            f"{title} ({name}, clips {clip_table})",
        ]
    return _placed(columns, candidates, {column: column[2] for column in candidates})


def _parts(upstream: Identity) -> list[tuple[str, ...]]:
    name, revision, _ = upstream
    short = revision[:_DIGITS] or "no revision"
    return [(), (short,), (name,), (name, short), (name, revision or short)]


def _bracketed(title: str, parts: Iterable[str]) -> str:
    said = ", ".join(part for part in parts if part)
    return f"{title} ({said})" if said else title


def _placed(
    items: Sequence[Hashable], candidates: Mapping[Any, Sequence[str]], titles: Mapping[Any, str]
) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    label = distinct(candidates)
    ordered = sorted(label, key=lambda one: (label[one].casefold(), label[one]))
    place = {one: number for number, one in enumerate(ordered)}
    shared = sorted({titles[one] for one in label if label[one] != titles[one]})
    notes = tuple(f"'{title}' stands for more than one; the brackets tell them apart." for title in shared)
    return [place[one] for one in items], tuple(label[one] for one in ordered), notes


def distinct(candidates: Mapping[Any, Sequence[str]]) -> dict[Any, str]:
    """For each item, the first candidate that no other item has; if all are shared, the last one with a number."""
    owners: dict[str, int] = {}
    for names in candidates.values():
        for name in set(names):
            owners[name] = owners.get(name, 0) + 1
    label: dict[Any, str] = {}
    taken = {name for name, count in owners.items() if count == 1}
    for one in sorted(candidates):
        names = candidates[one]
        own = next((name for name in names if owners[name] == 1), None)
        if own is None:
            number = 2
            own = names[-1]
            while own in taken:
                own, number = f"{names[-1]} [{number}]", number + 1
            taken.add(own)
        label[one] = own
    return label
