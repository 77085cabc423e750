"""Looking into result folders, and damaging them."""

import json
from pathlib import Path

from jfewshot.results import read_results
from jfewshot.results.lines import key_of_line


def contents(folder: Path):
    """All results, times and places in files apart: records by key, predictions by key, and the bytes of drawn clips."""
    found = {path.name: path.read_bytes() for path in (folder / "draws").glob("*.npz")}
    if not any((folder / "records").glob("*.jsonl")):
        return found
    results = read_results(folder)
    for record in results.records:
        plain = {name: value for name, value in record.items() if name not in ("timing", "predictions", "sha256")}
        kept = record["predictions"]
        found[record["key"]] = json.dumps([plain, kept["sha256"], kept["bytes"]], sort_keys=True)
        found[f"{record['key']} predicted"] = results.predictions(record).tobytes()
    return found


def keys(folder: Path) -> list[str]:
    """The keys of all records, sorted."""
    return [record["key"] for record in read_results(folder).records]


def remove(folder: Path, *unwanted: str) -> None:
    """Take records out of their files, as if they had never been written."""
    for path in (folder / "records").glob("*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines if key_of_line(line) not in unwanted))


def line_file(folder: Path) -> Path:
    """The only file of records."""
    (path,) = (folder / "records").glob("*.jsonl")
    return path


def block_file(folder: Path) -> Path:
    """The only file of predictions."""
    (path,) = (folder / "predictions").glob("*.bin")
    return path


def change(folder: Path, key: str, change_line) -> None:
    """Replace the line of a record by what a function makes of it."""
    path = line_file(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change_line(line) if json.loads(line)["key"] == key else line for line in lines))


def without_digests(folder: Path) -> None:
    """Turn records into those of earlier versions, which have no digest of their own and of their draws."""
    path = line_file(folder)
    lines = []
    for line in path.read_bytes().splitlines():
        old = {name: value for name, value in json.loads(line).items() if name not in ("sha256", "draws_sha256", "key")}
        lines.append(f'{{"key":"{key_of_line(line)}",{json.dumps(old, sort_keys=True, separators=(",", ":"))[1:]}\n')
    path.write_text("".join(lines))


def as_version_1(folder: Path) -> None:
    """Turn a folder into what format version 1 wrote: a file of JSON and an .npz for each cell."""
    import numpy as np

    from jfewshot.files import sha256_of_file

    results = read_results(folder)
    (folder / "cells").mkdir()
    for record in results.records:
        path = folder / "predictions" / f"{record['key']}.npz"
        np.savez_compressed(path, predicted=results.predictions(record))
        old = {name: value for name, value in record.items() if name not in ("sha256", "draws_sha256")}
        old |= {"format_version": 1, "predictions": {"file": path.name, "sha256": sha256_of_file(path)}}
        (folder / "cells" / f"{record['key']}.json").write_text(json.dumps(old, indent=1, sort_keys=True))
    line_file(folder).unlink()
    block_file(folder).unlink()
