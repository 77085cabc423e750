"""Recorded noise for altered copies: the files, and the choice of a piece for each clip.

    --alter clean noise:20 noise:10 noise:0 --noise-from NOISES

The piece depends only on the clip's id and on the names and lengths of the files: a clip has the same noise at every
ratio, for every encoder, on every machine.
"""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import numpy as np

from jfewshot.audio import SILENT, AudioError, Stretch, audio_below, decode_stretch, duration_s, resample
from jfewshot.errors import UserError
from jfewshot.files import atomic_write, sha256_of_file, sha256_of_json

_LIST = "noises.json"  # in the folder of parts
_DRAWS = 100  # largest number of draws until a piece is not silent
_FRACTION = 2.0**-64
_LEAST_S = 0.1  # shortest piece that is decoded; shorter ones may be refused as too short


@dataclasses.dataclass(frozen=True)
class NoiseFiles:
    """Recordings of noise.

    Attributes:
      name: name of the recordings in titles and stores.
      root: the folder to which the files' names are relative.
      files: name, length in seconds and SHA-256 of each, sorted by name.
    """

    name: str
    root: Path
    files: tuple[tuple[str, float, str], ...]

    @classmethod
    def find(cls, path: Path) -> "NoiseFiles":
        """Find the files and read them through.

        Args:
          path: a folder, searched at any depth; or a text file with one path per line, relative to the text file's folder.

        Raises:
          UserError: if the folder or file does not exist, if it names no audio, or if a file cannot be read.
        """
        if path.is_dir():
            root, found = path, sorted(audio_below(path))
        elif path.is_file():
            root = path.parent
            found = [root / line for line in _lines(path)]
        else:
            raise UserError(
                f"--noise-from {path} does not exist; name a folder of recordings, or a text file of their paths"
            )
        if not found:
            raise UserError(
                f"--noise-from {path} holds no audio; name a folder of recordings, or a text file of their paths"
            )
        files = []
        for file in dict.fromkeys(found):
            try:
                seconds = duration_s(file)
                digest = sha256_of_file(file)
            except (AudioError, OSError) as error:
                raise UserError(f"--noise-from: {error}. Remove the file, or leave it out of the list") from error
            name = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()
            files.append((name, seconds, digest))
        return cls(
            _plain(path.resolve().stem if path.is_file() else path.resolve().name),
            root.absolute(),
            tuple(sorted(files)),
        )

    @property
    def identity(self) -> dict[str, str | int]:
        """The settings on which the altered clips depend, for a plan and a manifest."""
        return {
            "name": self.name,
            "files": len(self.files),
            "sha256": sha256_of_json([list(file) for file in self.files]),
        }

    def piece(self, clip_id: str, n_samples: int, rate: int) -> np.ndarray:
        """The noise of a clip.

        Args:
          clip_id: determines the file and the start of the piece. A file that is shorter than the clip is repeated.
          n_samples: number of samples that are needed.
          rate: their sample rate in Hz.

        Returns:
          float32 samples that are not all zero.

        Raises:
          UserError: if a file cannot be read any more, or if all drawn pieces are silent.
        """
        wanted_s = max(n_samples / rate, _LEAST_S)
        for draw in range(_DRAWS):
            digest = hashlib.sha256(f"{clip_id}\n{draw}".encode("utf-8", "surrogatepass")).digest()
            which, where = (int.from_bytes(digest[at : at + 8], "big") for at in (0, 8))
            name, length_s, _ = self.files[which % len(self.files)]
            start_s = max(0.0, length_s - wanted_s) * (where * _FRACTION)
            stretch = Stretch(self.root / name, start_s, min(length_s, start_s + wanted_s))
            try:
                wave, own_rate = decode_stretch(stretch)
                wave = resample(wave, own_rate, rate)
            except AudioError as error:
                if error.reason == SILENT:
                    continue
                raise UserError(f"--noise-from: {error}") from error
            wave = np.resize(wave, n_samples)
            if np.square(wave, dtype=np.float64).sum() > 0:
                return wave
        raise UserError(
            f"--noise-from {self.root}: {_DRAWS} pieces for clip '{clip_id}' are silent; remove silent files"
        )

    def write(self, folder: Path) -> None:
        """Write the list of files for the processes that decode.

        Args:
          folder: folder of the parts of a store.
        """
        with atomic_write(folder / _LIST, "w") as file:
            json.dump([self.name, str(self.root), self.files], file)


@functools.lru_cache(4)
def read_noises(folder: Path) -> NoiseFiles:
    """Read the list that `NoiseFiles.write` wrote; each process reads a list once.

    Args:
      folder: folder of the parts of a store.
    """
    name, root, files = json.loads((folder / _LIST).read_text("utf-8"))
    return NoiseFiles(name, Path(root), tuple((file, float(seconds), digest) for file, seconds, digest in files))


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise UserError(
            f"--noise-from {path} is no text in UTF-8; give a folder, or a text file with a path per line"
        ) from error
    return [line for line in lines if line]


def _plain(name: str) -> str:
    """A variant of a name that can be part of a folder's name."""
    kept = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name).strip("_.")
    return kept or "noise"
