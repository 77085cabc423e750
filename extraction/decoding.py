"""Decode ahead: worker processes read and resample the next clips while the encoder works on the current ones."""

import collections
import concurrent.futures
import dataclasses
import multiprocessing
import multiprocessing.context
import os
import signal
import sys
import threading
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from extraction.alterations import AlteredAudio
from extraction.datasets.hugging_face import cell_content
from jfewshot.audio import AudioError, Stretch, Unusable, decode, decode_stretch, resample
from jfewshot.errors import UserError

_CLIPS_PER_TASK = 8
_STARTING = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Decoded:
    """One decoded clip, before it is cut into segments.

    Attributes:
      waves: mono samples by sample rate in Hz; empty if the clip cannot be used.
      duration_s: length of the recording.
      reason: reason why the clip cannot be used; empty if it can.
    """

    waves: Mapping[int, np.ndarray]
    duration_s: float
    reason: str = ""


Audio = Path | Stretch | AlteredAudio


def decode_audio(audio: Audio) -> tuple[np.ndarray, int]:
    """Decode a file, a cell of an Arrow file, or a stretch of a file, and alter it if this is requested.

    Args:
      audio: a recording's `audio`.

    Returns:
      float32 mono samples, and their sample rate in Hz.

    Raises:
      AudioError: if the audio cannot be decoded.
    """
    if isinstance(audio, AlteredAudio):
        wave, rate = decode_audio(audio.audio)
        return audio(wave, rate), rate
    return decode_stretch(audio) if isinstance(audio, Stretch) else decode(audio, content=cell_content(audio))


def decode_clip(audio: Audio, sample_rates: Sequence[int]) -> Decoded:
    """Decode a file, or a stretch of a file, once, and resample it to every requested rate."""
    try:
        wave, rate = decode_audio(audio)
        waves = {wanted: resample(wave, rate, wanted) for wanted in sample_rates}
    except AudioError as error:
        return Decoded({}, 0.0, error.reason)
    except Unusable as error:
        return Decoded({}, 0.0, str(error))
    return Decoded(waves, len(wave) / rate)


class Decoder:
    """Decodes blocks of files in order, a few blocks ahead of the consumer.

    Args:
      sample_rates: all rates that encoders need, in Hz.
      workers: number of processes; with 0 this process decodes, without decoding ahead.
      blocks_ahead: number of blocks that may be decoded or in work in addition to the current one; limits the memory.

    Raises:
      UserError: if another package's worker process, which imports the user's script, would start processes of its own.
    """

    def __init__(self, sample_rates: Sequence[int], workers: int, blocks_ahead: int = 2):
        self._rates = tuple(sorted(set(sample_rates)))
        self._ahead = max(1, blocks_ahead)
        self._pool = None
        if workers > 0:
            if getattr(multiprocessing.current_process(), "_inheriting", False):
                raise UserError(
                    "a process that imports the main script cannot start decoding processes; put the call under "
                    "`if __name__ == '__main__':` in the script, or pass workers=0"
                )
            self._pool = concurrent.futures.ProcessPoolExecutor(workers, _WorkerContext(), initializer=_start_worker)

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def stream(self, blocks: Iterable[Sequence[Audio]]) -> Iterator[list[Decoded]]:
        """Yield the decoded clips of each block, in the order of the blocks and of the clips within.

        Raises:
          UserError: if a worker process dies.
        """
        if self._pool is None:
            for clips in blocks:
                yield [decode_clip(audio, self._rates) for audio in clips]
            return
        pool = self._pool
        waiting: collections.deque[list[concurrent.futures.Future]] = collections.deque()
        for clips in blocks:
            waiting.append(self._submit(pool, clips))
            if len(waiting) > self._ahead:
                yield self._collect(waiting.popleft())
        while waiting:
            yield self._collect(waiting.popleft())

    def _submit(
        self, pool: concurrent.futures.ProcessPoolExecutor, clips: Sequence[Audio]
    ) -> list[concurrent.futures.Future]:
        tasks = [clips[start : start + _CLIPS_PER_TASK] for start in range(0, len(clips), _CLIPS_PER_TASK)]
        return [pool.submit(_decode_clips, task, self._rates) for task in tasks]

    def _collect(self, futures: list[concurrent.futures.Future]) -> list[Decoded]:
        try:
            return [clip for future in futures for clip in future.result()]
        except concurrent.futures.process.BrokenProcessPool as error:
            raise UserError(
                "a decoding process died, probably because the memory is too small. Finished parts are kept: "
                "run again with fewer --workers or smaller --block-clips"
            ) from error


class _WorkerProcess(multiprocessing.context.SpawnProcess):
    """A process that does not import the user's script.

    Decoding does not need the script. Otherwise a script without `if __name__ == "__main__":` would run again in
    each process, and would fail there, since such a process must not start others.
    """

    @staticmethod
    def _Popen(process_obj):
        with _STARTING:
            main = sys.modules["__main__"]
            # multiprocessing reads from this module which script the new process has to import; a module without a file
            # means none.
            sys.modules["__main__"] = types.ModuleType("__main__")
            try:
                return multiprocessing.context.SpawnProcess._Popen(process_obj)
            finally:
                sys.modules["__main__"] = main


class _WorkerContext(multiprocessing.context.SpawnContext):
    """Starts processes by spawn, since a forked child of a process with GPU or XLA threads may hang."""

    Process = _WorkerProcess


def _decode_clips(clips: Sequence[Audio], sample_rates: Sequence[int]) -> list[Decoded]:
    return [decode_clip(audio, sample_rates) for audio in clips]


def _start_worker() -> None:
    # The parent process handles Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """Let this process, a pool's worker, end when its parent is killed.

    A pool's workers hold both ends of their queue open, so otherwise they would wait forever.
    """
    threading.Thread(target=_wait_for_parents_end, daemon=True).start()


def _wait_for_parents_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # this runs in a pool's worker
    parent.join()
    os._exit(1)
