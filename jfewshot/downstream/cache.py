"""Frame features computed once, on disk."""

import functools
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.audio import Stretch
from jfewshot.downstream.frames import Frames
from jfewshot.downstream.sources import Source, encoded_frames, fbank_frames, store_frames
from jfewshot.files import atomic_write, sha256_of_file, sha256_of_json, writable_folder
from jfewshot.simclr.features import FbankSettings

log = logging.getLogger(__name__)


class FrameCache:
    """Frames of a fixed set of utterances, kept as `<key>.npy` (all frames) and `<key>.json` (how many are whose).

    A key names what the frames depend on: the filterbank's or encoder's settings and weights, and the audio files by
    name and contents (clips cut to one length are all of one size).

    Args:
      folder: made if it is not there.
      utterances: name of each, and its file or the stretch of a file that it is.
      contents: SHA-256 of files by utterance, where it is known already.
    """

    def __init__(
        self,
        folder: Path,
        utterances: Sequence[tuple[str, Path | Stretch]],
        contents: Mapping[str, str] | None = None,
    ):
        self.folder = writable_folder(folder, "features")
        self.utterances = list(utterances)
        known = contents or {}
        digest_of = functools.cache(sha256_of_file)  # a recording may have many stretches
        self._contents = {
            name: known[name] if name in known else _contents_of(audio, digest_of) for name, audio in self.utterances
        }

    @property
    def digest(self) -> str:
        """Names the audio."""
        return sha256_of_json([[name, self._contents[name]] for name, _ in self.utterances])

    def without(self, names: set[str]) -> "FrameCache":
        """The cache of the utterances that are left."""
        left = [each for each in self.utterances if each[0] not in names]
        return FrameCache(self.folder, left, self._contents)

    def unusable(self, settings: Iterable[FbankSettings]) -> dict[str, str]:
        """Compute and keep the frames of all utterances; return the utterances that some filter bank cannot process,
        with reasons."""
        found: dict[str, str] = {}
        for each in settings:
            found |= self._listen(each)
        return found

    def fbank(self, settings: FbankSettings) -> Frames:
        """The frames of a filter bank; every utterance must be usable."""
        key = self._fbank_key(settings)
        if not self._has(key):
            reasons = self._listen(settings)
            assert not reasons, "leave out what `unusable` names first"
        return self._read(key)

    def frames(self, source: Source, seed: int) -> Frames:
        """A source's frames."""
        if source.kind == "store":
            return store_frames(source, [name for name, _ in self.utterances])
        heard = self.fbank(source.fbank)
        if source.encoder is None:
            return heard
        key = self._key(source.identity(seed))
        if not self._has(key):
            log.info("%s: computing the frames of %d utterances", source.name, len(heard))
            self._write(key, encoded_frames(source.loaded(seed), heard, source.layer))
        return self._read(key)

    def _listen(self, settings: FbankSettings) -> dict[str, str]:
        key = self._fbank_key(settings)
        if self._has(key):
            return {}
        log.info("FBANK: computing the frames of %d utterances", len(self.utterances))
        parts, reasons = fbank_frames([path for _, path in self.utterances], settings)
        kept = [number for number in range(len(parts)) if number not in reasons]
        if kept:
            rest = self if not reasons else self.without({self.utterances[number][0] for number in reasons})
            self._write(rest._fbank_key(settings), Frames.joined([parts[number] for number in kept]))
        return {self.utterances[number][0]: reason for number, reason in reasons.items()}

    def _fbank_key(self, settings: FbankSettings) -> str:
        return self._key(Source("fbank", "FBANK").identity(0) | {"fbank": vars(settings)})

    def _key(self, identity: dict[str, Any]) -> str:
        return sha256_of_json({**identity, "audio": self.digest})[:20]

    def _has(self, key: str) -> bool:
        return (self.folder / f"{key}.json").exists()

    def _write(self, key: str, frames: Frames) -> None:
        with atomic_write(self.folder / f"{key}.npy") as file:
            np.save(file, frames.values, allow_pickle=False)
        # The counts come last: where they are, the frames are whole.
        with atomic_write(self.folder / f"{key}.json", "w") as file:
            json.dump(frames.n_frames.tolist(), file)

    def _read(self, key: str) -> Frames:
        counts = np.array(json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8")), np.int64)
        return Frames.counted(np.load(self.folder / f"{key}.npy", mmap_mode="r", allow_pickle=False), counts)


def _contents_of(audio: Path | Stretch, digest_of: Callable[[Path], str]) -> str:
    if isinstance(audio, Stretch):
        return f"{digest_of(audio.path)} {audio.start_s:.10g}-{audio.end_s:.10g}"
    return digest_of(audio)
