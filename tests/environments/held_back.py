"""Which installed packages are older than their newest release because another package does not allow it?

    python -m tests.environments.held_back

It asks pip for the newest release of every installed package that this Python can use, so it needs the package index
(`.ci/run` runs it after `make test`). An extra that holds another package back is moved out of what `make test` installs.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence

from packaging.requirements import Requirement

# By package that is held back: who may do so, and why.
ALLOWED = {
    "mpmath": ("sympy", "torch and onnxruntime require sympy, whose newest release does so; nothing here calls mpmath"),
}


def holders(
    newest: Mapping[str, str],
    requirements: Mapping[str, Sequence[str]],
    allowed: Mapping[str, tuple[str, str]] = ALLOWED,
) -> list[str]:
    """One line for each requirement that excludes the newest release of an installed package that is older.

    Args:
      newest: newest release of each outdated package, by name.
      requirements: what each installed distribution requires, in PEP 508's form.
      allowed: by package, the one distribution that may hold it back, and the reason.
    """
    newest = {_normal(name): version for name, version in newest.items()}
    found = []
    for distribution, lines in requirements.items():
        for requirement in map(Requirement, lines):
            package = _normal(requirement.name)
            if package not in newest or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
                continue
            excused = allowed.get(package, ("",))[0] == _normal(distribution)
            if not excused and not requirement.specifier.contains(newest[package], prereleases=True):
                found.append(f"{distribution} requires {requirement}, and {newest[package]} is the newest release")
    return sorted(found)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "list", "--outdated", "--format", "json"]
    listed = json.loads(subprocess.run(command, text=True, capture_output=True, check=True).stdout)
    newest = {item["name"]: item["latest_version"] for item in listed}
    installed = {item.metadata["Name"]: item.requires or [] for item in importlib.metadata.distributions()}
    found = holders(newest, installed)
    for line in found:
        print(line, file=sys.stderr)
    older = ", ".join(f"{item['name']} {item['version']} (newest {item['latest_version']})" for item in listed)
    print(f"{len(listed)} packages are older than their newest release: {older or 'none'}; {len(found)} are held back")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
