"""Times of the frames of each kind of features, so that each frame gets the phone that is said at its middle.

| features | first middle, ms | hop, ms | why |
|---|---|---|---|
| `fbank`, encoders without a prenet | 12.5 | 10 | Kaldi's frames are 25 ms long; the first begins with the first sample |
| encoders with `conv1d`, `conv2d` | 12.5 | 40 | two convolutions of kernel 3, stride 2 and padding 1: frame t is around 4t |
| stores | as below, or as the store says | | `upstream.frame_times` in its manifest, or `--frame-first-ms` and `--frame-hop-ms` |
"""

from collections.abc import Mapping
from typing import Any

from jfewshot.downstream.phones.segments import RATE, FrameTimes
from jfewshot.downstream.sources import Source
from jfewshot.errors import UserError

# From the beginning of an upstream's name to the middle of the first frame and the hop, in samples at 16 kHz.
#
# HuBERT and its relatives: kernels 10, 3, 3, 3, 3, 2, 2 at strides 5, 2, 2, 2, 2, 2, 2 without padding span 400 samples, every
# 320. wav2vec: kernels 10, 8, 4, 4, 4, 1, 1 at strides 5, 4, 2, 2, 2, 1, 1 span 465 samples, every 160. APC, VQ-APC, NPC: Kaldi's
# filter bank, 400 samples every 160. TERA, Mockingjay: frames centred on every 160th sample, starting with sample 0.
_KNOWN: Mapping[str, FrameTimes] = {
    **dict.fromkeys(("hubert", "wav2vec2", "wavlm", "distilhubert", "data2vec"), FrameTimes(200.0, 320.0)),
    **dict.fromkeys(("wav2vec_", "vq_wav2vec"), FrameTimes(232.5, 160.0)),
    **dict.fromkeys(("apc", "vq_apc", "npc"), FrameTimes(200.0, 160.0)),
    **dict.fromkeys(("tera", "mockingjay"), FrameTimes(0.0, 160.0)),
}


def frame_times(source: Source, first_ms: float | None = None, hop_ms: float | None = None) -> FrameTimes:
    """Find the times of the frames of a source.

    Args:
      source: the features.
      first_ms: for a store, the middle of the first frame in milliseconds; None for the known value.
      hop_ms: for a store, milliseconds between frames; None for the known value.

    Returns:
      the middle of the first frame, and the distance of frames.

    Raises:
      UserError: for a store of an upstream whose frame times are not known.
    """
    if source.store is None:
        settings = source.fbank
        per_sample = RATE / settings.sample_rate
        subsampling = 1 if source.encoder is None else source.encoder.config.subsampling
        return FrameTimes(settings.frame_length / 2 * per_sample, settings.hop_length * subsampling * per_sample)
    found = _of_store(source.store.manifest["upstream"], source.layer.rpartition(".")[0])
    if found is None and (first_ms is None or hop_ms is None):
        raise UserError(
            f"{source.store.path}: it is not known where frames of {source.store.upstream} are; give --frame-first-ms (the "
            "middle of the first one) and --frame-hop-ms"
        )
    first, hop = (None, None) if found is None else found
    chosen = first if first_ms is None else first_ms * RATE / 1000, hop if hop_ms is None else hop_ms * RATE / 1000
    assert chosen[0] is not None
    assert chosen[1] is not None
    return FrameTimes(chosen[0], chosen[1])


def _of_store(upstream: Mapping[str, Any], layer: str) -> FrameTimes | None:
    told = upstream.get("frame_times")
    if isinstance(told, dict) and told.get("layer") == layer:
        first, hop = told.get("first_s"), told.get("hop_s")
        if not (isinstance(first, int | float) and isinstance(hop, int | float) and hop > 0):
            raise UserError(
                f"the manifest of {upstream['name']} has frame_times without first_s and hop_s: extract it again"
            )
        return FrameTimes(float(first) * RATE, float(hop) * RATE)
    name = str(upstream["name"])
    return next((times for prefix, times in _KNOWN.items() if name.startswith(prefix)), None)
