"""From the settings to the sources of features for every seed, and to a plan of the model for each kind of features."""

import dataclasses
from typing import Any

import numpy as np

from jfewshot.downstream.asr.config import AsrConfig
from jfewshot.downstream.asr.training import Plan
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.settings import first_encoder, refuse_equal_names
from jfewshot.downstream.sources import Source, parse_by_seed
from jfewshot.errors import UserError
from jfewshot.simclr.export import EncoderFolder
from jfewshot.simclr.features import FbankSettings

# Largest number of frozen frames per second that the head receives; more frames are joined.
_FRAMES_PER_S = 40


def chosen_sources(config: AsrConfig) -> list[list[Source]]:
    """List every kind of features with a source for each seed; controls first.

    Raises:
      UserError: if two kinds have one name.
    """
    texts = list(config.features)
    if config.controls:
        folder = first_encoder(texts)
        controls = [f"random:{folder}"] if folder and not any(text.startswith("random") for text in texts) else []
        if is_frozen(config) and "fbank" not in texts:
            controls.append("fbank")
        texts = controls + texts
    found = [
        [_scratch(config)] * config.seeds if text == "random" else parse_by_seed(text, config.seeds) for text in texts
    ]
    refuse_equal_names([sources[0].name for sources in found])
    return found


def _scratch(config: AsrConfig) -> Source:
    """A source for an encoder with the shape that the --encoder options give, without weights and without statistics."""
    if is_frozen(config):
        raise UserError("features 'random' start as random weights; for frozen frames give random:FOLDER")
    folder = EncoderFolder("random", config.encoder, {}, FbankSettings(n_mels=config.encoder.n_mels))
    return Source("random", "random", "last", folder)


def identity(source: Source, seed: int) -> dict[str, Any]:
    """Everything on which the features depend, except the audio; JSON."""
    if source.encoder is not None and not source.encoder.arrays:
        return {"kind": "random", "encoder": dataclasses.asdict(source.encoder.config), "weights": f"seed {seed}"}
    return source.identity(seed)


def is_frozen(config: AsrConfig) -> bool:
    """Whether the frames are frozen, so that only the head is trained."""
    return config.model == "recurrent" or not config.finetune


def features_title(config: AsrConfig, source: Source) -> str:
    """The name of a source's features in records and reports, which says where frames are frozen."""
    return source.name + (", frozen" if is_frozen(config) or source.encoder is None else "")


def hears_waves(config: AsrConfig) -> bool:
    """Whether waveforms are augmented, so that training decodes audio and training frames cannot be computed in advance."""
    chosen = config.augmentation
    return not is_frozen(config) and (chosen.speed or chosen.noise or chosen.pitch or chosen.reverb)


def cached_parts(fold: Fold, config: AsrConfig) -> tuple[np.ndarray, ...]:
    """Parts of a fold whose frames are computed once, before training."""
    evaluated = fold.development, fold.test
    return evaluated if hears_waves(config) else (fold.training, *evaluated)


def make_plan(config: AsrConfig, source: Source, n_units: int, samples: np.ndarray, frames: Any = None) -> Plan:
    """Make the plan of the model for a kind of features.

    Args:
      config: settings of the experiment.
      source: the kind of features.
      n_units: number of units, the blank included.
      samples: length of every utterance in samples at 16 kHz.
      frames: the features; None before these are computed. Such a plan can only count frames.

    Returns:
      the plan.
    """
    learns = not is_frozen(config) and source.encoder is not None
    waves = learns and hears_waves(config)
    rate = 100.0
    if not learns and source.encoder is not None:
        rate /= source.encoder.config.subsampling
    if not learns and source.kind == "store" and frames is not None:
        rate = 16_000 * frames.n_frames.sum() / max(samples.sum(), 1)
    stack = 1 if learns else (config.stack or max(1, round(rate / _FRAMES_PER_S + 0.49)))
    chosen = config.augmentation
    widest = chosen.widest_time_mask * chosen.time_mask, chosen.widest_frequency_mask * chosen.frequency_mask
    return Plan(
        dim=source.fbank.n_mels if learns else (0 if frames is None else frames.dim),
        n_units=n_units,
        head=config.recurrent if config.model == "recurrent" else config.decoder,
        optimiser=config.optimiser,
        ctc_weight=config.ctc_weight,
        label_smoothing=config.label_smoothing,
        fbank=source.fbank if waves else None,
        augmentation=dataclasses.replace(chosen, noise_folder=None, rooms_folder=None) if waves else None,
        masks=(config.n_masks, *widest) if learns else (config.n_masks, round(widest[0] * rate / 100), 0),
        stack=stack,
        seconds=1 / 16_000 if waves else 1 / rate,
        encoder=source.encoder.config if learns and source.encoder else None,
        layer=source.layer_number if learns else -1,
    )


def frames_by_header(plan: Plan, samples: np.ndarray) -> np.ndarray:
    """Number of frames of each utterance that CTC receives, from the header of its audio file."""
    frames = np.maximum(1 + (samples - 400) // 160, 0)
    if plan.encoder is None and plan.seconds > 1 / 100:  # a frozen encoder that subsamples
        frames = -(-frames // round(plan.seconds * 100))
    return np.where(samples > 0, dataclasses.replace(plan, fbank=None).n_frames(frames), 0)
