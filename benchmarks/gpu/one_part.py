"""Measures the rows of one part. `python -m benchmarks.gpu` starts a process for each part.

Each row is appended to a file as a line of JSON as soon as it is measured, so that nothing is lost if the process is stopped. If
a row fails, its line holds the error, and the next row is measured.
"""

import argparse
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any


def run_part(name: str, setting: Any, rows: Path) -> None:
    """Measure the rows of a part.

    Args:
      name: name of the part.
      setting: what all parts get.
      rows: file to which rows are appended.
    """
    from benchmarks.gpu.parts import PARTS

    with open(rows, "a") as file:
        for labels, measure in PARTS[name].jobs(setting):
            started = time.perf_counter()
            try:
                row = measure()
            except Exception:
                text = traceback.format_exc()
                print(text, file=sys.stderr, flush=True)
                row = {"failed": text.strip().splitlines()[-1][:300], "traceback": text[-2000:]}
            row = {"part": name, "side": "jfewshot", **labels, **row, "seconds": time.perf_counter() - started}
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part")
    parser.add_argument("--rows", type=Path, required=True, help="file to which rows are appended")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for synthetic embeddings")
    parser.add_argument("--reference", type=Path, help="file of predictions that a CPU made")
    parser.add_argument("--block", type=int, help="the fastest block size so far")
    parser.add_argument("--tiny", action="store_true", help="use small sizes, for a test on a CPU")
    options = parser.parse_args()
    from benchmarks.gpu.parts import Setting

    setting = Setting(options.scratch, options.reference, options.tiny, options.block)
    run_part(options.part, setting, options.rows)


if __name__ == "__main__":
    main()
