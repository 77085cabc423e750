"""Encoders with the common API of HEAR 2021: `hear:MODULE`, for instance `hear:hearbaseline.vqt`.

The API (Turian et al., HEAR: Holistic Evaluation of Audio Representations, PMLR 176, 2022) is a Python module with

    model = load_model(model_file_path)         # attributes: sample_rate, scene_embedding_size, timestamp_embedding_size
    get_scene_embeddings(audio, model)          # sounds x dim: one vector for each sound
    get_timestamp_embeddings(audio, model)      # sounds x frames x dim, and sounds x frames times in milliseconds

Each function gives a layer. `scene` is the last layer, with a single frame for each wave. `timestamps` has many frames, which can
be pooled in any way. If the times of the frames are regular, the store's manifest has the time of the first frame and the time
between two frames.
"""

import dataclasses
import importlib
import importlib.metadata
import logging
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers, true_layer
from extraction.upstreams.isolation import quiet, random_states_kept
from extraction.upstreams.modules_of_others import failure, revision_of
from extraction.upstreams.probing import shortest_finite
from extraction.upstreams.torch_runtime import apply_threads, inference, resolve_device
from jfewshot.errors import UserError

logger = logging.getLogger(__name__)

SCENE, TIMESTAMPS = "scene", "timestamps"
_API = ("load_model", "get_scene_embeddings", "get_timestamp_embeddings")


@dataclasses.dataclass(eq=False)
class HearUpstream:
    """A module with HEAR's API behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      module: the user's module.
      model: the model that the module's `load_model` returned.
      device: device on which it computes.
      autocast: `none`, `bf16` or `fp16`.
      frame_times: layer, seconds from a wave's start to the middle of its first frame, and seconds between frames; None if the
        times are not regular.
    """

    name: str
    title: str
    revision: str
    source: str
    n_parameters: int | None
    sample_rate: int
    module: Any
    model: Any
    device: torch.device
    autocast: str
    packages: tuple[str, ...]
    licence: str = ""
    segment_samples: int | None = None  # HEAR embeds whole sounds
    min_samples: int = 1
    layers: tuple[str, ...] = (TIMESTAMPS, SCENE)
    frame_times: tuple[str, float, float] | None = None

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Frames of the requested layers; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, if embeddings have another shape than the model declares, or if the module refuses
            the waves.
        """
        try:
            return self._encode(waves, layers)
        except (AssertionError, IndexError, TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"{self.name} fails on waves of {waves.shape[1]} samples ({type(error).__name__}: {str(error)[:200]}); cut clips "
                "into segments of a length that the model accepts, for instance --segment 5"
            ) from error

    def _encode(self, waves: np.ndarray, layers: Sequence[str]) -> dict[str, np.ndarray]:
        require_known_layers(self.name, self.layers, layers)
        own = {layer: true_layer(self.layers, layer) for layer in layers}
        with inference(self.device, self.autocast):
            audio = torch.from_numpy(np.array(waves, np.float32)).to(self.device)
            found = {}
            for name in dict.fromkeys(own.values()):
                if name == SCENE:
                    embeddings = self.module.get_scene_embeddings(audio, self.model)
                    found[name] = self._checked(embeddings, name, (len(waves),))[:, None]
                else:
                    embeddings, times = self.module.get_timestamp_embeddings(audio, self.model)
                    found[name] = self._checked(embeddings, name, (len(waves), np.shape(times)[-1]))
        return {layer: found[name] for layer, name in own.items()}

    def times_s(self, n_samples: int) -> np.ndarray:
        """Times of the frames of the layer `timestamps`, in seconds from the start of a wave.

        Args:
          n_samples: length of the wave.
        """
        with inference(self.device, "none"):
            _, times = self.module.get_timestamp_embeddings(torch.zeros(1, n_samples, device=self.device), self.model)
        return np.asarray(times.cpu(), np.float64)[0] / 1000

    def _checked(self, embeddings: Any, layer: str, shape: tuple[int, ...]) -> np.ndarray:
        wanted = (*shape, getattr(self.model, f"{layer.removesuffix('s')}_embedding_size"))
        if tuple(embeddings.shape) != wanted:
            raise UserError(
                f"get_{layer.removesuffix('s')}_embeddings of {self.name} gives shape {tuple(embeddings.shape)}; HEAR's API and "
                f"the model's attributes say {wanted}"
            )
        return embeddings.float().cpu().numpy()


def load_hear(rest: str, options: UpstreamOptions) -> HearUpstream:
    """Import a module with HEAR's API and load its model.

    Args:
      rest: the module, in the current folder or from an installed package.
      options: `checkpoint` is passed to `load_model`; device, threads and half precision.

    Raises:
      UserError: if the module is missing, if it lacks a part of the API, or if it cannot load its model.
    """
    if not rest or not all(part.isidentifier() for part in rest.split(".")):
        raise UserError(
            f"hear:{rest} names no module; name a module with HEAR's API, for instance hear:hearbaseline.vqt"
        )
    apply_threads(options)
    device = resolve_device(options.device)
    module = _module(rest)
    model = _model(rest, module, options)
    network = model.to(device).eval()
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    top = rest.split(".")[0]
    distributions = importlib.metadata.packages_distributions().get(top, [])
    upstream = HearUpstream(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", rest),
        title=rest,
        revision=revision_of(Path(module.__file__ or ""), network, options),
        source=rest,
        n_parameters=n_parameters or None,
        sample_rate=model.sample_rate,
        module=module,
        model=network,
        device=device,
        autocast=options.autocast,
        packages=("torch", *distributions[:1]),
    )
    with quiet(logger), random_states_kept():
        upstream.min_samples = shortest_finite(
            f"hear:{rest}", lambda waves: upstream._encode(waves, upstream.layers).values(), upstream.sample_rate
        )
        upstream.frame_times = _regular(upstream.times_s, max(upstream.min_samples, upstream.sample_rate))
    return upstream


def _module(rest: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # Python does not search the current folder when an installed command runs
    try:
        with quiet(logger), random_states_kept():
            module = importlib.import_module(rest)
    except ModuleNotFoundError as error:
        top, missing = rest.split(".")[0], error.name or ""
        if rest == missing or rest.startswith(f"{missing}."):
            raise UserError(
                f"there is no module {missing} for hear:{rest}: pip install --no-deps {top} if it is a package of PyPI (many of "
                f"HEAR's packages require old releases of others), or run the command in the folder that holds {top}.py"
            ) from error
        raise UserError(
            f"hear:{rest} needs the Python package '{missing}', which is not installed: pip install {missing}"
        ) from error
    except (
        Exception
    ) as error:  # foreign code may raise any error with newer packages than those for which it was written
        raise failure(f"hear:{rest}", "be imported", error) from error
    lacking = [name for name in _API if not callable(getattr(module, name, None))]
    if lacking:
        raise UserError(f"{rest} has no {' or '.join(lacking)}; HEAR's API is {', '.join(_API)}")
    return module


def _model(rest: str, module: ModuleType, options: UpstreamOptions) -> Any:
    if options.checkpoint is not None and not Path(options.checkpoint).exists():
        raise UserError(f"there is no file {options.checkpoint} for hear:{rest}")
    given = [] if options.checkpoint is None else [str(options.checkpoint)]
    try:
        with quiet(logger), random_states_kept():
            model = module.load_model(*given)
    except Exception as error:
        raise failure(f"hear:{rest}", "load its model", error) from error
    if not isinstance(model, torch.nn.Module):
        raise UserError(f"load_model of {rest} gives {type(model).__name__}; hear: needs a model of PyTorch")
    for attribute in ("sample_rate", "scene_embedding_size", "timestamp_embedding_size"):
        value = getattr(model, attribute, None)
        if not isinstance(value, int) or value <= 0:
            raise UserError(f"the model of {rest} has {attribute} {value!r}; HEAR's API needs a positive whole number")
    return model


def _regular(times_s: Callable[[int], np.ndarray], n_samples: int) -> tuple[str, float, float] | None:
    """Time of the first frame and time between frames, if waves of two lengths agree on these times; else None."""
    seen = [times_s(length) for length in (2 * n_samples, 3 * n_samples)]
    if len(seen[1]) < 2:
        return None
    first, hop = float(seen[1][0]), float((seen[1][-1] - seen[1][0]) / (len(seen[1]) - 1))
    regular = all(np.allclose(times, first + hop * np.arange(len(times)), rtol=0, atol=1e-3 * hop) for times in seen)
    return (TIMESTAMPS, round(first, 9), round(hop, 9)) if regular else None
