"""Prepare audio for encoders: decode, mix to mono, resample, cut into segments.

The recipe of the few-shot papers (Heggan et al., arXiv 2402.01274): consecutive, non-overlapping segments of 5 s; a
short last segment, or a short clip, is repeated circularly to full length. No normalisation of loudness. There is one
difference: a tail of less than 25 ms after a full segment is dropped. Such a tail is caused by a codec's rounding (380
of ESC-10's 400 OGG files end 16 samples after 5 s). Repeated 5,000 times it would be an artificial tone with the same
vote as the clip's own 5 s.

Needs soundfile and soxr (extras `audio`, `extraction` and `pretrain`); they are imported when first used.

- `base`: the error for a recording that cannot be used, and the limits of one file
- `kinds`: finds audio files by their names, and identifies files that are not audio
- `decoding`: decodes a file to mono samples, resamples, and finds a file's true length
- `containers`: WAV, AIFF, AU, W64, CAF and NIST files whose headers give a wrong size
- `mp3`, `flac`, `ogg`: files of these kinds that were joined or cut, or whose headers give a wrong length
- `stretches`: a part of a long recording, decoded without the rest if the result is exact
- `segments`: waves cut into pieces of equal length
"""

from jfewshot.audio.base import MIN_DURATION_S, SILENT, AudioError, Unusable
from jfewshot.audio.decoding import PREPROCESSING, decode, duration_s, read_audio, resample
from jfewshot.audio.kinds import AUDIO_SUFFIXES, UNREAD_SUFFIXES, audio_below, is_unread, sound_below, why_not_read
from jfewshot.audio.segments import cut_segments
from jfewshot.audio.stretches import Stretch, decode_stretch

__all__ = [
    "AUDIO_SUFFIXES",
    "MIN_DURATION_S",
    "PREPROCESSING",
    "SILENT",
    "UNREAD_SUFFIXES",
    "AudioError",
    "Stretch",
    "Unusable",
    "audio_below",
    "cut_segments",
    "decode",
    "decode_stretch",
    "duration_s",
    "is_unread",
    "read_audio",
    "resample",
    "sound_below",
    "why_not_read",
]
