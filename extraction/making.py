"""Make parts: the loop that every process of an extraction runs."""

import dataclasses
import time
from collections.abc import Iterator, Sequence

from extraction.alterations import audio_of
from extraction.costs.recording import Meter
from extraction.decoding import Decoded, Decoder
from extraction.encoding import BatchEncoder, EncodedBlock
from extraction.parts import Parts
from extraction.progress import Tally
from extraction.settings import ExtractionSettings
from extraction.upstreams.base import Upstream
from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True)
class Task:
    """One unfinished store, and its encoder."""

    parts: Parts
    encoder: BatchEncoder
    meter: Meter

    @classmethod
    def of(cls, parts: Parts, upstream: Upstream, settings: ExtractionSettings) -> "Task":
        """Make the task of one store from its plan.

        The plan determines the rows of a clip completely. Only the batch size is taken from the settings, and it does not
        change rows.

        Args:
          parts: the plan and the folder of the finished parts.
          upstream: the encoder.
          settings: settings of the extraction.

        Returns:
          the task.
        """
        plan = parts.plan
        encoder = BatchEncoder(
            upstream, plan["layers"], plan["pooling"], plan["segment_samples"], settings.batch_size, plan["dtype"]
        )
        return cls(parts, encoder, Meter(upstream))


def make_parts(tasks: Sequence[Task], numbers: Sequence[int], decoder: Decoder, on_error: str) -> Iterator[Tally]:
    """Make and write parts; each clip is decoded once for all tasks, and existing parts are not made again.

    Args:
      tasks: stores of the same clips, cut into the same parts.
      numbers: numbers of the parts.
      decoder: a decoder for every rate of the tasks' encoders.
      on_error: `stop` or `skip`.

    Yields:
      the progress, after each part.

    Raises:
      UserError: with `stop`, at the first clip that cannot be used.
    """
    wanting = {number: [task for task in tasks if not task.parts.has(number)] for number in numbers}
    numbers = [number for number in numbers if wanting[number]]
    first = tasks[0].parts
    alteration, noises_in = first.plan.get("alteration"), first.folder if "noise" in first.plan else None
    stream = decoder.stream(
        [audio_of(clip, alteration, noises_in) for clip in first.block(number)] for number in numbers
    )
    for number, decoded in zip(numbers, stream, strict=True):
        tally = Tally(clips=len(decoded), audio_s=sum(clip.duration_s for clip in decoded))
        for task in wanting[number]:
            started = time.monotonic()
            encoded = _encode(task.encoder, decoded)
            seconds = time.monotonic() - started
            tally.encoding_s += seconds
            clips = task.parts.block(number)
            for clip, reason in encoded.reasons.items():
                if on_error == "stop":
                    raise UserError(
                        f"clip {clips[clip].audio}: {reason}. Mend or remove it, "
                        "or pass --on-error skip to leave such clips out; they will be listed"
                    )
                tally.left_out.append(f"{clips[clip].audio}: {reason}")
            task.parts.write(number, dataclasses.replace(encoded, cost=task.meter.cost_of(encoded, seconds)))
        yield tally


def _encode(encoder: BatchEncoder, decoded: Sequence[Decoded]) -> EncodedBlock:
    encoded = encoder.encode_block([clip.waves.get(encoder.upstream.sample_rate) for clip in decoded])
    unreadable = {number: clip.reason for number, clip in enumerate(decoded) if clip.reason}
    return dataclasses.replace(encoded, reasons=dict(sorted({**encoded.reasons, **unreadable}.items())))
