"""Encoders of animal sounds from avex's registry: `avex:NAME`, for instance `avex:esp_aves2_sl_beats_bio`.

avex (the package of the Earth Species Project) builds BEATs, EAT and EfficientNet from specs, which `avex.list_models()` names. A
spec of the user's own in avex's YAML is `avex:FILE.yml`. The embedding is the last layer's features, as avex returns them with
`return_features_only`. For BEATs and EAT the frames are patches. EfficientNet returns a map of channels x frequency x time; its
positions in the order of time are the frames here, so that their mean is what avex itself computes when it pools.
"""

import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import logging
import re
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers
from extraction.upstreams.isolation import quiet, random_states_kept
from extraction.upstreams.modules_of_others import failure, revision_of
from extraction.upstreams.probing import shortest_finite
from extraction.upstreams.s3prl import compat
from extraction.upstreams.torch_checkpoint import fill, read_checkpoint
from extraction.upstreams.torch_runtime import apply_threads, inference, resolve_device
from jfewshot.errors import UserError

logger = logging.getLogger(__name__)

LAYER = "features"
_HEADS = ("classifier", "head", "predictor")  # parts of the names of tensors that do not influence the features
_WRAPPERS = ("model_state_dict", "state_dict", "model")


@dataclasses.dataclass(eq=False)
class AvexUpstream:
    """An encoder of avex behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      model: the model that avex built.
      device: device on which it computes.
      autocast: `none`, `bf16` or `fp16`.
      max_samples: length in samples after which the encoder ignores a wave; None if it uses whole waves.
    """

    name: str
    title: str
    revision: str
    source: str
    n_parameters: int | None
    sample_rate: int
    model: Any
    device: torch.device
    autocast: str
    segment_samples: int | None
    max_samples: int | None
    licence: str = ""
    min_samples: int = 1
    layers: tuple[str, ...] = (LAYER,)
    packages: tuple[str, ...] = ("avex", "torch")

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """The encoder's features; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if the features have another shape than those of avex's models.
        """
        require_known_layers(self.name, self.layers, layers)
        with inference(self.device, self.autocast):
            features = self.model(torch.from_numpy(np.array(waves, np.float32)).to(self.device))
            if not isinstance(features, torch.Tensor) or features.ndim not in (3, 4) or len(features) != len(waves):
                shape = tuple(getattr(features, "shape", ()))
                raise UserError(
                    f"{self.name} gives {type(features).__name__} of shape {shape} for {len(waves)} waves; avex's encoders give "
                    "batch x frames x dim, or batch x channels x frequency x time"
                )
            if features.ndim == 4:
                features = features.permute(0, 3, 2, 1).flatten(1, 2)
            return dict.fromkeys(layers, features.float().cpu().numpy())


def load_avex(rest: str, options: UpstreamOptions) -> AvexUpstream:
    """Build an encoder of avex's registry and fill it with its weights.

    Args:
      rest: the name in the registry, or a file in avex's YAML.
      options: `checkpoint` is a file with the weights; without it avex downloads the registry's weights. `trust_checkpoint` is
        needed for EAT, whose code comes from the Hugging Face hub.

    Raises:
      UserError: if avex is missing, if the name is unknown, if the weights cannot be downloaded, or if they do not fill the
        encoder.
    """
    apply_threads(options)
    device = resolve_device(options.device)
    avex = _avex()
    spec, weights = _spec(rest, avex)
    if spec.audio_config is None:
        raise UserError(f"avex:{rest} has no audio_config, whose sample_rate is needed; add it to the spec")
    if options.checkpoint is not None:
        path = Path(options.checkpoint).expanduser()
        if not path.is_file():
            raise UserError(f"there is no file {options.checkpoint} for avex:{rest}")
        weights = str(path)
    if not weights:
        raise UserError(f"avex:{rest} names no weights; give their file with --checkpoint")
    if spec.name.startswith("eat") and not options.trust_checkpoint:
        raise UserError(
            f"avex:{rest} runs code that avex downloads from the Hugging Face hub (transformers' trust_remote_code). If you "
            "trust this code, pass --trust-checkpoint"
        )
    try:
        with quiet(logger), random_states_kept():
            # Without pretrained=False, avex would first download ImageNet's weights for EfficientNet, and then overwrite them.
            model = avex.build_model_from_spec(spec, str(device), return_features_only=True, pretrained=False)
            saved = _saved(weights, options)
    except UserError:
        raise
    except Exception as error:  # missing packages, errors of the hub, and any error that a spec may cause
        raise failure(f"avex:{rest}", "load its model", error) from error
    unused = fill(f"avex:{rest}", model, _matching(saved, model), Path(weights))
    logger.debug("avex:%s has no use for %s", rest, unused)
    network = model.to(device).eval()
    rate = int(spec.audio_config.sample_rate)
    length = round(spec.audio_config.target_length_seconds * rate) if spec.name.startswith("eat") else None
    upstream = AvexUpstream(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(rest).stem if rest.endswith((".yml", ".yaml")) else rest),
        title=rest,
        revision=revision_of(Path(inspect.getfile(type(model))), network, options),
        source=weights if options.checkpoint is None else "avex",
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        sample_rate=rate,
        model=network,
        device=device,
        autocast=options.autocast,
        segment_samples=length,
        max_samples=length,
    )
    with quiet(logger), random_states_kept():
        upstream.min_samples = shortest_finite(
            f"avex:{rest}", lambda waves: upstream.encode(waves, (LAYER,)).values(), rate
        )
    return upstream


def _avex() -> Any:
    """Import avex. Its torchaudio and torchvision may be builds for CUDA, although torch is a build for CPUs."""
    if importlib.util.find_spec("torchvision") is not None and "torchvision" not in sys.modules:
        try:
            importlib.import_module("torchvision")
        except (
            RuntimeError
        ):  # torchvision's compiled operators are missing; avex only needs its networks, written in torch
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            absent = "torchvision._meta_registrations"
            sys.modules[absent] = types.ModuleType(absent)
    try:
        compat.prepare_torchaudio()
        with quiet(logger), random_states_kept():
            return importlib.import_module("avex")
    except ImportError as error:
        raise UserError(
            f"avex: encoders need the Python package avex: pip install 'jfewshot[avex]' ({error})"
        ) from error


def _spec(rest: str, avex: Any) -> tuple[Any, str]:
    """The spec of a name or file, and the address of its weights, which may be empty."""
    registry = importlib.import_module("avex.models.utils.registry")
    if rest.endswith((".yml", ".yaml")):
        if not Path(rest).expanduser().is_file():
            raise UserError(f"there is no file {rest} for avex:{rest}")
        try:
            return registry.load_model_spec_from_yaml(Path(rest).expanduser()), ""
        except ValueError as error:
            raise UserError(f"{rest} is no spec of avex: {' '.join(str(error).split())[:300]}") from error
    spec = avex.get_model_spec(rest)
    if spec is None:
        known = sorted(registry._MODEL_REGISTRY)  # not avex.list_models, which prints a table and downloads classes
        near = difflib.get_close_matches(rest, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(f'avex:{name}' for name in near)}? " if near else ""
        raise UserError(
            f"avex has no model '{rest}'; {hint}it has {', '.join(known)}, and takes a spec as avex:FILE.yml"
        )
    return spec.model_copy(deep=True), avex.get_checkpoint_path(rest) or ""


def _saved(weights: str, options: UpstreamOptions) -> dict[str, torch.Tensor]:
    """The tensors of a file, without the wrappers that avex knows."""
    if options.checkpoint is None:
        found = importlib.import_module("avex.utils.utils").universal_torch_load(weights, map_location="cpu")
    elif weights.endswith(".safetensors"):
        found = importlib.import_module("safetensors.torch").load_file(weights)
    else:
        found = read_checkpoint(Path(weights), options.trust_checkpoint)
    for wrapper in _WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
            break
    if not isinstance(found, Mapping):
        raise UserError(f"{weights} holds {type(found).__name__}; a checkpoint of named tensors is needed")
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


def _matching(saved: dict[str, torch.Tensor], model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The file's tensors under the model's names. Trainers add prefixes to these names, or remove them.

    The heads are taken from the model and not from the file: the file may have other heads, and features do not depend on them.
    """
    here = model.state_dict()
    bare = {name.removeprefix("module."): value for name, value in saved.items()}
    readings = [bare]
    for prefix in ("model.", "backbone."):
        readings.append({name.removeprefix(prefix): value for name, value in bare.items()})
    readings += [
        {f"{prefix}{name}": value for name, value in one.items()}
        for prefix in ("model.", "backbone.")
        for one in readings[:3]
    ]
    best = max(readings, key=lambda reading: len(here.keys() & reading.keys()))
    heads = {name: value for name, value in here.items() if any(head in name for head in _HEADS)}
    return {**best, **heads}
