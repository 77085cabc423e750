"""Keeps frame features on disk, so that each kind is computed once."""

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
    """Frames of a fixed set of utterances: `<key>.npy` has all frames, `<key>.json` the number of frames of each utterance.

    A key is a digest of everything that the frames depend on: settings and weights of the filter bank or the encoder, and
    name and contents of the audio files. (Sizes of files would not do: clips that are cut to one length have one size.)

    Args:
      folder: folder of the files; it is made if it does not exist.
      utterances: for each utterance its name, and its file or stretch of a file.
      contents: by name of an utterance, the SHA-256 of its audio, if that is known already.
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
        """SHA-256 of the names and the audio of all utterances."""
        return sha256_of_json([[name, self._contents[name]] for name, _ in self.utterances])

    def without(self, names: set[str]) -> "FrameCache":
        """A cache of the other utterances, in the same folder."""
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
        """The frames of a filter bank. Every utterance must be usable: leave out first what `unusable` returns."""
        key = self._fbank_key(settings)
        if not self._has(key):
            reasons = self._listen(settings)
            assert not reasons, "leave out what `unusable` names first"
        return self._read(key)

    def frames(self, source: Source, seed: int) -> Frames:
        """The frames of a source, with the encoder's weights of this seed if these are random."""
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
        # The counts are written last, so that a file of counts means that the file of frames is complete.
        with atomic_write(self.folder / f"{key}.json", "w") as file:
            json.dump(frames.n_frames.tolist(), file)

    def _read(self, key: str) -> Frames:
        counts = np.array(json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8")), np.int64)
        return Frames.counted(np.load(self.folder / f"{key}.npy", mmap_mode="r", allow_pickle=False), counts)


def _contents_of(audio: Path | Stretch, digest_of: Callable[[Path], str]) -> str:
    if isinstance(audio, Stretch):
        return f"{digest_of(audio.path)} {audio.start_s:.10g}-{audio.end_s:.10g}"
    return digest_of(audio)
