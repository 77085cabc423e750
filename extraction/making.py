"""Making parts: the loop that every process of a run goes through, and what a process needs that was started for it."""

import dataclasses
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from extraction.allocator import keep_freed_memory
from extraction.decoding import Decoded, Decoder
from extraction.encoding import BatchEncoder, EncodedBlock
from extraction.parts import Parts
from extraction.progress import Tally
from extraction.settings import Settings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import Upstream, UpstreamOptions
from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True)
class Task:
    """One store under way, and the encoder that makes it."""

    parts: Parts
    encoder: BatchEncoder

    @classmethod
    def of(cls, parts: Parts, upstream: Upstream, settings: Settings) -> "Task":
        """The plan says what is made of a clip; of the settings, only the batch size, which changes no row."""
        plan = parts.plan
        encoder = BatchEncoder(
            upstream, plan["layers"], plan["pooling"], plan["segment_samples"], settings.batch_size, plan["dtype"]
        )
        return cls(parts, encoder)


def make_parts(tasks: Sequence[Task], numbers: Sequence[int], decoder: Decoder, on_error: str) -> Iterator[Tally]:
    """Decode, encode and keep parts, each clip decoded once for all tasks; parts that are on disk are not made again.

    Args:
      tasks: stores of the same clips, cut into the same parts.
      numbers: which parts.
      decoder: for every rate of the tasks' encoders.
      on_error: `stop` or `skip`.

    Yields:
      What was done, after each part.

    Raises:
      UserError: with `stop`, at the first clip that cannot be used.
    """
    wanting = {number: [task for task in tasks if not task.parts.has(number)] for number in numbers}
    numbers = [number for number in numbers if wanting[number]]
    stream = decoder.stream([clip.path for clip in tasks[0].parts.block(number)] for number in numbers)
    for number, decoded in zip(numbers, stream, strict=True):
        tally = Tally(clips=len(decoded), audio_s=sum(clip.duration_s for clip in decoded))
        for task in wanting[number]:
            started = time.monotonic()
            encoded = _encode(task.encoder, decoded)
            tally.encoding_s += time.monotonic() - started
            clips = task.parts.block(number)
            for clip, reason in encoded.reasons.items():
                if on_error == "stop":
                    raise UserError(
                        f"clip {clips[clip].path}: {reason}. Mend or remove it, "
                        "or pass --on-error skip to leave such clips out; they will be listed"
                    )
                tally.left_out.append(f"{clips[clip].path}: {reason}")
            task.parts.write(number, encoded)
        yield tally


class Crew(Protocol):
    """Processes that share the parts out among themselves; each has loaded all upstreams of the run."""

    size: int

    def make(self, folders: Mapping[int, Path], numbers: Sequence[int]) -> Iterator[Tally]:
        """Make parts of one dataset's stores.

        Args:
          folders: where the parts are, by the number of their upstream in the order in which the crew was given them.
          numbers: which parts.

        Yields:
          What was done, part by part, in the order in which they are finished.

        Raises:
          UserError: what `make_parts` raises, or a process that cannot be kept alive.
        """
        ...


class PartMaker:
    """A process of a crew: loads its own encoders, and makes the parts that it is told.

    Args:
      names: upstreams, as `load_upstream` takes them.
      options: how to load them.
      settings: batch size, what to do about bad clips, and processes that decode ahead (0: none but this one).
    """

    def __init__(self, names: Sequence[str], options: UpstreamOptions, settings: Settings):
        self._names, self._options, self._settings = tuple(names), options, settings
        self._upstreams: list[Upstream] = []
        self._decoder: Decoder | None = None
        self._tasks: dict[Path, Task] = {}

    def load(self) -> None:
        """Load the encoders, once; apart from construction, so that what is wrong with them arrives as it was raised."""
        if self._decoder is None:
            keep_freed_memory()
            self._upstreams = [load_upstream(name, self._options) for name in self._names]
            rates = [upstream.sample_rate for upstream in self._upstreams]
            self._decoder = Decoder(rates, self._settings.n_workers)

    def make(self, folders: Mapping[int, Path], numbers: Sequence[int]) -> list[Tally]:
        """As `Crew.make`, in this process."""
        self.load()
        self._tasks = {
            folder: self._tasks.get(folder) or self._open(index, folder) for index, folder in folders.items()
        }
        return list(make_parts([*self._tasks.values()], numbers, self._decoder, self._settings.on_error))

    def _open(self, index: int, folder: Path) -> Task:
        upstream = self._upstreams[index]
        if not folder.is_dir():
            raise UserError(
                f"{socket.gethostname()} does not see {folder}: --out (and --root) must be on a disk that all machines share"
            )
        parts = Parts.open(folder)
        wanted = parts.plan["upstream"].get("revision")
        if wanted != upstream.revision:
            raise UserError(
                f"{socket.gethostname()} has another {upstream.name} ({upstream.revision}) than the run was planned with "
                f"({wanted}); give every machine the same files"
            )
        return Task.of(parts, upstream, self._settings)


def _encode(encoder: BatchEncoder, decoded: Sequence[Decoded]) -> EncodedBlock:
    encoded = encoder.encode_block([clip.waves.get(encoder.upstream.sample_rate) for clip in decoded])
    unreadable = {number: clip.reason for number, clip in enumerate(decoded) if clip.reason}
    return dataclasses.replace(encoded, reasons=dict(sorted({**encoded.reasons, **unreadable}.items())))
