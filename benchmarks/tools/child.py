"""Runs a command in a separate process, and measures its time from start to end, its memory, and the result that it prints."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tools.memory import memory_bytes

_POLL_S = 0.05
# A traceback names the exception at the start of a line: "ValueError: ...", "jax.errors.JaxRuntimeError: ...".
# PyTorch's compiler has exceptions of other names: "torch._dynamo.exc.BackendCompilerFailed: ...".
_EXCEPTION = re.compile(r"(\w+\.)*\w*(Error|Exception|Interrupt|Exit|Failed|Unsupported)(: |$)")
_STEP = "step: "  # beginning of a line in which a process names its current step


@dataclasses.dataclass(frozen=True)
class Finished:
    """A process that ended.

    Attributes:
      wall_s: seconds from its start to its end.
      status: its exit status; None if it was stopped because it took too long.
      peak_bytes: peak of resident memory, with mapped files; None if unknown.
      peak_own_bytes: peak of resident memory without mapped files, from samples. The system can free the memory of mapped files
        at any time. None if unknown.
      output, errors: its standard output and standard error.
    """

    wall_s: float
    status: int | None
    peak_bytes: int | None
    peak_own_bytes: int | None
    output: str
    errors: str

    @property
    def result(self) -> dict[str, Any] | None:
        """The JSON object in the last line of the output; None if the process failed."""
        lines = self.output.strip().splitlines()
        return json.loads(lines[-1]) if self.status == 0 and lines else None

    @property
    def reason(self) -> str:
        """Why the process failed, in one line."""
        if self.status is None:
            return f"stopped after {self.wall_s:.0f} s" + _last_step(self.errors)
        if self.status < 0:
            return f"stopped by signal {signal.Signals(-self.status).name}" + _last_step(self.errors)
        return f"exit status {self.status}: {_message(self.errors)}"


def run_child(command: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None) -> Finished:
    """Run a command to its end, and sample its memory meanwhile.

    Args:
      command: program and arguments.
      timeout_s: seconds after which the command is stopped.
      environment: variables to add to those of this process.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "output", Path(folder) / "errors"
        with open(paths[0], "w") as output, open(paths[1], "w") as errors:
            started = time.perf_counter()
            process = subprocess.Popen(
                list(command), stdout=output, stderr=errors, env={**os.environ, **(environment or {})}
            )
            peak = own = None
            try:
                while process.poll() is None and time.perf_counter() - started < timeout_s:
                    peak = _larger(peak, memory_bytes("VmHWM", process.pid))
                    own = _larger(own, memory_bytes("RssAnon", process.pid))
                    time.sleep(_POLL_S)
            finally:
                stopped = process.poll() is None
                if stopped:
                    process.kill()
                process.wait()
            wall_s = time.perf_counter() - started
        texts = [path.read_text(errors="replace") for path in paths]
    return Finished(wall_s, None if stopped else process.returncode, peak, own, *texts)


def _message(errors: str) -> str:
    """The line of standard error that says what went wrong.

    JAX adds remarks about omitted frames to the end of a traceback, so the line of the exception is often not the last line.
    """
    lines = errors.strip().splitlines()
    raised = [line for line in lines if _EXCEPTION.match(line)]
    return (raised or lines or ["no message"])[-1]


def _last_step(errors: str) -> str:
    """The step at which a process was stopped, if the process names its steps."""
    steps = [line.removeprefix(_STEP) for line in errors.splitlines() if line.startswith(_STEP)]
    return f" while {steps[-1]}" if steps else ""


def _larger(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)
