"""Computes mean and standard deviation of the features before the first step."""

import logging
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from jfewshot.audio import AudioError, read_audio
from jfewshot.commandline.progress import tracked
from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.data import Utterance
from jfewshot.simclr.features import Moments, SpeakerMoments, fbank

log = logging.getLogger(__name__)


def feature_statistics(
    utterances: Sequence[Utterance], config: TrainConfig, keep_in: Path
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Compute the mean and standard deviation of the features, or read them from a file.

    A continued run reads the file, so it has the statistics with which it began.

    Args:
      utterances: training utterances.
      config: gives the filter bank and whether statistics are global or per speaker.
      keep_in: file that keeps the statistics.

    Returns:
      means and standard deviations, (speakers, mels), and the row of each speaker. Row 0 is computed over all speakers:
      it is the only row with global normalisation, and the exported encoder always gets it.

    Raises:
      UserError: if no utterance can be decoded.
    """
    if not keep_in.exists():
        per_speaker = config.data.normalisation == "speaker"
        chosen = list(utterances)
        if not per_speaker and len(chosen) > config.data.statistics_utterances:
            order = np.random.default_rng([config.seed, 4]).permutation(len(chosen))
            chosen = [chosen[place] for place in sorted(order[: config.data.statistics_utterances])]
        log.info("normalisation: statistics of %d utterances", len(chosen))
        speakers, used = SpeakerMoments(), 0
        for utterance in tracked(chosen, "computing mean and deviation of features", "utterances"):
            try:
                features = _features(utterance, config)
            except AudioError as error:
                log.warning("left out of the statistics: %s", error)
                continue
            speakers.update(utterance.speaker if per_speaker else "", features)
            used += 1
        if not used:
            raise UserError(
                "no utterance can be decoded to compute the mean of the features; the log names the utterances"
            )
        names = sorted(speakers.by_speaker) if per_speaker else []
        moments = [speakers.all, *(speakers.by_speaker[name] for name in names)]
        _write(keep_in, moments, names)
    with np.load(keep_in) as archive:
        names = [str(name) for name in archive["speakers"]]
        return archive["mean"], archive["std"], {name: row for row, name in enumerate(names, start=1)}


def _features(utterance: Utterance, config: TrainConfig) -> np.ndarray:
    wave = read_audio(utterance.path, config.fbank.sample_rate)
    # Waves are padded to whole seconds, because each size needs a compilation.
    rate = config.fbank.sample_rate
    padded = np.zeros(-(-len(wave) // rate) * rate, np.float32)
    padded[: len(wave)] = wave
    features, count = jax.device_get(fbank(padded, np.int32(len(wave)), config.fbank))
    return features[: int(count)]


def _write(path: Path, moments: Sequence[Moments], names: Sequence[str]) -> None:
    mean = np.stack([each.mean for each in moments]).astype(np.float32)
    std = np.stack([each.std for each in moments]).astype(np.float32)
    with atomic_write(path) as file:
        np.savez(file, mean=mean, std=std, speakers=np.array(names, dtype=str))
