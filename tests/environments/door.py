"""The tests of one door, in an environment that has its neighbour's packages; none of them may be skipped.

python -m tests.environments.door annotations --packages praatio lhotse --tests tests/extraction/datasets/test_tiers.py
"""

import argparse
import importlib.metadata
import subprocess
import sys

import pytest


class Counts:
    """Outcomes of the tests, and the reasons of those that were skipped."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, []

    def pytest_runtest_logreport(self, report):
        if report.skipped:
            self.skipped.append(f"{report.nodeid}: {report.longrepr[-1]}")
        elif report.failed:
            self.failed += 1
        elif report.when == "call":
            self.passed += 1

    def pytest_collectreport(self, report):
        if report.skipped:
            self.skipped.append(f"{report.nodeid}: {report.longrepr[-1]}")


def version_beside(python: str, name: str) -> str:
    """The version of a distribution in another environment."""
    program = f"import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run([python, "-c", program], text=True, capture_output=True, check=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the door")
    parser.add_argument("--packages", nargs="+", required=True, help="distributions whose versions are printed")
    parser.add_argument("--tests", nargs="+", required=True, help="files of tests, or tests")
    parser.add_argument(
        "--beside",
        nargs="+",
        action="append",
        default=[],
        help="an interpreter of another environment, and distributions there whose versions are printed",
    )
    options = parser.parse_args()
    counts = Counts()
    status = pytest.main(["-q", *options.tests], plugins=[counts])
    found = [f"{name} {importlib.metadata.version(name)}" for name in options.packages]
    found += [f"{name} {version_beside(python, name)}" for python, *names in options.beside for name in names]
    versions = ", ".join(found)
    print(*counts.skipped, sep="\n", file=sys.stderr)
    print(
        f"door {options.name}: passed {counts.passed}, failed {counts.failed}, skipped {len(counts.skipped)} ({versions})"
    )
    return 1 if status or counts.skipped or not counts.passed else 0


if __name__ == "__main__":
    sys.exit(main())
