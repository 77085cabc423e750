"""Reads recorded or simulated room responses, which replace SoX's reverberation."""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jfewshot.audio import resample, sound_below
from jfewshot.errors import UserError

log = logging.getLogger(__name__)

# Name of the lists in OpenSLR 28 (Ko et al., 2017). A line is "--rir-id X --room-id Y [...] PATH", with a path relative to the
# folder above RIRS_NOISES.
_LIST = "rir_list"
# The direct sound begins slightly before its peak.
_BEFORE_PEAK_S = 0.001
_NAMED = 5


def room_responses(
    folder: Path, sample_rate: int, seed: int, rooms: int, tail_s: float
) -> Float32[np.ndarray, "rooms samples"]:
    """Read the responses of some rooms of a folder, for `reverb`.

    Each response begins with the direct sound and has an energy of 1. So speech is not shifted in time and keeps its loudness on
    average. Of recordings with several channels the first is used, since the mean of channels is not the response of any
    microphone.

    Args:
      folder: OpenSLR 28 as it is published (RIRS_NOISES, or one of its folders), where lists name the responses among recordings
        of noise; or any folder of responses.
      sample_rate: Hz.
      seed: decides which responses are taken if there are more than `rooms`.
      rooms: highest number of responses.
      tail_s: length of each response in seconds; longer reverberation is cut off.

    Returns:
      the responses, zero past their end.

    Raises:
      UserError: if the folder has no readable response.
    """
    found = _listed(folder) or sound_below(folder)
    drawn = np.random.default_rng([seed, 11]).permutation(len(found))
    samples = int(tail_s * sample_rate)
    taken: list[np.ndarray] = []
    unusable: list[str] = []
    for place in drawn:
        if len(taken) == rooms:
            break
        try:
            taken.append(_response(found[place], sample_rate, samples))
        except (OSError, RuntimeError, ValueError) as error:  # from soundfile, or from a response without sound
            unusable.append(f"{found[place]}: {error}")
    for reason in unusable[:_NAMED]:
        log.warning("room left out: %s", reason)
    if not taken:
        raise UserError(
            f"no room responses in {folder}: it needs audio files that can be read, such as OpenSLR 28's RIRS_NOISES"
        )
    log.info("rooms: %d of the %d responses in %s", len(taken), len(found), folder)
    return np.stack(taken)


def _listed(folder: Path) -> list[Path]:
    """The responses that the lists below a folder name; empty if there are no lists."""
    found = []
    for path in sorted(folder.rglob(_LIST)):
        for line in path.read_text(encoding="utf-8").splitlines():
            parts = line.split()
            # A path is RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav; the user may have renamed RIRS_NOISES.
            inside = Path(*Path(parts[-1]).parts[1:]) if parts else Path()
            above = next((parent for parent in path.parents if (parent / inside).is_file()), None)
            if parts and above is not None:
                found.append(above / inside)
    return sorted(set(found))


def _response(path: Path, sample_rate: int, samples: int) -> Float32[np.ndarray, " samples"]:
    import soundfile  # an optional dependency

    channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wave = resample(np.ascontiguousarray(channels[:, 0]), rate, sample_rate)
    if not np.any(wave) or not np.all(np.isfinite(wave)):
        raise ValueError("no sound in its first channel")
    start = max(int(np.argmax(np.abs(wave))) - round(_BEFORE_PEAK_S * sample_rate), 0)
    kept = wave[start : start + samples]
    kept = kept / np.sqrt(np.sum(kept.astype(np.float64) ** 2))
    return np.pad(kept, (0, samples - len(kept))).astype(np.float32)
