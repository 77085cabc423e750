"""`python -m benchmarks.numbers`: are the numbers on the pages still true?"""

import dataclasses
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tyro

from benchmarks.numbers.claims import Accuracy, Compared
from benchmarks.numbers.pages import ROOT
from benchmarks.numbers.parts import PARTS
from benchmarks.tools.measuring import markdown_table, write_json
from jfewshot.commandline import run_cli
from jfewshot.errors import UserError

log = logging.getLogger("benchmarks")


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Measure printed numbers again in short runs, and compare each with the number on its page.

    Accuracies are measured on the same episodes, so they must agree to the last printed digit. Speeds are ratios to a competitor
    that is measured in turns, and must lie within the range of the recorded rounds. Some ratios will lie outside, because these
    runs have three rounds instead of five and other machines differ. Close other programs first. The exit status is 1 if a number
    does not agree or could not be measured.

    Examples:
      python -m benchmarks.numbers                              # about 15 minutes on two cores
      python -m benchmarks.numbers --parts one-shot chosen      # only accuracies: two minutes
    """

    parts: tuple[str, ...] = tuple(PARTS)
    """Which numbers to measure: one-shot and chosen are accuracies; headline, real-size and training are speeds."""
    json: Path | None = None
    """File for the printed and the measured numbers."""
    timeout_s: float = 600.0
    """Stop a command that takes longer than this many seconds. Its part then counts as not measured."""


def compare(options: Numbers) -> int:
    """Measure part by part and print the comparison; returns the exit status.

    Raises:
      UserError: if the options name an unknown part.
    """
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        raise UserError(f"--parts {' '.join(unknown)}: no such part. The parts are {', '.join(PARTS)}.")
    found: list[Compared] = []
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.parts:
            started = time.perf_counter()
            try:
                found_here = list(_measure(name, Path(scratch), options.timeout_s))
            except (subprocess.SubprocessError, OSError, LookupError) as error:
                failed.append(name)
                log.warning("%s: not measured: %s", name, error)
                continue
            found += found_here
            print(
                f"## {PARTS[name].about} ({time.perf_counter() - started:.0f} s)\n\n{_table(found_here)}\n", flush=True
            )
    differing = [item for item in found if not item.agrees]
    print(f"{len(found) - len(differing)} of {len(found)} numbers agree.")
    for item in differing:
        print(f"- {item.page}: {item.what}: claimed {item.printed[0]}, measured {item.printed[1]}")
    if failed:
        print(f"Not measured: {', '.join(failed)}.")
    lines = [dataclasses.asdict(item) | {"agrees": item.agrees} for item in found]
    write_json(options.json, {"not_measured": failed, "numbers": lines})
    return int(bool(differing or failed))


def _measure(name: str, scratch: Path, timeout_s: float) -> Iterator[Compared]:
    folder = scratch / name
    folder.mkdir()
    commands = PARTS[name].commands(folder)
    for number, (module, *words) in enumerate(commands, 1):
        log.info("%s, %d of %d: python -m %s %s", name, number, len(commands), module, " ".join(words))
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()[-1]
            raise subprocess.SubprocessError(f"python -m {module} ended with status {done.returncode}: {said}")
    yield from PARTS[name].compare(folder)


def _table(found: list[Compared]) -> str:
    """A table of every ratio and of the accuracies that differ. Of the accuracies that agree, only their number is printed."""
    same = [item for item in found if isinstance(item, Accuracy) and item.agrees]
    shown = [[item.what, *item.printed, "yes" if item.agrees else "NO"] for item in found if item not in same]
    lines = [f"{len(same)} accuracies agree to their last digit."] if same else []
    if shown:
        lines.append(markdown_table(["", "claimed", "measured", "measured / claimed", "agrees"], shown))
    return "\n\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run it; returns the exit status."""
    options = tyro.cli(Numbers, prog="python -m benchmarks.numbers", args=arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return compare(options)


if __name__ == "__main__":
    run_cli(main)
