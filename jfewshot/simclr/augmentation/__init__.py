"""Augmentations, which make two views of one utterance.

Augmentations of waveforms are functions `(key, wave, length) -> (wave, length)` with static shapes. Each is written for one
utterance and vmapped:

- `speed`, `pitch`, `reverb`, `noise`; the first two use `resample`
- `noise_pool` has recorded noise, `rooms` recorded room responses
- `repeated` fills a crop with a short utterance

Augmentations of spectrograms:

- `band`: limits the band, as in a recording with a lower sample rate
- `masks`: the masks of SpecAugment, for the contrast
- `alteration`: the alteration of TERA, which the reconstruction undoes

`views` decides which augmentations happen, and applies these in order.
"""

from jfewshot.simclr.augmentation.alteration import alter
from jfewshot.simclr.augmentation.band import limit_band
from jfewshot.simclr.augmentation.masks import mask_spectrogram
from jfewshot.simclr.augmentation.noise import add_noise, coloured_noise
from jfewshot.simclr.augmentation.noise_pool import NoisePool
from jfewshot.simclr.augmentation.pitch import pitch
from jfewshot.simclr.augmentation.repeated import repeated
from jfewshot.simclr.augmentation.reverb import impulse_response, impulse_responses, reverb, reverb_continuous
from jfewshot.simclr.augmentation.rooms import room_responses
from jfewshot.simclr.augmentation.speed import speed
from jfewshot.simclr.augmentation.views import Banks, augment_wave, make_banks, noise_pool, output_samples
from jfewshot.simclr.settings import AlterationConfig, AugmentationConfig

__all__ = [
    "AlterationConfig",
    "AugmentationConfig",
    "Banks",
    "NoisePool",
    "add_noise",
    "alter",
    "augment_wave",
    "coloured_noise",
    "impulse_response",
    "impulse_responses",
    "limit_band",
    "make_banks",
    "mask_spectrogram",
    "noise_pool",
    "output_samples",
    "pitch",
    "repeated",
    "reverb",
    "reverb_continuous",
    "room_responses",
    "speed",
]
