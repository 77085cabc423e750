"""The metrics that a training run writes and prints."""

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jfewshot.errors import UserError
from jfewshot.files import atomic_write

log = logging.getLogger(__name__)


class Metrics:
    """Writes metrics.jsonl, events for TensorBoard if wanted, and lines of the log.

    Args:
      folder: folder of the run.
      first: step from which the run starts or continues. Lines of later steps are removed, since these steps run again.
      every: steps between two lines of the log.
      tensorboard: also write events for TensorBoard below `folder`.
      describe: describes the numbers of a step in a few words.

    Attributes:
      details: the latest line of the log, without the step.
    """

    def __init__(
        self,
        folder: Path,
        first: int,
        every: int,
        tensorboard: bool = False,
        describe: Callable[[dict[str, float]], str] = lambda values: f"loss {values['loss']:.3f}",
    ):
        self.every, self._describe = every, describe
        self._writer = _tensorboard_writer(folder) if tensorboard else None
        self._path = folder / "metrics.jsonl"
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        # A killed run may have left half a line. Its step is after the checkpoint and runs again.
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= first]
        with atomic_write(self._path, "w") as file:
            file.writelines(line + "\n" for line in kept)
        self._file = open(self._path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 closed by close()
        self.details = ""
        self._since, self._steps, self._audio_s, self._wait_s = time.perf_counter(), 0, 0.0, 0.0

    def add(self, step: int, values: dict[str, float], wait_s: float, total: int) -> None:
        """Write the numbers of a step; every few steps and after the last step, also write a line of the log.

        Args:
          step: number of the step, counted from 1.
          values: the step's metrics by name.
          wait_s: how long the step waited for its data, in seconds.
          total: number of steps of the run.
        """
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._write_scalars(step, values)
        self._steps, self._wait_s = self._steps + 1, self._wait_s + wait_s
        self._audio_s += values.get("audio_s", 0.0)
        if step % self.every and step != total:
            return
        passed = max(time.perf_counter() - self._since, 1e-9)
        speed = {
            "steps/s": self._steps / passed,
            "audio h/h": self._audio_s / passed,
            "waiting for data": self._wait_s / passed,
        }
        line = self._line(step, total, values, speed)
        self.details = line.partition(" | ")[2]
        # On a terminal the progress bar shows these numbers; the last line stays.
        if not sys.stderr.isatty() or step == total:
            log.info("%s", line)
        self._since, self._steps, self._audio_s, self._wait_s = time.perf_counter(), 0, 0.0, 0.0

    def add_validation(self, step: int, values: dict[str, float]) -> None:
        """Write the validation numbers of a step."""
        self._file.write(
            json.dumps({"step": step, **{f"validation_{name}": value for name, value in values.items()}}) + "\n"
        )
        self._write_scalars(step, {f"validation_{name}": value for name, value in values.items()})
        others = (f"{name} {value:.4f}" for name, value in values.items() if name != "loss")
        log.info("step %d: validation %s", step, ", ".join([f"loss {values['loss']:.4f}", *others]))

    def add_measurement(self, step: int, values: dict[str, float | str], words: str) -> None:
        """Write the measurements of a step.

        Args:
          step: number of the step; 0 is before the first step.
          values: measured numbers and texts, by name.
          words: describes the values for the log.
        """
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        numbers = {name: value for name, value in values.items() if not isinstance(value, str)}
        self._write_scalars(step, numbers)
        log.info("step %d: %s", step, words)

    def _write_scalars(self, step: int, values: dict[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def _line(self, step: int, total: int, values: dict[str, float], speed: dict[str, float]) -> str:
        return (
            f"step {step}/{total} | {self._describe(values)} | rate {values['rate']:.2e} | "
            f"{speed['steps/s']:.2f} steps/s, {speed['audio h/h']:.0f} h of audio per h, "
            f"{speed['waiting for data']:.0%} waiting for data"
        )


def _tensorboard_writer(folder: Path) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard needs the package tensorboardX: pip install tensorboardX") from None
    return SummaryWriter(str(folder / "tensorboard"))
