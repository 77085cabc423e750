"""Compute the scores of recordings. Parts of the scores are kept on disk: an interrupted run continues, and labels with other
options need no encoder."""

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from extraction.decoding import Decoded, Decoder
from extraction.encoding import BatchEncoder
from extraction.heads.recordings import Piece, Source, Windows, blocks_of, pieces_of, waves_of
from extraction.upstreams.base import Upstream
from jfewshot.audio import SILENT
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.files import atomic_write, canonical_json
from jfewshot.files.arrays import npz_bytes, read_npz
from jfewshot.heads.head import Head

log = logging.getLogger("jfewshot.apply")

SCORES = ".scores"

# Resampling a constant wave causes rounding errors up to this share of its value; the smallest step of 24 bits is larger.
_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """Scores of all windows of one recording.

    Attributes:
      source: the recording.
      scores: windows x classes; NaN for a window that is silent or could not be scored.
      silent: for each window, whether all its samples are the same.
      reason: why a window could not be scored; empty if all windows were scored.
    """

    source: Source
    scores: Float32[np.ndarray, "windows classes"]
    silent: Bool[np.ndarray, " windows"]
    reason: str = ""


class Scorer:
    """Scores recordings with a head.

    Args:
      head: the head.
      load: function that loads the head's encoder; called only if some windows are not scored yet.
      sources: the recordings.
      windows: length and hop of the windows.
      folder: folder for the parts of the scores.
      plan: everything that determines the scores, as JSON values.
    """

    def __init__(
        self,
        head: Head,
        load: Callable[[], Upstream],
        sources: Sequence[Source],
        windows: Windows,
        folder: Path,
        plan: dict[str, Any],
    ):
        self._head, self._load, self._sources, self._windows = head, load, sources, windows
        self._folder, self._plan = folder, plan
        self._rate = int(head.facts["audio"]["sample_rate"])
        self._blocks = blocks_of(pieces_of(sources, windows), sources, windows)

    def run(self, workers: int, on_error: str, replace: bool) -> list[Scored]:
        """Score the windows that are not scored yet.

        Args:
          workers: processes that decode ahead.
          on_error: `stop` or `skip`.
          replace: whether scores of another plan may be removed.

        Returns:
          the scores of each recording.

        Raises:
          UserError: if a window cannot be scored (with `stop`), or if scores of another plan exist and may not be replaced.
        """
        todo = [number for number in range(len(self._blocks)) if not self._part(number).exists()]
        if not self._is_planned(replace):
            todo = list(range(len(self._blocks)))
        counts = [sum(piece.count for piece in block) for block in self._blocks]
        done = sum(counts) - sum(counts[number] for number in todo)
        if done:
            log.info("%d of %d windows were scored before", done, sum(counts))
        if todo:
            # The encoder is loaded before anything is written: it may turn out to be another one than the head's.
            encoder = self._load()
            self._begin()
            self._make(encoder, todo, counts, workers, on_error)
        return self._collect()

    def _make(self, upstream: Upstream, todo: list[int], counts: list[int], workers: int, on_error: str) -> None:
        layer, _, pooling = self._head.facts["view"].rpartition(".")
        encoder = BatchEncoder(upstream, [layer], [pooling], self._head.facts["audio"]["segment_samples"])
        done = sum(counts) - sum(counts[number] for number in todo)
        started, audio_s, busy = time.monotonic(), 0.0, 0.0
        with Progress("labelling", sum(counts), "windows", done) as progress, Decoder([self._rate], workers) as decoder:
            stream = decoder.stream([piece.audio for piece in self._blocks[number]] for number in todo)
            for number, decoded in zip(todo, stream, strict=True):
                begun = time.monotonic()
                scores, silent, reasons = self._score(encoder, self._blocks[number], decoded, on_error)
                part = {"scores": scores, "silent": silent, "reasons": np.array(json.dumps(reasons))}
                with atomic_write(self._part(number)) as file:
                    file.write(npz_bytes(part))
                busy += time.monotonic() - begun
                audio_s += sum(clip.duration_s for clip in decoded)
                wall = max(time.monotonic() - started, 1e-9)
                progress.advance(counts[number], f"{audio_s / wall:.0f} s of audio per second")
        log.info(
            "%s, %.0f s of audio in %.1f s: %.1f s of audio per second, encoder busy %.0f%% of the time",
            "1 recording" if len(self._sources) == 1 else f"{len(self._sources):,} recordings",
            audio_s,
            wall,
            audio_s / wall,
            100 * busy / wall,
        )

    def _is_planned(self, replace: bool) -> bool:
        """Whether the existing scores are of this plan. Scores of another plan are removed if `replace` allows it.

        Raises:
          UserError: if the plan's file is damaged, or if scores of another plan may not be replaced.
        """
        path = self._folder / "plan.json"
        wanted = json.loads(canonical_json(self._plan))
        try:
            there = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return False
        except ValueError as error:
            raise UserError(
                f"{path} is damaged ({error}); remove {self._folder} and run the same command again"
            ) from error
        if there == wanted:
            return True
        if not replace:
            names = {*there, *wanted} if isinstance(there, dict) else set(wanted)
            changed = sorted(key for key in names if not isinstance(there, dict) or there.get(key) != wanted.get(key))
            raise UserError(
                f"{self._folder.parent} holds scores of another {', '.join(changed)}. Give the same as before to continue, name "
                "another --out, or replace the scores with --replace"
            )
        shutil.rmtree(self._folder)
        return False

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._folder / "plan.json", "w") as file:
            json.dump(json.loads(canonical_json(self._plan)), file, ensure_ascii=False)

    def _part(self, number: int) -> Path:
        return self._folder / f"block-{number:05d}.npz"

    def _score(
        self, encoder: BatchEncoder, block: Sequence[Piece], decoded: Sequence[Decoded], on_error: str
    ) -> tuple[Float32[np.ndarray, "windows classes"], Bool[np.ndarray, " windows"], dict[str, str]]:
        """Scores of a block's windows one after another, whether each window is silent, and reasons by window number."""
        waves: list[np.ndarray | None] = []
        silent: list[bool] = []
        reasons: dict[int, str] = {}
        for piece, clip in zip(block, decoded, strict=True):
            source = self._sources[piece.recording]
            wave = clip.waves.get(self._rate)
            cut: list[np.ndarray | None] = [None] * piece.count
            if wave is not None:
                cut[:] = waves_of(piece, wave, self._rate, self._windows, source.duration_s)
            for one in cut:
                # The decoder refuses a file, or a piece of a file, that is silent throughout.
                silent.append(clip.reason == SILENT if one is None else len(one) > 0 and is_silent(one))
                is_usable = one is not None and len(one) > 0 and not silent[-1]
                if not is_usable and not silent[-1]:
                    reasons[len(waves)] = clip.reason or "shorter than its header says"
                waves.append(one if is_usable else None)
        encoded = encoder.encode_block(waves)
        reasons = {**encoded.reasons, **reasons}
        if reasons and on_error == "stop":
            first = min(reasons)
            raise UserError(
                f"{self._path_of(block, first)}: {reasons[first]}. Mend or remove it, or pass --on-error skip to leave such "
                "files out"
            )
        scores = np.full((len(waves), len(self._head.classes)), np.nan, np.float32)
        used = np.flatnonzero(encoded.n_segments)
        if len(used):
            counts = encoded.n_segments[used]
            (rows,) = encoded.views.values()
            segments = self._head.transform(rows).astype(np.float64)
            means = np.add.reduceat(segments, np.cumsum(counts) - counts) / counts[:, None]
            scores[used] = self._head.scores_of_transformed(means.astype(np.float32))
        return scores, np.array(silent, bool), {str(window): reason for window, reason in reasons.items()}

    def _path_of(self, block: Sequence[Piece], window: int) -> Path:
        for piece in block:
            if window < piece.count:
                return self._sources[piece.recording].path
            window -= piece.count
        raise IndexError(window)

    def _collect(self) -> list[Scored]:
        scores: list[list[np.ndarray]] = [[] for _ in self._sources]
        silent: list[list[np.ndarray]] = [[] for _ in self._sources]
        reasons = [""] * len(self._sources)
        for number, block in enumerate(self._blocks):
            path = self._part(number)
            try:
                arrays = read_npz(path)
                found, still, said = arrays["scores"], arrays["silent"], json.loads(str(arrays["reasons"]))
                total = sum(piece.count for piece in block)
                if found.shape != (total, len(self._head.classes)) or still.shape != (total,) or still.dtype != bool:
                    raise UserError(f"scores of shape {found.shape}")
            except (UserError, KeyError, ValueError) as error:
                raise UserError(f"{path} is damaged ({error}); remove it and run the same command again") from error
            at = 0
            for piece in block:
                scores[piece.recording].append(found[at : at + piece.count])
                silent[piece.recording].append(still[at : at + piece.count])
                for window in range(at, at + piece.count):
                    reasons[piece.recording] = reasons[piece.recording] or said.get(str(window), "")
                at += piece.count
        return [
            Scored(source, np.concatenate(own), np.concatenate(still), reason)
            for source, own, still, reason in zip(self._sources, scores, silent, reasons, strict=True)
        ]


def is_silent(wave: Float32[np.ndarray, " samples"]) -> bool:
    """Whether all samples of a wave are the same, except for the rounding errors of a resampler.

    Args:
      wave: samples, at least one.
    """
    return bool(np.ptp(wave) <= _ROUNDING * np.abs(wave).max())
