"""How much memory and time does an import of a large Hoplite database take?

    python -m benchmarks.importing [--windows 200000 ...] [--dim 1536] [--folder FOLDER] [--json FILE]

The command builds a database of perch-hoplite 1.x with random vectors, 100 labelled windows for each recording. Then
`jfewshot store import hoplite` imports the database in a separate process, whose memory is read from Linux while the process
runs: RssAnon is memory without mapped files, and VmHWM is the peak of memory with mapped files. The index is built with few
candidates (expansion_add 8 instead of 256), because the import reads the index and never searches it.
"""

import argparse
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.tools.measuring import machine, write_json
from benchmarks.tools.memory import memory_bytes
from jfewshot.store import ClipTable, write_store
from jfewshot.store.containers.hoplite_index import INDEX, need_usearch
from jfewshot.store.containers.hoplite_writing import KEY, write_tables

WINDOWS_OF_A_RECORDING, CLASSES, WINDOW_S = 100, 50, 5
_BLOCK = 4_096
_EVERY_S = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, nargs="+", default=[200_000], help="numbers of windows of the databases")
    parser.add_argument("--dim", type=int, default=1_536)
    parser.add_argument(
        "--folder", type=Path, help="folder in which to build the databases; by default a temporary folder"
    )
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    before = machine()
    rows = [answer(n_windows, options.dim, options.folder) for n_windows in options.windows]
    write_json(options.json, {"question": __doc__.splitlines()[0], "machine": before, "rows": rows})


def answer(n_windows: int, dim: int, where: Path | None) -> dict[str, float]:
    """Build a database, import it, and print time and memory."""
    with tempfile.TemporaryDirectory(dir=where) as name:
        start = time.perf_counter()
        build(Path(name), n_windows, dim)
        row = {"windows": n_windows, "dim": dim, "built_s": time.perf_counter() - start, **measure(Path(name))}
    print(
        f"{row['windows']:,} windows x {row['dim']}: imported in {row['imported_s']:.1f} s; peak memory "
        f"{row['anonymous_bytes'] / 1e9:.2f} GB without mapped files, {row['peak_bytes'] / 1e9:.2f} GB with them (built in "
        f"{row['built_s']:.0f} s)"
    )
    return row


def build(folder: Path, n_windows: int, dim: int) -> None:
    """Write the database. It is exported from a store, which is removed afterwards."""
    module = need_usearch("building a database")
    rng = np.random.default_rng(0)
    view = np.lib.format.open_memmap(folder / "view.npy", mode="w+", dtype=np.float16, shape=(n_windows, dim))
    index = module.Index(
        ndim=dim, metric=module.MetricKind.IP, dtype=module.ScalarKind.F16, connectivity=16, expansion_add=8
    )
    for start in range(0, n_windows, _BLOCK):
        block = rng.standard_normal((min(_BLOCK, n_windows - start), dim), np.float32).astype(np.float16)
        view[start : start + len(block)] = block
        index.add(np.arange(start + 1, start + 1 + len(block), dtype=np.uint64), block)
    (folder / "database").mkdir()
    index.save(str(folder / "database" / INDEX))
    del index, view
    number, at = np.divmod(np.arange(n_windows), WINDOWS_OF_A_RECORDING)
    names = [
        f"site {n % 20:02d}/20240517_{n:06d}.wav:{WINDOW_S * k}-{WINDOW_S * k + WINDOW_S}"
        for n, k in zip(number, at, strict=True)
    ]
    clips = ClipTable.build(
        names, [f"species {n}" for n in rng.integers(0, CLASSES, n_windows)], [one.rpartition(":")[0] for one in names]
    )
    views = {"last.mean": folder / "view.npy"}
    store = write_store(
        folder / "store", views=views, clips=clips, dataset={"name": "birds"}, upstream={"name": "random"}
    )
    write_tables(store, np.argsort(store.clips.first_segment), "last.mean", folder / "database" / "hoplite.sqlite")
    with sqlite3.connect(folder / "database" / "hoplite.sqlite") as database:
        # This entry marks a database that jfewshot wrote. Without the entry, the database is imported like one that Hoplite
        # wrote.
        database.execute("DELETE FROM hoplite_metadata WHERE key = ?", (KEY,))
    database.close()
    shutil.rmtree(folder / "store")


def measure(folder: Path) -> dict[str, float]:
    """Import the database in a separate process, and measure its time and memory."""
    command = [
        "-m",
        "jfewshot",
        "store",
        "import",
        "hoplite",
        str(folder / "database"),
        "--out",
        str(folder / "imported"),
    ]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    anonymous = peak = 0
    while process.poll() is None:
        anonymous = max(anonymous, memory_bytes("RssAnon", process.pid) or 0)
        peak = max(peak, memory_bytes("VmHWM", process.pid) or 0)
        time.sleep(_EVERY_S)
    if process.returncode:
        raise SystemExit(f"the import ended with status {process.returncode}")
    return {"imported_s": time.perf_counter() - start, "anonymous_bytes": anonymous, "peak_bytes": peak}


if __name__ == "__main__":
    main()
