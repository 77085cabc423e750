"""Altered copies of a dataset: with added noise, with the reverberation of a room, or limited to a band of
frequencies.

    --alter clean noise:20 noise:10 noise:0 reverb:50 band:4000

Each alteration makes a separate dataset, `<dataset>@noise_10`, with the clip ids of the original. The alterations are
the augmentations of Speech SimCLR (`jfewshot.simclr.augmentation`) at a given strength instead of a random one, or
recorded noise (`noises.py`). Their random numbers depend only on the clip's id: a clip has the same noise at every
ratio, for every encoder, on every machine.
"""

import dataclasses
import functools
import hashlib
import math
from pathlib import Path
from typing import Literal

import numpy as np

from extraction.datasets.base import Dataset, DatasetInfo, Recording
from extraction.noises import NoiseFiles, read_noises
from jfewshot.audio import Stretch, resample
from jfewshot.errors import UserError

Kind = Literal["noise", "reverb", "band"]
# The meaning of the number, its unit, and the allowed values.
_MEANING: dict[str, tuple[str, str, float, float]] = {
    "noise": ("noise at a signal-to-noise ratio of", "dB", -60, 120),
    "reverb": ("a room of scale", "%", 0, 100),
    "band": ("a band up to", "Hz", 50, 96_000),
}
# Length of each noise in samples; 16 s at 16 kHz. One bank is used for all sample rates, so a colour refers to samples,
# not to hertz.
_NOISE_SAMPLES = 2**18
_NOISE_SEED = 0


@dataclasses.dataclass(frozen=True)
class Alteration:
    """The alteration of each clip.

    Attributes:
      kind: `noise` (white, pink or brown, or recorded), `reverb` (SoX's, as Speech SimCLR is trained with) or `band`.
      value: the signal-to-noise ratio in dB, the room's scale from 0 to 100, or the highest frequency that is kept, in Hz.
    """

    kind: Kind
    value: float

    @classmethod
    def parse(cls, text: str) -> "Alteration | None":
        """Parse an alteration such as `noise:10`; None for `clean`.

        Args:
          text: kind and value.

        Raises:
          UserError: if the kind is unknown or the value is not allowed.
        """
        if text == "clean":
            return None
        kind, _, number = text.partition(":")
        if kind not in _MEANING:
            raise UserError(
                f"--alter is '{text}'; give clean, noise:DB, reverb:PERCENT or band:HZ, for instance noise:10"
            )
        what, unit, least, most = _MEANING[kind]
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise UserError(
                f"--alter is '{text}'; {kind} is {what} {least:g} to {most:g} {unit}, for instance {kind}:{most / 2:g}"
            )
        return cls(kind, value)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """The alteration as on the command line."""
        return f"{self.kind}:{self.value:g}"

    @property
    def words(self) -> str:
        """The alteration in words, for titles: `noise, 10 dB`."""
        return f"{self.kind}, {self.value:g} {_MEANING[self.kind][1]}"

    def __call__(self, wave: np.ndarray, rate: int, clip_id: str, noises: NoiseFiles | None = None) -> np.ndarray:
        """Alter a clip.

        Args:
          wave: float32 mono samples.
          rate: sample rate in Hz.
          clip_id: seed of the random numbers.
          noises: recordings of noise; None for white, pink and brown noise.

        Returns:
          the altered samples, as many as before.
        """
        if self.kind == "noise":
            noise = _coloured(clip_id, len(wave)) if noises is None else noises.piece(clip_id, len(wave), rate)
            return _with_noise(wave, noise, self.value)
        if self.kind == "reverb":
            return _in_a_room(wave, rate, self.value)
        return _in_a_band(wave, rate, self.value)


@dataclasses.dataclass(frozen=True)
class AlteredAudio:
    """A clip's audio, to be altered after it is decoded."""

    audio: Path | Stretch
    clip_id: str
    alteration: Alteration
    noises_in: Path | None = None  # the folder of parts with a list of noises

    def __call__(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """Alter the decoded samples.

        Args:
          wave: float32 mono samples.
          rate: sample rate in Hz.
        """
        noises = None if self.noises_in is None else read_noises(self.noises_in)
        return self.alteration(wave, rate, self.clip_id, noises)


@dataclasses.dataclass(frozen=True)
class AlteredDataset:
    """A dataset whose clips are altered.

    Attributes:
      original: the dataset.
      alteration: the alteration of the clips.
      noises: recordings of noise if noise is added; None for white, pink and brown noise.
    """

    original: Dataset
    alteration: Alteration
    noises: NoiseFiles | None = None

    @property
    def info(self) -> DatasetInfo:
        """The facts of the original dataset with the new name."""
        info, alteration = self.original.info, self.alteration
        altered: dict[str, str | float] = {
            "of": info.name,
            "kind": str(alteration.kind),
            "value": alteration.value,
        }
        name, words = alteration.text.replace(":", "_"), alteration.words
        if self.noises is not None:
            altered["noise"], altered["noise_sha256"] = self.noises.name, str(self.noises.identity["sha256"])
            name, words = name.replace("_", f"_{self.noises.name}_", 1), f"{words}, {self.noises.name}"
        return dataclasses.replace(info, name=f"{info.name}@{name}", title=f"{info.title} ({words})", altered=altered)

    def recordings(self, root: Path) -> list[Recording]:
        """List the recordings of the original dataset."""
        return self.original.recordings(root)


def noises_of(dataset: Dataset) -> NoiseFiles | None:
    """The recordings of noise that are added to a dataset; None if there are none."""
    return dataset.noises if isinstance(dataset, AlteredDataset) else None


def audio_of(
    recording: Recording, alteration: str | None, noises_in: Path | None = None
) -> "Path | Stretch | AlteredAudio":
    """The audio that is decoded for a recording.

    Args:
      recording: recording of the plan.
      alteration: the plan's alteration as text; None for none.
      noises_in: the folder of parts if the plan has recorded noise; None for no recorded noise.

    Returns:
      the file or the stretch of a file, with the alteration if there is one.
    """
    found = None if alteration is None else Alteration.parse(alteration)
    return recording.audio if found is None else AlteredAudio(recording.audio, recording.clip_id, found, noises_in)


def _coloured(clip_id: str, n_samples: int) -> np.ndarray:
    bank = _noises()
    digest = hashlib.sha256(clip_id.encode()).digest()
    row, start = (int.from_bytes(digest[i : i + 8], "big") for i in (0, 8))
    place = (start % bank.shape[1] + np.arange(n_samples)) % bank.shape[1]
    return bank[row % len(bank), place]


def _with_noise(wave: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    noise = noise.astype(np.float64)
    power, of_noise = np.mean(np.square(wave, dtype=np.float64)), np.mean(np.square(noise))
    gain = math.sqrt(power / max(of_noise, 1e-20) * 10 ** (-snr_db / 10))
    return (wave + gain * noise).astype(np.float32)


@functools.cache
def _noises() -> np.ndarray:
    # Imported here, since this module imports JAX, which decoding without alterations does not need.
    from jfewshot.simclr.augmentation import coloured_noise

    return coloured_noise(_NOISE_SAMPLES, _NOISE_SEED)


def _in_a_room(wave: np.ndarray, rate: int, room: float) -> np.ndarray:
    response = _response(rate, room)
    n_fft = 1 << (len(wave) + len(response) - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(wave, n_fft) * np.fft.rfft(response, n_fft), n_fft)
    return wet[: len(wave)].astype(np.float32)


@functools.lru_cache(8)
def _response(rate: int, room: float) -> np.ndarray:
    from jfewshot.simclr.augmentation import impulse_response

    return impulse_response(room, rate)


def _in_a_band(wave: np.ndarray, rate: int, highest_hz: float) -> np.ndarray:
    low = round(2 * highest_hz)
    if low >= rate:
        return wave
    back = resample(resample(wave, rate, low), low, rate)
    return np.pad(back, (0, max(0, len(wave) - len(back))))[: len(wave)].astype(np.float32)
