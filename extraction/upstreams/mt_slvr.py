"""MT-SLVR (Heggan et al., arXiv 2305.17191), the encoder with which the few-shot paper compares its encoders."""

import dataclasses
from typing import Literal, cast, get_args

import numpy as np
import torch
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.mt_slvr_features import MIN_SAMPLES, features
from extraction.upstreams.mt_slvr_network import MtSlvrNetwork, variant_of
from extraction.upstreams.torch_checkpoint import encoder_checkpoint, fill, read_checkpoint, weights_revision
from extraction.upstreams.torch_network import TorchUpstream
from extraction.upstreams.torch_runtime import apply_threads, check_autocast, resolve_device, without_autocast
from jfewshot.errors import UserError

# The address of the paper's models, according to the authors' loading script.
FOLDER = "https://drive.google.com/drive/folders/1j8876DWc04GSxaV0lMvLi69BLlP45w2g"
Scaling = Literal["raw", "clip", "audioset"]
# Mean and standard deviation of the waveforms of balanced AudioSet, by which the waves were scaled in pretraining.
_AUDIOSET_MEAN, _AUDIOSET_STD = -0.00029522, 0.11652075


@dataclasses.dataclass(eq=False)
class MtSlvr(TorchUpstream):
    """The encoder, which can also scale waves.

    Attributes beyond those of `TorchUpstream`:
      scaling: scaling of a wave before its features are computed, which depend on its level. `raw`: none, as in the authors'
        code when the paper was published. `clip`: all segments of a clip together get mean 0 and standard deviation 1, as in
        that code since August 2023. `audioset`: all waves are scaled with mean and standard deviation of the pretraining data.
    """

    scaling: Scaling = "raw"

    def prepare_clip(
        self, segments: Float32[np.ndarray, "segments samples"]
    ) -> Float32[np.ndarray, "segments samples"]:
        """Scale the segments of a clip."""
        if self.scaling == "raw":
            return segments
        mean, std = _AUDIOSET_MEAN, _AUDIOSET_STD
        if self.scaling == "clip":
            mean, std = segments.mean(dtype=np.float64), segments.std(ddof=1, dtype=np.float64)
            if not std > 0:
                return np.zeros_like(segments)  # silence: the original divides by 0 and then replaces the result by 0
        return ((segments - mean) / std).astype(np.float32)


def mt_slvr(options: UpstreamOptions) -> MtSlvr:
    """The encoder on waves without scaling."""
    return load_mt_slvr("raw", options)


def load_mt_slvr(scaling: str, options: UpstreamOptions) -> MtSlvr:
    """Load `mt_slvr:SCALING`, which gives 1,000 numbers for each segment: 500 for each of its two tasks.

    Args:
      scaling: scaling of waves: raw, clip or audioset; see `MtSlvr`.
      options: `checkpoint` names a file of any of the five variants; its tensors show which one. The file has no address from
        which it could be downloaded without a browser.

    Raises:
      UserError: if the scaling is unknown, if there is no file, or if the file does not fill the network.
    """
    if scaling not in get_args(Scaling):
        raise UserError(f"mt_slvr:{scaling} is no scaling of waves; choose {', '.join(get_args(Scaling))}")
    check_autocast(options.autocast)
    device = resolve_device(options.device)
    apply_threads(options)
    path = encoder_checkpoint("mt_slvr", options.checkpoint, "mt_slvr.pt")
    if path is None:
        raise UserError(
            f"MT-SLVR's weights have to be downloaded with a browser: {FOLDER} (it is not known which of its files the paper's "
            "row used; docs/upstreams.md says what is known). Then pass --checkpoint FILE"
        )
    saved = read_checkpoint(path, options.trust_checkpoint)
    variant = variant_of(saved) if isinstance(saved, dict) else None
    if variant is None:
        raise UserError(
            f"{path} is not a checkpoint of MT-SLVR's ResNet-18: its names fit none of the network's variants"
        )
    network = MtSlvrNetwork(variant)
    unused = fill(f"MT-SLVR ({variant})", network, saved, path)
    if unused:
        raise UserError(f"{path} has tensors that MT-SLVR ({variant}) with two tasks does not use: {unused[0]}")
    network.eval().requires_grad_(False).to(device)
    exact_features = without_autocast(features)

    def states(waves: torch.Tensor) -> list[torch.Tensor]:
        return [network(exact_features(waves))[:, None]]

    name = "mt_slvr" if scaling == "raw" else f"mt_slvr_{scaling}"
    return MtSlvr(
        name=name,
        title="MT-SLVR" if scaling == "raw" else f"MT-SLVR ({scaling} scaling)",
        revision=f"{weights_revision(path, options.autocast)} {variant}, {scaling}",
        licence="",
        source=f"{FOLDER}, from a file of the user's",
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        min_samples=MIN_SAMPLES,
        layers=("last",),
        states=states,
        device=device,
        autocast=options.autocast,
        scaling=cast(Scaling, scaling),
    )
