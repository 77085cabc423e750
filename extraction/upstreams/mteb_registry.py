"""Encoders of mteb's registry whose modalities have audio: `mteb:NAME`, for instance `mteb:laion/clap-htsat-unfused`.

The model is loaded and called through mteb's own encoder interface (mteb 2: `encode(inputs, task_metadata, hf_split,
hf_subset)`), which gives one vector for each wave. The interface requires a task. It gets ESC50, a classification of sounds; only
models with instructions use its prompt.
"""

import dataclasses
import difflib
import importlib
import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers
from extraction.upstreams.isolation import no_progress_bars, quiet, random_states_kept
from extraction.upstreams.probing import shortest_finite
from extraction.upstreams.s3prl import compat
from extraction.upstreams.torch_runtime import apply_threads, inference, resolve_device
from jfewshot.errors import UserError

logger = logging.getLogger(__name__)

_LAYER = "embedding"
_TASK = "ESC50"
# For a model that does not state its rate: the usual rate of encoders. mteb resamples its input to the model's own rate.
_SAMPLE_RATE = 16_000


class _Waves(torch.utils.data.Dataset):
    """Waves in the form that mteb's models need: a dataset with `features`, and `audio` in each item.

    Args:
      waves: batch x samples.
      sample_rate: Hz.
    """

    def __init__(self, waves: np.ndarray, sample_rate: int):
        self.features = {"audio": None}
        self._waves, self._sample_rate = waves, sample_rate

    def __len__(self) -> int:
        return len(self._waves)

    def __getitem__(self, number: int) -> dict[str, dict[str, Any]]:
        return {"audio": {"array": self._waves[number], "sampling_rate": self._sample_rate}}


@dataclasses.dataclass(eq=False)
class MtebUpstream:
    """A model of mteb's registry behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      model: the model that mteb loaded.
      task: mteb's metadata of the task that the model gets.
      device: device on which it computes.
      autocast: `none`, `bf16` or `fp16`.
    """

    name: str
    title: str
    revision: str
    licence: str
    source: str
    n_parameters: int | None
    sample_rate: int
    model: Any
    task: Any
    device: torch.device
    autocast: str
    segment_samples: int | None = None  # mteb embeds whole clips, and cuts off the part that is too long for a model
    min_samples: int = 1
    layers: tuple[str, ...] = (_LAYER,)
    packages: tuple[str, ...] = ("mteb", "torch")

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """The vector of each wave, as a single frame; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if the model does not return one vector for each wave.
        """
        require_known_layers(self.name, self.layers, layers)
        inputs = torch.utils.data.DataLoader(
            _Waves(np.array(waves, np.float32), self.sample_rate), batch_size=len(waves), collate_fn=_together
        )
        # Some models show a bar for every batch and have no switch for it.
        with inference(self.device, self.autocast), random_states_kept(), no_progress_bars():
            vectors = self.model.encode(
                inputs,
                task_metadata=self.task,
                hf_split="test",
                hf_subset="default",
                batch_size=len(waves),
                show_progress_bar=False,
            )
        vectors = vectors.detach().float().cpu().numpy() if isinstance(vectors, torch.Tensor) else np.asarray(vectors)
        if vectors.ndim != 2 or len(vectors) != len(waves):
            raise UserError(
                f"{self.name} gives shape {vectors.shape} for {len(waves)} waves; one vector for each is needed"
            )
        return dict.fromkeys(layers, vectors.astype(np.float32)[:, None])


def load_mteb(rest: str, options: UpstreamOptions) -> MtebUpstream:
    """Load a model of mteb's registry.

    Args:
      rest: the model's name in the registry.
      options: device, threads and half precision. mteb downloads weights itself, into the cache of the Hugging Face hub.

    Raises:
      UserError: if mteb or a package of the model is missing, if the name is not in the registry, or if the model takes no audio.
    """
    if options.checkpoint is not None:
        raise UserError(
            "mteb: encoders take no --checkpoint: mteb downloads weights into the cache of the Hugging Face hub"
        )
    try:
        with quiet(logger), random_states_kept():
            mteb = importlib.import_module("mteb")
    except ModuleNotFoundError as error:
        raise UserError(
            f"mteb: encoders need the Python package mteb: pip install 'jfewshot[mteb]' ({error})"
        ) from error
    known = {meta.name: meta for meta in mteb.get_model_metas(modalities=["audio"])}
    if rest not in known:
        near = difflib.get_close_matches(rest, known, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(f'mteb:{name}' for name in near)}?" if near else ""
        raise UserError(
            f"mteb {mteb.__version__} has no model '{rest}' among its {len(known)} models that take audio{hint}"
        )
    compat.prepare_torchaudio()  # mteb resamples with torchaudio
    apply_threads(options)
    device = resolve_device(options.device)
    meta = known[rest]
    try:
        with quiet(logger), random_states_kept():
            model = mteb.get_model(rest, device=str(device))
    except Exception as error:  # missing packages, errors of the hub, and any error that a checkpoint may cause
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        raise UserError(f"mteb cannot load {rest}: {reason}") from error
    if not callable(getattr(model, "encode", None)):
        raise UserError(f"mteb:{rest} is no encoder: mteb's {type(model).__name__} has no method encode")
    upstream = MtebUpstream(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", rest),
        title=rest,
        revision=f"mteb {meta.revision}",
        licence=str(meta.license or ""),
        source=str(meta.reference or "mteb"),
        n_parameters=meta.n_parameters or None,
        sample_rate=_rate(model),
        model=model,
        task=mteb.get_task(_TASK).metadata,
        device=device,
        autocast=options.autocast,
    )
    try:
        with quiet(logger):
            upstream.min_samples = shortest_finite(
                f"mteb:{rest}", lambda waves: upstream.encode(waves, (_LAYER,)).values(), upstream.sample_rate
            )
    except ImportError as error:  # mteb imports torchaudio and torchvision only when a model encodes for the first time
        raise UserError(f"mteb:{rest} needs more packages: {' '.join(str(error).split())}") from error
    return upstream


def _together(items: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Make a batch for models without a function of their own for this."""
    return {key: [item[key] for item in items] for key in items[0]}


def _rate(model: Any) -> int:
    """The sample rate that a model states, in Hz; 16 kHz if it states none."""
    inner = getattr(model, "model", None)
    for holder in (model, getattr(model, "feature_extractor", None), getattr(model, "processor", None), inner):
        for name in ("sampling_rate", "sample_rate", "target_sampling_rate"):
            if isinstance(rate := getattr(holder, name, None), int) and rate > 0:
                return rate
    return _SAMPLE_RATE
