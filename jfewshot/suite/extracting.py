"""Extract the missing stores of a suite, and estimate this, by the commands `extract` and `estimate`."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jfewshot.commandline.commands import COMMANDS
from jfewshot.errors import UserError
from jfewshot.suite.definition import Suite
from jfewshot.suite.embeddings import extracted_folder

log = logging.getLogger("jfewshot.suite")


@dataclasses.dataclass(frozen=True)
class Extraction:
    """One call of `jfewshot extract`.

    Attributes:
      upstream: the encoder, as the user named it.
      datasets: what `--datasets` takes.
      root: folder of the audio: of the only dataset, or with a folder for each dataset.
      out: folder of the stores.
    """

    upstream: str
    datasets: tuple[str, ...]
    root: Path
    out: Path

    def arguments(self, further: Sequence[str]) -> list[str]:
        """The arguments of `jfewshot extract`.

        Args:
          further: of the user's choice, such as `--device cpu`.
        """
        given = ["--datasets", *self.datasets, "--upstreams", self.upstream, "--root", str(self.root)]
        return [*given, "--out", str(self.out), *further]


def plan_extraction(
    suite: Suite, missing: Mapping[str, Sequence[str]], root: Path | None, out: Path, only_estimate: bool = False
) -> list[Extraction]:
    """Find the audio of every missing store, before anything is extracted.

    Args:
      suite: where the audio of its datasets lies below `root`.
      missing: by encoder, as the user named it, the datasets without a store.
      root: folder with a folder for each dataset; None where the user has no audio.
      out: folder of the run.
      only_estimate: whether audio may be missing, since the number of segments of many datasets is published.

    Returns:
      the calls, the datasets that share a folder together.

    Raises:
      UserError: names the task whose dataset is missing, and what to do.
    """
    calls = []
    base = Path("data") if root is None else root
    for upstream, datasets in missing.items():
        together: list[str] = []
        alone: list[tuple[str, Path]] = []
        for name in datasets:
            dataset = suite.dataset(name)
            if root is not None and dataset.load == name and (root / name).is_dir():
                together.append(name)
            elif root is not None and (root / dataset.folder).is_dir():
                alone.append((dataset.load, root / dataset.folder))
            elif only_estimate and dataset.load == name:
                together.append(name)
            else:
                raise UserError(_without_audio(suite, upstream, name, root))
        folder = extracted_folder(out, upstream)
        if together:
            lone = base / together[0] if len(together) == 1 else base
            calls.append(Extraction(upstream, tuple(together), lone, folder))
        calls += [Extraction(upstream, (load,), path, folder) for load, path in alone]
    return calls


def _without_audio(suite: Suite, upstream: str, name: str, root: Path | None) -> str:
    task = next(task for task in suite.tasks if task.dataset == name)
    what = f"suite '{suite.name}', task '{task.name}': there is no store of '{upstream}' on '{name}'"
    if root is None:
        return (
            f"{what}; give --stores with one, or --root FOLDER with the audio, or leave the dataset out with --datasets"
        )
    return (
        f"{what}, and its audio is not in {root / suite.dataset(name).folder}; put it there as docs/datasets describes it, or "
        "leave the dataset out with --datasets"
    )


def estimate_extraction(calls: Sequence[Extraction], further: Sequence[str]) -> None:
    """Print how long the calls take and how much disk their stores need; each encoder is timed for some seconds.

    Args:
      calls: from `plan_extraction`.
      further: arguments on how encoders are loaded.
    """
    with _without_next_steps():
        for call in calls:
            given = ["--datasets", *call.datasets, "--upstreams", call.upstream, "--root", str(call.root)]
            COMMANDS["estimate"].run([*given, "--seconds", "1", *further])


def extract(calls: Sequence[Extraction], further: Sequence[str]) -> None:
    """Extract the missing stores; finished stores of an interrupted call are kept.

    Args:
      calls: from `plan_extraction`.
      further: arguments on how encoders are loaded and audio is decoded.

    Raises:
      UserError: whatever `jfewshot extract` finds wrong.
    """
    with _without_next_steps():
        for call in calls:
            log.info("extracting %s with %s", ", ".join(call.datasets), call.upstream)
            COMMANDS["extract"].run(call.arguments(further))


@contextlib.contextmanager
def _without_next_steps() -> Iterator[None]:
    """Hide the next steps that the two commands propose, since this run continues by itself."""
    loggers = [logging.getLogger(name) for name in ("extraction", "extraction.launching")]
    for logger in loggers:
        logger.addFilter(_is_no_proposal)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_no_proposal)


def _is_no_proposal(record: logging.LogRecord) -> bool:
    return "next: jfewshot " not in record.getMessage()
