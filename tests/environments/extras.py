"""Does each small extra install what its commands need?

    python -m tests.environments.extras [--venv .venv-extras] [--torch "torch==2.13.0"] [--extras pretrain asr]

It makes one environment with the core alone. For each extra it installs the extra, runs the extra's commands
(commands.py), and removes all that the extra brought, so that no extra profits from another. An extra may not change
the release of a package that was there before it: such an extra would hold back the core's packages.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.environments.commands import COMMANDS, WITH_TORCH, Command, write_inputs

ROOT = Path(__file__).resolve().parents[2]


class Environment:
    """A virtual environment with pip."""

    def __init__(self, folder: Path):
        venv.create(folder, with_pip=True, clear=True)
        self.python = folder.resolve() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.pip("install", "--quiet", "--upgrade", "pip")

    def pip(self, *arguments: str) -> str:
        command = [self.python, "-m", "pip", "--disable-pip-version-check", *arguments]
        done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"pip {' '.join(arguments)} failed:\n{done.stderr}")
        return done.stdout

    def releases(self) -> dict[str, str]:
        """Version of each installed distribution but this project's, by name."""
        listed = json.loads(self.pip("list", "--format", "json", "--exclude-editable"))
        return {item["name"].lower(): item["version"] for item in listed}

    def add(self, extra: str) -> None:
        self.pip("install", "--quiet", "--editable", f".[{extra}]" if extra else ".")

    def failure_of(self, command: Command, folder: Path) -> str | None:
        """What went wrong when the command ran in the folder; None if it did what it should."""
        arguments = command.arguments.split() if isinstance(command.arguments, str) else command.arguments
        done = subprocess.run(
            [self.python, *arguments], cwd=folder, text=True, capture_output=True, check=False, timeout=600
        )
        said = done.stdout + done.stderr
        if done.returncode != command.status or command.says not in said:
            return f"status {done.returncode}, not {command.status}; it has to say '{command.says}' and said:\n{said[-3000:]}"
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-extras", help="folder of the environment, made anew")
    parser.add_argument(
        "--torch", help="what pip installs as torch; without it, the extras that need torch are left out"
    )
    parser.add_argument("--extras", nargs="+", help="these alone, after the core")
    options = parser.parse_args()
    wanted = COMMANDS | (WITH_TORCH if options.torch else {})
    if options.extras:
        wanted = {extra: wanted[extra] for extra in ("", *options.extras)}
    environment = Environment(options.venv)
    failures, passed, before = [], 0, {}
    with tempfile.TemporaryDirectory() as scratch:
        write_inputs(Path(scratch))
        for extra, commands in wanted.items():
            if extra in WITH_TORCH:
                environment.pip("install", "--quiet", *options.torch.split())
            environment.add(extra)
            after = environment.releases()
            changed = {name: (old, after.get(name)) for name, old in before.items() if after.get(name) != old}
            if changed:
                failures.append(f"[{extra}] changes the releases of the core's packages: {changed}")
            for command in commands:
                failure = environment.failure_of(command, Path(scratch))
                passed += failure is None
                failures += [] if failure is None else [f"[{extra}] python {command}: {failure}"]
                print(
                    f"[{extra or 'core'}] python {str(command)[:100]}: {'passed' if failure is None else 'FAILED'}",
                    flush=True,
                )
            if extra and (brought := sorted(set(after) - set(before))):
                environment.pip("uninstall", "--quiet", "--yes", *brought)
            before = before or after
    print(*failures, sep="\n\n", file=sys.stderr)
    print(f"extras: {passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
